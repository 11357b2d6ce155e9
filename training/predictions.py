"""What a fitted pipeline says of rows: computed once, then measured, plotted and profiled."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from training.scores import Floats, scores
from training.spec import Task


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
        """Return metric name → value, as `training.scores` defines them."""
        return scores(
            self.task,
            self.y,
            self.labels,
            class_scores=self.class_scores,
            probabilities=self.are_probabilities,
            classes=self.classes,
        )


def predictions(pipeline: Pipeline, features: pd.DataFrame, y: npt.ArrayLike, *, task: Task) -> Predictions:
    """Predict every row of `features`, with class scores where the estimator has them."""
    class_scores = _class_scores(pipeline, features) if task is Task.CLASSIFICATION else None
    return Predictions(
        task=task,
        y=np.asarray(y),
        labels=np.asarray(pipeline.predict(features)),
        classes=list(pipeline.classes_) if task is Task.CLASSIFICATION else (),
        class_scores=class_scores,
        are_probabilities=hasattr(pipeline, "predict_proba"),
    )


def _class_scores(pipeline: Pipeline, features: pd.DataFrame) -> Floats | None:
    if hasattr(pipeline, "predict_proba"):
        return np.asarray(pipeline.predict_proba(features), dtype=float)
    if not hasattr(pipeline, "decision_function"):
        return None
    decisions = np.asarray(pipeline.decision_function(features), dtype=float)
    return np.column_stack([-decisions, decisions]) if decisions.ndim == 1 else decisions
