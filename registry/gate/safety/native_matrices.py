"""Sparse matrices, and the encoders that make them: no place in one is outside of its shape."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

NUMERIC = "biuf"


def _compressed(matrix: Any) -> Iterator[str]:
    # SciPy (1.17) compares the ends of rows with each other only where the last of them is not 0.
    if (np.diff(matrix.indptr) < 0).any():
        yield "is a sparse matrix with places outside of it (a row ends before it begins)"
        return
    try:
        matrix.check_format(full_check=True)
    except ValueError as error:
        yield f"is a sparse matrix with places outside of it ({error})"


def _coordinates(matrix: Any) -> Iterator[str]:
    try:
        matrix._check()
    except ValueError as error:
        yield f"is a sparse matrix with places outside of it ({error})"


def _diagonals(matrix: Any) -> Iterator[str]:
    if matrix.data.ndim != 2 or matrix.offsets.shape != matrix.data.shape[:1]:
        yield f"is a sparse matrix of {matrix.offsets.shape} diagonals with values of the shape {matrix.data.shape}"


def _one_hot(encoder: Any) -> Iterator[str]:
    if "categories_" not in vars(encoder):
        return
    counts = [len(categories) for categories in encoder.categories_]
    yield from _sorted(encoder)
    if len(counts) != encoder.n_features_in_:
        yield f"has categories of {len(counts)} features, and takes {encoder.n_features_in_}"
        return
    if encoder._infrequent_enabled:
        yield from _grouped(encoder, counts)
        counts = [
            count if rare is None else count - rare.size + 1
            for count, rare in zip(counts, encoder._infrequent_indices, strict=True)
        ]
    if encoder._drop_idx_after_grouping is not None:
        for dropped, count in zip(encoder._drop_idx_after_grouping, counts, strict=True):
            if dropped is not None and not 0 <= dropped < count:
                yield f"leaves out category {dropped} of {count}"
        counts = [
            count if dropped is None else count - 1
            for dropped, count in zip(encoder._drop_idx_after_grouping, counts, strict=True)
        ]
    if list(encoder._n_features_outs) != counts:
        yield f"writes {list(encoder._n_features_outs)} columns for {counts} categories"


def _sorted(encoder: Any) -> Iterator[str]:
    for place, categories in enumerate(encoder.categories_):
        if categories.dtype.kind in NUMERIC and not _ascends(categories):
            yield f"has categories of feature {place} that do not ascend"


def _ascends(categories: npt.NDArray[Any]) -> bool:
    """Return whether values ascend; one that is not a number may stand at the end."""
    known = categories[:-1] if len(categories) and categories[-1] != categories[-1] else categories
    return bool((known[1:] > known[:-1]).all())


def _grouped(encoder: Any, counts: list[int]) -> Iterator[str]:
    mappings = encoder._default_to_infrequent_mappings
    for rare, mapping, count in zip(encoder._infrequent_indices, mappings, counts, strict=True):
        if (rare is None) != (mapping is None):
            yield "groups rare categories of which it has none"
        elif rare is not None:
            left = count - rare.size + 1
            is_within = len(rare) and rare.min() >= 0 and rare.max() < count
            if not is_within or len(mapping) != count or mapping.min() < 0 or mapping.max() >= left:
                yield f"groups {count} categories into more than {left}"


def _vocabulary(vectorizer: Any) -> Iterator[str]:
    words = vars(vectorizer).get("vocabulary_")
    wrong = [place for place in words.values() if not 0 <= place < len(words)] if words else []
    if wrong:
        yield f"has a word in column {wrong[0]} of {len(words or ())}"


def _labels(binarizer: Any) -> Iterator[str]:
    """Look at the classes, and the table of their places that the first rows leave, and that may be in the file."""
    places, classes = vars(binarizer).get("_cached_dict"), vars(binarizer).get("classes_", ())
    if len(set(classes)) != len(classes):
        yield "names a class twice, and has fewer columns than places"
    if places is not None and places != {each: place for place, each in enumerate(classes)}:
        yield "has a table of places that is not that of its classes"


MATRICES: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "scipy.sparse._compressed._cs_matrix": _compressed,
    "scipy.sparse._bsr._bsr_base": _compressed,
    "scipy.sparse._coo._coo_base": _coordinates,
    "scipy.sparse._dia._dia_base": _diagonals,
    "sklearn.preprocessing._encoders.OneHotEncoder": _one_hot,
    "sklearn.preprocessing._label.MultiLabelBinarizer": _labels,
    "sklearn.feature_extraction.text.CountVectorizer": _vocabulary,
    "sklearn.feature_extraction._dict_vectorizer.DictVectorizer": _vocabulary,
}
