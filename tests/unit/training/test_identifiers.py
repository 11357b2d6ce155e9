"""Columns that name rows, or what several rows are about, are told from features."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from slipway.training.dataset import ColumnSchema, kind_of
from slipway.training.identifiers import group_notes, identifier_notes

ROWS = 300
RNG = np.random.default_rng(0)
CUSTOMER = RNG.integers(0, 60, ROWS)


def table(**columns: object) -> pd.DataFrame:
    """Return visits of sixty customers: what belongs to the visit, and the given columns."""
    visits = {"minutes": RNG.normal(size=ROWS), "pages": RNG.integers(1, 90, ROWS).astype(float)}
    return pd.DataFrame({**visits, "y": RNG.integers(0, 2, ROWS), **columns})


def schema(frame: pd.DataFrame) -> list[ColumnSchema]:
    """Return every column but the target."""
    return [ColumnSchema(name=name, kind=kind_of(frame[name])) for name in frame.columns if name != "y"]


@pytest.mark.parametrize(
    "columns",
    [
        {"n": np.arange(ROWS, dtype=float)},
        {"n": np.arange(ROWS, 0, -1.0) * 1000},
        {"n": RNG.permutation(ROWS) + 5000.0},
        {"order_no_id": RNG.choice(10**9, ROWS, replace=False).astype(float)},
        {"n": [f"c{i}" for i in range(ROWS)]},
        {"id": np.r_[np.nan, RNG.choice(10**9, ROWS - 1, replace=False).astype(float)]},
    ],
)
def test_what_numbers_the_rows_is_warned_of(columns: dict):
    """Whole numbers in a row, in any order or called like an identifier; text of its own in every row."""
    frame = table(**columns)
    notes = list(identifier_notes(frame, schema(frame)))
    assert len(notes) == 1
    assert f"probably identifiers: '{next(iter(columns))}'" in notes[0]


@pytest.mark.parametrize("rows", [10, ROWS])
@pytest.mark.parametrize("name", ["Unnamed: 0", "Unnamed: 0_level_1", "index"])
def test_an_index_that_was_exported_is_named(name: str, rows: int):
    """However few rows there are, and whatever numbers are left of it; once."""
    frame = table(**{name: RNG.permutation(ROWS) * 3.0}).head(rows)
    assert list(identifier_notes(frame, schema(frame))) == [
        f"columns without a name, probably row numbers that were exported with the rows: '{name}'; they are features "
        f"all the same: drop={name} leaves it out"
    ]


@pytest.mark.parametrize(
    "columns",
    [
        {"cents": RNG.choice(10**9, ROWS, replace=False).astype(float)},
        {"ratio": np.arange(ROWS) / 7},
        {"age": RNG.integers(18, 90, ROWS).astype(float)},
        {"n": np.r_[np.nan, np.arange(ROWS - 1.0)] / 3},
    ],
)
def test_what_measures_something_is_no_identifier(columns: dict):
    """Large amounts differ from row to row too."""
    frame = table(**columns)
    assert list(identifier_notes(frame, schema(frame))) == []


@pytest.mark.parametrize(
    "columns",
    [
        {"customer_id": CUSTOMER.astype(float)},
        {"customerId": [f"c{i}" for i in CUSTOMER]},
        {"who": CUSTOMER * 7919.0 + 13, "born": 1950 + CUSTOMER % 9 * 1.0, "town": [f"t{i % 7}" for i in CUSTOMER]},
        {"who": CUSTOMER * 1.0, "y": CUSTOMER % 2},
    ],
)
def test_groups_on_both_sides_are_warned_of(columns: dict):
    """By name, by what belongs to all rows of one value, or by their target."""
    frame = table(**columns)
    notes = list(group_notes(frame, schema(frame), np.arange(0, ROWS, 5), "y"))
    assert len(notes) == 1
    assert f"'{next(iter(columns))}'; held-out rows are then not new to the model: name one as key" in notes[0]


def test_groups_that_stay_on_one_side_are_fine():
    """Whoever holds out by another key that agrees with them need not be told."""
    frame = table(customer_id=CUSTOMER.astype(float))
    assert list(group_notes(frame, schema(frame), np.flatnonzero(CUSTOMER < 12), "y")) == []


def test_age_and_year_of_birth_name_nobody():
    """Each tells the other, and both measure something."""
    age = RNG.integers(18, 90, ROWS).astype(float)
    frame = table(age=age, born=2026 - age, adult=age > 30)
    assert list(group_notes(frame, schema(frame), np.arange(0, ROWS, 5), "y")) == []


@pytest.mark.parametrize("read", [load_breast_cancer, load_wine, load_digits])
def test_real_data_without_identifiers_has_no_warning(read: object):
    """Nobody reads warnings that are always there."""
    frame = read(as_frame=True).frame.rename(columns={"target": "y"})
    holdout = np.arange(0, len(frame), 5)
    assert [*identifier_notes(frame, schema(frame)), *group_notes(frame, schema(frame), holdout, "y")] == []
