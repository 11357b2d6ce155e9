"""The constant that a trained model stands beside, in its run and in the table."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor

from slipway.training.baseline import constant_on_holdout, notes_beside_constant
from slipway.training.data import load
from slipway.training.log import metrics_of
from slipway.training.predictions import predictions
from slipway.training.train import TrainedModel, train
from tests.generators.datasets import churn, dataset_of, sources
from tests.unit.training.test_train import spec_for


@pytest.fixture
def weighted(tmp_path: Path) -> TrainedModel:
    """Return a model that finds the 8 % who leave."""
    return train(dataset_of(churn(), "churned", tmp_path), spec_for(params={"class_weight": "balanced"}))


def test_it_is_what_scikit_learns_dummies_say(weighted: TrainedModel):
    """The commonest class and the shares of the training rows, measured on the held-out ones; the mean of numbers."""
    numbers = train(load("sklearn:diabetes", "target", sources=sources()), spec_for(estimator="ridge"))
    for trained, dummy in ((weighted, DummyClassifier(strategy="prior")), (numbers, DummyRegressor())):
        dummy.fit(*trained.prepared.train_rows())
        expected = predictions(dummy, *trained.prepared.holdout_rows(), task=trained.prepared.task).scores()
        found = constant_on_holdout(trained).scores()
        assert found.keys() == expected.keys()
        assert np.allclose(list(found.values()), list(expected.values()))


def test_the_run_has_both(weighted: TrainedModel):
    """By accuracy the constant is ahead of a model that is better at all that counts."""
    metrics = metrics_of(weighted)
    assert metrics["baseline_balanced_accuracy"] == 0.5
    assert metrics["baseline_accuracy"] > metrics["holdout_accuracy"]
    assert metrics["holdout_balanced_accuracy"] > 0.8


def test_who_is_no_better_is_told(weighted: TrainedModel):
    """At once, and not first by a gate."""
    assert notes_beside_constant({"holdout_balanced_accuracy": 0.8}, {"holdout_balanced_accuracy": 0.5}) == ()
    assert notes_beside_constant({"holdout_rmse": 1.0}, {"holdout_rmse": 2.0}) == ()
    for name, value in (("holdout_balanced_accuracy", 0.5), ("holdout_rmse", 2.0)):
        (note,) = notes_beside_constant({name: value}, {name: value})
        assert f"{name} {value:.4g} against {value:.4g}" in note
    assert notes_beside_constant({}, {}) == ()
