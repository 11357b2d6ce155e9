"""Support vector machines: libsvm is given bare pointers, and goes as far as the numbers of vectors and classes say."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

CLASSIFIERS = ("c_svc", "nu_svc")


def _libsvm(fitted: Any) -> Iterator[str]:
    if "support_vectors_" not in vars(fitted):
        return
    n, n_classes = len(fitted.support_), len(fitted._n_support)
    pairs = n_classes * (n_classes - 1) // 2
    is_classifier = fitted._impl in CLASSIFIERS
    if n_classes < 2 or (is_classifier and n_classes != len(fitted.classes_)):
        yield f"counts the vectors of {n_classes} classes"
        return
    if is_classifier and (fitted._n_support.min() < 0 or fitted._n_support.sum() != n):
        yield f"counts {fitted._n_support.tolist()} support vectors, and has {n}"
    if getattr(fitted, "_effective_probability", False) and not is_classifier:
        yield "has probabilities of classes, and knows none"
    yield from _vectors(fitted, n)
    yield from _coefficients(fitted, (n_classes - 1, n), pairs)


def _vectors(fitted: Any, n: int) -> Iterator[str]:
    shape, known = fitted.support_vectors_.shape, fitted.shape_fit_[0]
    by_place = fitted.kernel == "precomputed" or callable(fitted.kernel)
    if by_place:
        wrong = fitted.support_[(fitted.support_ < 0) | (fitted.support_ >= known)]
        if len(wrong):
            yield f"has row {wrong[0]} of {known} for a support vector"
    # Where rows are compared by a kernel of their own, there is only that to look at.
    if (fitted._sparse or not by_place) and shape != (n, fitted.n_features_in_):
        yield f"has support vectors of the shape {shape} for {n} of {fitted.n_features_in_} features"


def _coefficients(fitted: Any, wanted: tuple[int, int], pairs: int) -> Iterator[str]:
    dual = fitted._dual_coef_
    held = len(dual.data) if fitted._sparse else dual.size
    if dual.shape != wanted or held != wanted[0] * wanted[1]:
        yield f"has {held} coefficients of the shape {dual.shape} instead of {wanted}"
    if np.shape(fitted._intercept_) != (pairs,):
        yield f"has intercepts of the shape {np.shape(fitted._intercept_)} for {pairs} pairs"
    has_shares = bool(getattr(fitted, "_effective_probability", False)) and fitted._impl in CLASSIFIERS
    sizes = {len(fitted._probA), len(fitted._probB)}
    if sizes not in ([{pairs}] if has_shares else [{pairs}, {0}]):
        yield f"has {sorted(sizes)} numbers for the probabilities of {pairs} pairs"


KERNELS: Mapping[str, Callable[[Any], Iterator[str]]] = {"sklearn.svm._base.BaseLibSVM": _libsvm}
