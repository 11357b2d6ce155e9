"""What a fitted pipeline says of rows: computed once, then measured, plotted and profiled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.training.scores import Floats, scores
from slipway.training.spec import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """Truth and prediction for n rows.

    `y`, `labels`: shape (n,). `class_scores`: shape (n, n_classes) in the order of `classes`,
    probabilities or decision values, or `None`.
    """

    task: Task
    y: npt.NDArray[Any]
    labels: npt.NDArray[Any]
    classes: Sequence[Any]
    class_scores: Floats | None
    are_probabilities: bool

    def scores(self) -> dict[str, float]:
        """Return metric name → value, as `slipway.training.scores` defines them."""
        return scores(
            self.task,
            self.y,
            self.labels,
            class_scores=self.class_scores,
            probabilities=self.are_probabilities,
            classes=self.classes,
        )


def predictions(pipeline: Any, features: pd.DataFrame, y: npt.ArrayLike, *, task: Task) -> Predictions:
    """Predict every row of `features`, with class scores where the estimator has them.

    `pipeline` is anything with scikit-learn's `predict`; without its `classes_`, the classes are those seen.
    """
    is_classification = task is Task.CLASSIFICATION
    truth, labels = np.asarray(y), np.asarray(pipeline.predict(features))
    if labels.shape == (len(truth), 1):  # as CatBoost answers several classes
        labels = labels[:, 0]
    return Predictions(
        task=task,
        y=truth,
        labels=labels,
        classes=_classes(pipeline, truth, labels) if is_classification else (),
        class_scores=_class_scores(pipeline, features) if is_classification else None,
        are_probabilities=hasattr(pipeline, "predict_proba"),
    )


def _classes(pipeline: Any, truth: npt.NDArray[Any], labels: npt.NDArray[Any]) -> Sequence[Any]:
    return list(getattr(pipeline, "classes_", np.union1d(truth, labels)))


def _class_scores(pipeline: Any, features: pd.DataFrame) -> Floats | None:
    if hasattr(pipeline, "predict_proba"):
        return np.asarray(pipeline.predict_proba(features), dtype=float)
    if not hasattr(pipeline, "decision_function"):
        return None
    decisions = np.asarray(pipeline.decision_function(features), dtype=float)
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions
