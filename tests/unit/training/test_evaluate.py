"""What a version that is measured may do: answer, or be told of by its name."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from mlflow.types import DataType
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.mlflow_model import StoredModel
from slipway.registry.reading import Reading
from slipway.registry.rows import row_ids
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


def version_of(model: Any, known: list[int] | None = None) -> Loaded:
    """Return a version with that model, trained on the rows with some numbers."""
    loaded = Loaded(deleted_version("churn", 1, datetime(2026, 1, 1, tzinfo=UTC)), model)
    if known is not None:
        ids = np.sort(row_ids(pd.DataFrame({"x": np.array(known, dtype=float)})))
        loaded.train_ids = lambda: (ids, ("x",))
    return loaded


def classifier(classes: tuple[Any, ...]) -> Any:
    """Return a model of some classes that answers the first."""
    return DummyClassifier(strategy="constant", constant=classes[0]).fit(np.zeros((len(classes), 1)), classes)


@pytest.mark.parametrize(
    ("classes", "y", "said"),
    [
        (
            ("ja", "nein"),
            ["ja", "nein", "vielleicht"],
            "answers 'ja', 'nein', and target 'y' has another class in 1 of 3 rows",
        ),
        ((0, 1), ["0", "1", "1"], "answers '0', '1', and target 'y' has another class in 3 of 3 rows: '0', '1'"),
        ((0, 1), [0, 1, 7], "in 1 of 3 rows: '7'"),
    ],
)
def test_classes_that_the_model_does_not_know_are_refused(classes: tuple, y: list, said: str):
    """In one line, with those that it knows: its ranks of them are not defined."""
    with pytest.raises(InvalidInput, match=said):
        evaluate(version_of(classifier(classes)), dataset_of(y))


def test_rows_that_were_never_seen_are_measured_apart():
    """What was learned by heart says nothing of them."""
    found = evaluate(version_of(Constant(), known=[0, 1, 2, 3]), dataset_of([1, 1, 1, 1, 0, 1]))
    assert (found.rows_trained_on, found.scores["accuracy"]) == (4, 5 / 6)
    assert found.scores_unseen["accuracy"] == 0.5
    ranked = evaluate(version_of(classifier((1, 0)), known=[0, 1]), dataset_of([1, 0, 1, 0]))
    assert (ranked.scores_unseen["accuracy"], ranked.scores_unseen["roc_auc"]) == (0.5, 0.5)


@pytest.mark.parametrize("known", [None, [], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4], [0, 4]])
def test_what_cannot_be_measured_apart_is_not(known: list[int] | None):
    """Nobody knows which, none or all were seen, and one row or rows of one class."""
    found = evaluate(version_of(Constant(), known), dataset_of([0, 1, 1, 1, 0, 1]))
    assert found.scores_unseen == {}


def test_text_where_numbers_are_taken_is_refused_by_name():
    """The column, how many rows, and the first value; a column without a value is missing everywhere."""
    stored = StoredModel(Constant(), {"x": DataType.double, "n": DataType.long}, "predict", None)
    rows = pd.DataFrame({"x": ["1.5", "k.A.", None], "n": [1.0, 2.0, 3.0]})
    with pytest.raises(
        InvalidInput, match=r"numbers in 'x', and 1 of 3 rows hold something else there, such as 'k\.A\.'"
    ):
        stored.fitting(rows)
    with pytest.raises(InvalidInput, match=r"numbers in 'n', and 3 of 3 rows hold something else there, such as '7'"):
        stored.fitting(pd.DataFrame({"x": [1.5] * 3, "n": ["7", "8", "9"]}))
    empty = stored.fitting(pd.DataFrame({"x": pd.Series([None, None], dtype="str"), "n": [1.0, 2.0]}))
    assert [str(kind) for kind in empty.dtypes] == ["float64", "int64"]
