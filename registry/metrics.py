"""Which direction of a metric is better, and which few metrics a table shows."""

import enum
import math
from collections.abc import Mapping


class Direction(enum.Enum):
    """Whether more of a metric is better or worse."""

    HIGHER_IS_BETTER = "higher"
    LOWER_IS_BETTER = "lower"


HIGHER = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "r2")
LOWER = ("log_loss", "brier", "rmse", "mae", "pinball", "median_absolute_error", "max_error")
DIRECTIONS: Mapping[str, Direction] = {
    **dict.fromkeys(HIGHER, Direction.HIGHER_IS_BETTER),
    **dict.fromkeys(LOWER, Direction.LOWER_IS_BETTER),
}
# MLflow (3.17) stores an infinity as the largest double, of its sign; a database may round its last digits.
NO_MEASUREMENT_FROM = 1.797e308
SIDES = ("train_", "cv_", "holdout_", "eval_unseen_", "eval_")
HEADLINE: Mapping[str, tuple[str, ...]] = {
    "classification": ("holdout_accuracy", "holdout_f1", "holdout_roc_auc"),
    "regression": ("holdout_rmse", "holdout_mae", "holdout_r2"),
}

# What is told of one training, beside a constant: there is room, and right answers alone tell nothing of a rare class.
OF_A_TRAINING: Mapping[str, tuple[str, ...]] = {
    "classification": ("holdout_balanced_accuracy", *HEADLINE["classification"]),
    "regression": HEADLINE["regression"],
}


def direction_of(metric: str) -> Direction | None:
    """Return the direction of a metric, with or without its side; `None` where nothing is known of it.

    >>> direction_of("holdout_rmse")
    <Direction.LOWER_IS_BETTER: 'lower'>
    >>> direction_of("wall_seconds") is None
    True
    """
    for side in SIDES:
        metric = metric.removeprefix(side)
    return DIRECTIONS.get(metric)


def is_measurement(value: float) -> bool:
    """Return whether a recorded value is a number: finite, and no infinity as MLflow stores it.

    >>> is_measurement(0.9), is_measurement(float("nan")), is_measurement(-1.7976931348623157e308)
    (True, False, False)
    """
    return math.isfinite(value) and abs(value) < NO_MEASUREMENT_FROM
