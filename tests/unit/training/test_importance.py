"""How much features matter is measured within a time, the likeliest first, and what was left out is said."""

from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.training.importance import importance_of
from slipway.training.spec import parse_spec
from slipway.training.train import TrainedModel, train
from tests.generators.datasets import customers, dataset_of


def trained_on(frame: pd.DataFrame, target: str, folder: Path, **parameters: object) -> TrainedModel:
    """Train a small model."""
    given = {"data": "d", "target": target, "model": "m", "estimator": "ridge", **parameters}
    return train(dataset_of(frame, target, folder), parse_spec(given))


def wide(columns: int = 120, rows: int = 1000) -> pd.DataFrame:
    """Return many columns of noise, of which the last two decide."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({f"c{i}": rng.normal(size=rows) for i in range(columns)})
    return frame.assign(y=np.where(frame[f"c{columns - 1}"] + 2 * frame[f"c{columns - 2}"] > 0, "a", "b"))


def test_what_decides_matters_most(tmp_path: Path):
    """Age and city decide who leaves; the rest is noise."""
    found = importance_of(trained_on(customers(), "churned", tmp_path, estimator="random_forest", key="id"))
    assert set(found.losses.sort_values().index[-2:]) == {"age", "city"}
    assert (found.left_out, list(found.notes())) == ((), [])


def test_time_bounds_it_and_what_was_left_out_is_said(tmp_path: Path):
    """After three features the time is over; those that decide came first."""
    seconds = count()
    found = importance_of(trained_on(wide(), "y", tmp_path, importance_seconds=6), clock=lambda: next(seconds))
    assert len(found.losses) == 3
    assert {"c118", "c119"} <= set(found.losses.index)
    assert len(found.left_out) == 117
    assert "of 117 of 120 features was not measured within 6 s" in next(found.notes())


def test_without_time_nothing_is_measured(tmp_path: Path):
    """Zero seconds turn it off, and nobody is told of what they asked for."""
    found = importance_of(trained_on(customers(), "churned", tmp_path, importance_seconds=0))
    assert (len(found.losses), len(found.left_out), list(found.notes())) == (0, 5, [])


def test_what_is_measured_does_not_depend_on_the_time(tmp_path: Path):
    """A feature that was reached has the value that it has with all the time in the world."""
    seconds = count()
    trained = trained_on(wide(), "y", tmp_path, importance_seconds=4)
    some = importance_of(trained, clock=lambda: next(seconds)).losses
    every = importance_of(trained, clock=lambda: 0.0).losses
    pd.testing.assert_series_equal(every[some.index], some)
    assert len(every) == 120


@pytest.mark.parametrize("target", ["income", "churned"])
def test_both_tasks_and_missing_values_are_ordered(tmp_path: Path, target: str):
    """Numbers and classes, text with missing values, truth values."""
    frame = customers().dropna(subset=["income"]).join(wide(rows=400).drop(columns="y"))
    found = importance_of(trained_on(frame, target, tmp_path, key="id", importance_seconds=1))
    assert len(found.losses) + len(found.left_out) == 124
