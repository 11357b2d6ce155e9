"""Compile a fitted scikit-learn model: the preparation, the estimator, and both as they are stored."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.estimator_parts import EstimatorParts
from slipway.serving.runtimes.compiled.preprocessing import Preparation
from slipway.serving.runtimes.compiled.unsupported import NotCompilable
from slipway.serving.runtimes.stored import Arrays, preparation_to_store


def compiled_to_store(
    preparation: Preparation, estimator: EstimatorParts, *, predict_fn: str
) -> tuple[dict[str, Any], Arrays]:
    """Return what opening a compiled runner needs, beside the trees.

    Raises
    ------
    NotCompilable
        The labels are of a type that a file without pickle does not hold.
    """
    prepared, arrays = preparation_to_store(preparation)
    opening = {
        "preparation": prepared,
        "estimator": {**estimator.opening, "classes": _labels_to_store(estimator.classes)},
        "predict_fn": predict_fn,
    }
    return opening, {**arrays, **estimator.arrays}


def _labels_to_store(classes: npt.NDArray[Any] | None) -> Mapping[str, Any] | None:
    if classes is None:
        return None
    labels = classes.tolist()
    if not all(isinstance(label, str | int | float | bool) for label in labels):
        raise NotCompilable(f"labels of type {np.asarray(classes).dtype}")
    return {"labels": labels, "dtype": classes.dtype.str if classes.dtype.kind != "O" else "object"}
