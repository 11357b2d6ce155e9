"""Two versions side by side, the better marked by the metric's direction."""

import pytest

from slipway.registry.metrics import DIRECTIONS, HEADLINE, direction_of
from slipway.registry.model_registry import Measured
from slipway.registry.versions.compare import SameRows, compare


def test_the_better_is_marked_by_direction():
    """More accuracy is better, more error is worse, on training rows nothing is better."""
    a = Measured(metrics={"holdout_accuracy": 0.9, "holdout_rmse": 2.0, "train_accuracy": 1.0}, params={})
    b = Measured(metrics={"holdout_accuracy": 0.8, "holdout_rmse": 1.0, "train_accuracy": 0.9}, params={})
    assert {row.name: row.better for row in compare(a, b).metrics} == {
        "holdout_accuracy": "a",
        "holdout_rmse": "b",
        "train_accuracy": None,
    }


def test_equal_absent_and_unknown_metrics_have_no_better():
    """Nothing is claimed that is not known."""
    a = Measured(metrics={"holdout_f1": 0.5, "holdout_r2": 0.1, "wall_seconds": 3.0}, params={})
    b = Measured(metrics={"holdout_f1": 0.5, "wall_seconds": 2.0}, params={})
    assert [(row.name, row.better) for row in compare(a, b).metrics] == [
        ("holdout_f1", None),
        ("holdout_r2", None),
        ("wall_seconds", None),
    ]


def test_parameters_that_differ_come_first():
    """They are what somebody looks for."""
    a = Measured(metrics={}, params={"seed": "0", "cv": "5", "z": "1"})
    b = Measured(metrics={}, params={"seed": "0", "cv": "3"})
    assert [(row.name, row.differs) for row in compare(a, b).params] == [("cv", True), ("z", True), ("seed", False)]


def test_every_headline_metric_has_a_direction():
    """A table without one could not mark the better."""
    assert all(direction_of(name) for names in HEADLINE.values() for name in names)
    assert all(direction_of(f"eval_{name}") is direction for name, direction in DIRECTIONS.items())


OLD = {"slipway.data_digest": "d", "slipway.holdout_scheme": "s"}
NEW = {**OLD, "slipway.holdout_rows": "r"}


@pytest.mark.parametrize(
    ("a", "b", "rows", "better"),
    [
        (NEW, NEW, SameRows.SAME, "a"),
        (NEW, {**NEW, "slipway.data_digest": "a column more"}, SameRows.SAME, "a"),
        (NEW, {**NEW, "slipway.holdout_rows": "others"}, SameRows.DIFFERENT, None),
        (OLD, OLD, SameRows.SAME, "a"),
        (OLD, NEW, SameRows.SAME, "a"),
        (OLD, {**OLD, "slipway.data_digest": "other"}, SameRows.UNKNOWN, "a"),
        ({}, {}, SameRows.UNKNOWN, "a"),
    ],
)
def test_on_other_rows_nothing_is_better(a: dict, b: dict, rows: SameRows, better: str | None):
    """Easier rows make no better model; where no run says which rows they were, that is said."""
    of_a, of_b = (
        Measured(metrics={"holdout_accuracy": value}, params={}, tags=tags) for value, tags in ((0.9, a), (0.8, b))
    )
    found = compare(of_a, of_b)
    assert (found.rows, found.metrics[0].better) == (rows, better)
