"""A compiled estimator on its way from the fitted one into the cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import is_classifier

from slipway.serving.runtimes.compiled.preprocessing import Matrix
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimatorParts:
    """A compiled estimator before it is stored.

    `opening` names the kind and its options, `classes` are a classifier's labels, `thresholds` are what the trees
    compare each column with (column of the matrix → shape (k,)), which verification tries.
    """

    opening: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    classes: npt.NDArray[Any] | None = None
    trees: bytes = b""
    thresholds: Mapping[int, Matrix] = field(default_factory=dict)


def class_labels(fitted: Any) -> npt.NDArray[Any] | None:
    """Return a classifier's labels, and `None` for a regressor."""
    if not is_classifier(fitted):
        return None
    classes = fitted.classes_
    if isinstance(classes, list) or classes.ndim != 1:
        raise NotCompilable(f"{type_name(fitted)} with several outputs")
    return np.asarray(classes)


def require_own_labels(fitted: Any, classes: npt.NDArray[Any]) -> None:
    """Refuse a classifier that gives a row several labels, or whose scores become others than its classes."""
    if fitted._label_binarizer.y_type_.startswith("multilabel"):
        raise NotCompilable(f"{type_name(fitted)} with several labels for a row")
    if not np.array_equal(fitted._label_binarizer.classes_, classes):
        raise NotCompilable(f"{type_name(fitted)} whose labels are not its classes")
