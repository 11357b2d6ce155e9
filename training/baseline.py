"""The constant that a trained model stands beside: what the training rows tell without any feature.

The commonest class with the classes' shares as probabilities, or the mean: measured on the held-out rows by the same
metrics, so that everybody who reads a score sees what it is worth.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.training.predictions import Predictions
from slipway.training.scores import Floats
from slipway.training.spec import Task
from slipway.training.train import TrainedModel

# What tells a model from a constant, and in which direction: of right answers alone a rare class has too few.
TOLD_BY = {"holdout_balanced_accuracy": 1, "holdout_rmse": -1}


def constant_on_holdout(trained: TrainedModel) -> Predictions:
    """Return what the constant says of the held-out rows."""
    learned, asked = trained.on_train.y, trained.on_holdout.y
    if trained.prepared.task is Task.REGRESSION:
        return _predictions(trained, np.full(len(asked), np.asarray(learned, dtype=float).mean()), None)
    names, counts = np.unique(learned, return_counts=True)
    known = dict(zip(names.tolist(), counts / len(learned), strict=True))
    shares = np.array([known.get(name, 0.0) for name in np.asarray(trained.on_holdout.classes).tolist()])
    return _predictions(trained, np.repeat(names[counts.argmax()], len(asked)), np.tile(shares, (len(asked), 1)))


def notes_beside_constant(scores: Mapping[str, float], constants: Mapping[str, float]) -> tuple[str, ...]:
    """Say where a model's scores are no better than those of a constant, by what no constant can meet."""
    name = next((each for each in TOLD_BY if each in scores and each in constants), None)
    if name is None or (scores[name] - constants[name]) * TOLD_BY[name] > 0:
        return ()
    return (
        f"it is no better than a constant, which looks at no feature: {name} {scores[name]:.4g} against "
        f"{constants[name]:.4g}; the default policy lets no such version into production",
    )


def _predictions(trained: TrainedModel, labels: npt.NDArray[Any], class_scores: Floats | None) -> Predictions:
    return Predictions(
        task=trained.prepared.task,
        y=trained.on_holdout.y,
        labels=labels,
        classes=trained.on_holdout.classes,
        class_scores=class_scores,
        are_probabilities=True,
    )
