"""The pictures a run carries, under the same names for every estimator of a task.

Drawn by scikit-learn's own displays on figures of their own, so that nothing is shared between runs
and no screen is needed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    PredictionErrorDisplay,
    RocCurveDisplay,
)

from slipway.training.predictions import Predictions
from slipway.training.scores import one_hot
from slipway.training.spec import Task

MOST_CURVES = 10
MOST_CELLS_WITH_NUMBERS = 15
MOST_BARS = 25
CALIBRATION_BINS = 10


def plots(holdout: Predictions) -> Iterator[tuple[str, Figure]]:
    """Yield (name, figure) for what the predictions of the held-out rows show."""
    if holdout.task is Task.REGRESSION:
        yield (
            "predicted_vs_actual",
            _prediction_error(holdout, kind="actual_vs_predicted", title="Predicted and actual"),
        )
        yield "residuals", _prediction_error(holdout, kind="residual_vs_predicted", title="Residuals")
        return
    yield "confusion_matrix", _confusion_matrix(holdout)
    if holdout.class_scores is not None:
        yield "roc", _curves(holdout, RocCurveDisplay, title="ROC")
        yield "precision_recall", _curves(holdout, PrecisionRecallDisplay, title="Precision and recall")
    if holdout.are_probabilities:
        yield "calibration", _calibration(holdout)


def importance_plot(importance: pd.Series, *, metric: str) -> Figure:
    """Draw the most important features, the most important on top."""
    top = importance.sort_values().tail(MOST_BARS)
    figure, axes = _canvas("Permutation importance on held-out rows", height=max(3.0, 0.3 * len(top) + 1.2))
    axes.barh([str(name) for name in top.index], top.to_numpy())
    axes.set_xlabel(f"loss of {metric} when the feature is shuffled")
    axes.set_ylabel("feature")
    return figure


def _canvas(title: str, *, height: float = 4.8) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    return figure, axes


def _confusion_matrix(holdout: Predictions) -> Figure:
    many = len(holdout.classes) > MOST_CELLS_WITH_NUMBERS
    figure, axes = _canvas(f"Confusion matrix of {len(holdout.y)} held-out rows")
    ConfusionMatrixDisplay.from_predictions(
        holdout.y,
        holdout.labels,
        labels=list(holdout.classes),
        include_values=not many,
        xticks_rotation="vertical" if many else "horizontal",
        cmap="Blues",
        ax=axes,
    )
    axes.set(xlabel="predicted class", ylabel="true class")
    return figure


def _curves(holdout: Predictions, display: Any, *, title: str) -> Figure:
    """Draw one curve per class against the rest; for two classes, that of the second."""
    figure, axes = _canvas(title)
    truth, scores = one_hot(holdout.y, holdout.classes), np.asarray(holdout.class_scores)
    for i in _drawn_classes(holdout.classes, truth):
        display.from_predictions(truth[:, i], scores[:, i], name=str(holdout.classes[i]), ax=axes)
    is_roc = display is RocCurveDisplay
    axes.set(
        xlabel="false positive rate" if is_roc else "recall", ylabel="true positive rate" if is_roc else "precision"
    )
    axes.legend(loc="lower right" if is_roc else "lower left", fontsize="small", title="class")
    return figure


def _drawn_classes(classes: Sequence[Any], truth: Any) -> list[int]:
    """Choose the commonest classes, since twenty curves are none."""
    if len(classes) == 2:
        return [1]
    commonest = np.argsort(-truth.sum(axis=0), kind="stable")[:MOST_CURVES]
    return [int(i) for i in sorted(commonest) if truth[:, i].any()]


def _calibration(holdout: Predictions) -> Figure:
    """Draw whether a stated probability comes true: of the second of two classes, or of the predicted one."""
    scores = np.asarray(holdout.class_scores)
    classes = np.asarray(holdout.classes)
    if len(classes) == 2:
        came_true, stated, of = holdout.y == classes[1], scores[:, 1], f"class {classes[1]}"
    else:
        came_true = holdout.y == classes[scores.argmax(axis=1)]
        stated, of = scores.max(axis=1), "the likeliest class"
    figure, axes = _canvas("Calibration")
    CalibrationDisplay.from_predictions(
        came_true, stated, n_bins=CALIBRATION_BINS, strategy="quantile", name=of, ax=axes
    )
    axes.set(xlabel=f"predicted probability of {of}", ylabel="share that came true")
    return figure


def _prediction_error(holdout: Predictions, *, kind: str, title: str) -> Figure:
    figure, axes = _canvas(title)
    PredictionErrorDisplay.from_predictions(
        holdout.y, holdout.labels, kind=kind, ax=axes, scatter_kwargs={"alpha": 0.5, "s": 12}
    )
    return figure
