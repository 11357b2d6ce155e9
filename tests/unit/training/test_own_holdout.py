"""Held-out rows of a model of one's own: written as a gate reads them, or refused with what is wrong."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import SlipwayError
from slipway.registry.gate.holdout_record import HoldoutRecord, read_holdout
from slipway.registry.rows import row_ids
from slipway.training.own_holdout import own_holdout, write

HELD = pd.DataFrame({"id": [1, 2, 3], "age": [31.5, 40.0, np.nan], "plan": ["basic", None, "gold"], "y": [0, 1, 1]})
TRAIN = pd.DataFrame({"id": [4, 5], "age": [20.0, 21.0], "plan": ["basic", "gold"]})


def record(folder: Path, frame: pd.DataFrame = HELD, *, target: str = "y", train=None, key=None) -> HoldoutRecord:
    """Write rows, and return what a gate reads."""
    write(own_holdout(frame, target, train, key), folder)
    found = read_holdout(folder)
    assert found is not None
    return found


def test_what_is_written_is_what_a_gate_reads(tmp_path: Path):
    """Rows with their values and types, whatever their index, and the ids of both sides."""
    found = record(tmp_path, HELD.set_index(pd.Index([7, 8, 9])), train=TRAIN)
    assert (found.target, found.columns, found.key) == ("y", ("id", "age", "plan"), None)
    pd.testing.assert_frame_equal(found.stored_rows(), HELD)
    assert sorted(row_ids(TRAIN).tolist()) == found.train_ids.tolist()


def test_by_a_key_rows_are_told_apart_by_it_alone(tmp_path: Path):
    """Training rows need no other column then."""
    found = record(tmp_path, train=TRAIN[["id"]], key="id")
    assert (found.key, found.columns) == ("id", ("id",))
    assert found.holdout_ids.tolist() == sorted(row_ids(HELD[["id"]]).tolist())


def test_training_rows_that_nobody_told_are_not_none(tmp_path: Path):
    """No row would be one that the model was trained on."""
    assert record(tmp_path).train_ids is None


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b", "a"], dtype="category"),
        pd.Series([True, None, False], dtype="boolean"),
        pd.Series([1, 2, 3], dtype="int8"),
        pd.Series([0.1, 0.2, 0.3], dtype="float32"),
        pd.to_datetime(pd.Series(["2026-01-01", "2026-02-01", None]), utc=True),
        pd.Series([b"a", b"b", b"c"]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_columns_of_every_kind_come_back(tmp_path: Path, column: pd.Series):
    """With the identifiers that they had."""
    frame = HELD.assign(more=column)
    assert row_ids(record(tmp_path, frame).stored_rows()).tolist() == row_ids(frame).tolist()


@pytest.mark.parametrize(
    ("frame", "more", "said"),
    [
        ([[1, 2]], {}, "the held-out rows are a list, and a pandas DataFrame is needed"),
        (HELD.head(0), {}, "the held-out rows are empty: 0 rows, 4 columns"),
        (HELD, {"target": "yy"}, "the held-out rows have no column 'yy' (did you mean 'y'?)"),
        (HELD, {"key": "idd"}, "the held-out rows have no column 'idd' (did you mean 'id'?)"),
        (HELD, {"key": "y"}, "'y' is named as key and as target"),
        (HELD, {"key": "plan"}, "key 'plan' is missing in 1 of 3 rows of the held-out rows"),
        (HELD[["y"]], {}, "have no column but the target 'y'"),
        (HELD.assign(y=np.nan), {}, "no held-out row has a target: 'y' is missing in all 3"),
        (pd.concat([HELD, HELD[["age"]]], axis=1), {}, "have a column twice: 'age'"),
        (HELD.assign(more=[[1], [2], [3]]), {}, "hold values that have no identifier"),
        (HELD.assign(more=[1, "a", 2.5]), {}, "Parquet does not hold these rows"),
        (HELD, {"train": TRAIN.drop(columns="age")}, "train have no column 'age'"),
        (HELD, {"train": HELD}, "all 3 held-out rows are among the training rows too"),
    ],
)
def test_rows_that_cannot_be_used_are_refused(tmp_path: Path, frame: pd.DataFrame, more: dict, said: str):
    """In one line, before anything is stored with a run."""
    with pytest.raises(SlipwayError) as refused:
        record(tmp_path, frame, **more)
    assert said in refused.value.message


def test_rows_on_both_sides_are_told(tmp_path: Path):
    """A random split of a table with equal rows has some; they are no reason to refuse."""
    train = pd.concat([TRAIN, HELD.head(1)])
    with pytest.warns(UserWarning, match="1 of 3 held-out rows are among the training rows too"):
        record(tmp_path, train=train)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (tmp_path / "other").mkdir()
        record(tmp_path / "other", train=TRAIN)
