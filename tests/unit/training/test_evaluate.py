"""What a version that is measured may do: answer, or be told of by its name."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from sklearn.linear_model import LinearRegression

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.registry.version import deleted_version
from slipway.training.dataset import Dataset
from slipway.training.evaluate import evaluate
from slipway.training.spec import Task


class Raising:
    """A model that raises on every row."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def predict(self, features: pd.DataFrame) -> Any:
        raise self.error


@dataclass
class Loaded:
    """A version that was loaded, of which nobody knows what it was trained on."""

    version: Any
    model: Any
    columns: tuple[str, ...] = ("x",)

    def train_ids(self) -> None:
        return None

    def reading(self) -> Reading:
        return Reading()

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        return features


@pytest.mark.parametrize(
    ("error", "said"),
    [(AttributeError("no such thing\nline"), "no such thing"), (KeyError(), "KeyError"), (RuntimeError("r"), "r")],
)
def test_a_model_that_raises_is_an_error_of_the_rows_and_no_traceback(error: Exception, said: str):
    """Whatever somebody else's model raises."""
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    ids = np.array([1, 2], dtype=np.uint64)
    dataset = Dataset(frame=frame, target="y", name="d", source="d.csv", digest="d", schema=(), ids=ids)
    version = deleted_version("churn", 1, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidInput, match=rf"^churn/1 cannot predict these rows: {said}$"):
        evaluate(Loaded(version, Raising(error)), dataset)


class Constant:
    """A model that answers 1 to every row."""

    def predict(self, features: pd.DataFrame) -> Any:
        return np.ones(len(features), dtype=int)


def dataset_of(y: list[Any]) -> Dataset:
    """Return rows of one feature."""
    frame = pd.DataFrame({"x": np.arange(len(y), dtype=float), "y": y})
    ids = np.arange(len(y), dtype=np.uint64)
    return Dataset(frame=frame, target="y", name="d", source="d.csv", digest="d", schema=(), ids=ids)


def test_a_regressor_is_measured_as_one_whatever_the_rows_look_like():
    """Whole numbers among its targets are amounts to it."""
    model = LinearRegression().fit([[0.0], [1.0]], [0, 1])
    version = deleted_version("churn", 1, datetime(2026, 1, 1, tzinfo=UTC))
    assert evaluate(Loaded(version, model), dataset_of([0, 1, 2])).task is Task.REGRESSION


def test_a_column_of_labels_is_measured_as_labels():
    """CatBoost answers several classes so, in its own flavor."""
    rows = np.arange(30.0)[:, None]
    labels = np.repeat(["a", "b", "c"], 10)
    model = CatBoostClassifier(n_estimators=5, verbose=0, allow_writing_files=False).fit(rows, labels)
    assert model.predict(rows).shape == (30, 1)
    version = deleted_version("churn", 1, datetime(2026, 1, 1, tzinfo=UTC))
    found = evaluate(Loaded(version, model), dataset_of(labels.tolist()))
    assert found.predictions.labels.shape == (30,)
    assert found.scores["accuracy"] > 0.9


@pytest.mark.parametrize(
    ("tag", "classes", "task"),
    [
        ("regression", (0, 1), Task.CLASSIFICATION),
        ("regression", (), Task.REGRESSION),
        ("whatever anybody wrote", (), Task.CLASSIFICATION),
        (None, (), Task.CLASSIFICATION),
    ],
)
def test_the_task_is_what_the_model_shows(tag: str | None, classes: tuple[int, ...], task: Task):
    """Then what its version is tagged with, where that is a task; then what the rows suggest."""
    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    ids = np.array([1, 2], dtype=np.uint64)
    dataset = Dataset(frame=frame, target="y", name="d", source="d.csv", digest="d", schema=(), ids=ids)
    version = replace(
        deleted_version("churn", 1, datetime(2026, 1, 1, tzinfo=UTC)), tags={"slipway.task": tag} if tag else {}
    )
    model = Constant()
    model.classes_ = classes
    assert evaluate(Loaded(version, model), dataset).task is task
