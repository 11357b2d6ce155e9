"""Metrics have the same names for every estimator, and leave out what cannot be known."""

import numpy as np
import pytest

from slipway.training.scores import scores
from slipway.training.spec import Task

DECISIONS = {"accuracy", "balanced_accuracy", "precision", "recall", "f1"}
RANKINGS = {"roc_auc", "average_precision"}


def test_regression_is_measured_in_the_targets_unit():
    """Errors of 0, 0 and 3 have a root mean square of sqrt(3) and a mean of 1."""
    found = scores(Task.REGRESSION, [1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    assert found["rmse"] == pytest.approx(3**0.5)
    assert found["mae"] == pytest.approx(1.0)
    assert found["max_error"] == 3.0
    assert set(found) == {"rmse", "mae", "median_absolute_error", "max_error", "r2"}


def test_without_class_scores_only_decisions_are_measured():
    """An estimator that only decides is not given a ranking."""
    assert set(scores(Task.CLASSIFICATION, [0, 1], [0, 1], classes=[0, 1])) == DECISIONS


def test_decision_values_are_ranked_but_not_calibrated():
    """Log loss needs probabilities."""
    found = scores(
        Task.CLASSIFICATION,
        [0, 1, 1],
        [0, 1, 0],
        class_scores=np.array([[1, -1], [-2, 2], [1, 0]]),
        classes=[0, 1],
    )
    assert set(found) == DECISIONS | RANKINGS
    assert found["roc_auc"] == 1.0


def test_a_common_class_does_not_hide_a_rare_one():
    """Nine right of the common class and one wrong of the rare: accuracy 0.9, balanced 0.5."""
    found = scores(Task.CLASSIFICATION, ["a"] * 9 + ["b"], ["a"] * 10, classes=["a", "b"])
    assert found["accuracy"] == pytest.approx(0.9)
    assert found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["recall"] == pytest.approx(0.5)


def test_many_classes_are_averaged_one_against_the_rest():
    """Perfect probabilities of three classes score 1, also where a class is absent from the rows."""
    perfect = np.eye(3)[[0, 1, 2, 0]]
    found = scores(
        Task.CLASSIFICATION,
        ["a", "b", "c", "a"],
        ["a", "b", "c", "a"],
        class_scores=perfect,
        probabilities=True,
        classes=["a", "b", "c"],
    )
    assert found["roc_auc"] == 1.0
    assert found["log_loss"] == pytest.approx(0.0, abs=1e-9)
    absent = scores(
        Task.CLASSIFICATION,
        ["a", "b"],
        ["a", "b"],
        class_scores=np.eye(3)[:2],
        probabilities=True,
        classes=["a", "b", "c"],
    )
    assert absent["roc_auc"] == 1.0
