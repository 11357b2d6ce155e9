"""How good predictions are, under the same names for every estimator.

All numbers come from scikit-learn. Per-class quantities are macro averages (each class counts the
same), so that a rare class is not hidden by a common one; `slipway.registry.metrics` says which direction
is better.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics
from sklearn.preprocessing import label_binarize

from slipway.training.spec import Task

Floats = npt.NDArray[np.float64]
SINGLE = 1e-5  # as far from 1 as sums of probabilities in single precision may be


def scores(
    task: Task,
    y: npt.ArrayLike,
    predicted: npt.ArrayLike,
    *,
    class_scores: Floats | None = None,
    probabilities: bool = False,
    classes: Sequence[Any] = (),
) -> dict[str, float]:
    """Return metric name → value for n predictions.

    Parameters
    ----------
    y, predicted
        Shape (n,): true and predicted classes or numbers.
    class_scores
        Shape (n, n_classes) in the order of `classes`: probabilities or decision values; `None` where
        the estimator has neither, and the metrics that rank are then left out.
    probabilities
        Whether `class_scores` are probabilities, which the metrics of calibration need.
    classes
        All classes; one that is absent from `y` takes no part in the ranking metrics.
    """
    if task is Task.REGRESSION:
        return _regression(np.asarray(y, dtype=float), np.asarray(predicted, dtype=float))
    found = _decisions(np.asarray(y), np.asarray(predicted))
    if class_scores is not None:
        found |= _rankings(np.asarray(y), class_scores, classes)
        if probabilities:
            found["log_loss"] = metrics.log_loss(y, _summing_to_one(class_scores), labels=list(classes))
    return {name: float(value) for name, value in found.items()}


def _summing_to_one(probabilities: Floats) -> Floats:
    """Return probabilities whose sums are 1 in double: XGBoost's are so in single, of which scikit-learn warns."""
    total = probabilities.sum(axis=1, keepdims=True)
    return np.where(np.abs(total - 1) < SINGLE, probabilities / total, probabilities)


def _regression(y: Floats, predicted: Floats) -> dict[str, float]:
    return {
        "rmse": float(metrics.root_mean_squared_error(y, predicted)),
        "mae": float(metrics.mean_absolute_error(y, predicted)),
        "median_absolute_error": float(metrics.median_absolute_error(y, predicted)),
        "max_error": float(metrics.max_error(y, predicted)),
        "r2": float(metrics.r2_score(y, predicted)),
    }


def _decisions(y: npt.NDArray[Any], predicted: npt.NDArray[Any]) -> dict[str, float]:
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(y, predicted, average="macro", zero_division=0)
    return {
        "accuracy": metrics.accuracy_score(y, predicted),
        "balanced_accuracy": metrics.recall_score(y, predicted, labels=np.unique(y), average="macro"),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }


def _rankings(y: npt.NDArray[Any], class_scores: Floats, classes: Sequence[Any]) -> dict[str, float]:
    """Macro average over one class against the rest; for two classes, of the second (the positive) one."""
    truth = one_hot(y, classes)
    ranked = [1] if len(classes) == 2 else [i for i in range(len(classes)) if 0 < truth[:, i].sum() < len(y)]
    return {
        "roc_auc": float(np.mean([metrics.roc_auc_score(truth[:, i], class_scores[:, i]) for i in ranked])),
        "average_precision": float(
            np.mean([metrics.average_precision_score(truth[:, i], class_scores[:, i]) for i in ranked])
        ),
    }


def one_hot(y: npt.ArrayLike, classes: Sequence[Any]) -> npt.NDArray[np.int64]:
    """Return shape (n, n_classes): 1 where the row is of the class, for two classes as well."""
    binary: npt.NDArray[np.int64] = label_binarize(y, classes=list(classes))
    return np.column_stack([1 - binary, binary]) if len(classes) == 2 else binary
