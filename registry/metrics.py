"""Which direction of a metric is better, and which few metrics a table shows."""

import enum
from collections.abc import Mapping


class Direction(enum.Enum):
    """Whether more of a metric is better or worse."""

    HIGHER_IS_BETTER = "higher"
    LOWER_IS_BETTER = "lower"


HIGHER = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "r2")
LOWER = ("log_loss", "rmse", "mae", "median_absolute_error", "max_error")
DIRECTIONS: Mapping[str, Direction] = {
    **dict.fromkeys(HIGHER, Direction.HIGHER_IS_BETTER),
    **dict.fromkeys(LOWER, Direction.LOWER_IS_BETTER),
}
SIDES = ("train_", "cv_", "holdout_", "eval_")
HEADLINE: Mapping[str, tuple[str, ...]] = {
    "classification": ("holdout_accuracy", "holdout_f1", "holdout_roc_auc"),
    "regression": ("holdout_rmse", "holdout_mae", "holdout_r2"),
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
