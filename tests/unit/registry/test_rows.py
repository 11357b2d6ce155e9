"""A row's id depends on its values and the names of its columns, and on nothing else."""

from datetime import UTC, datetime
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from slipway.registry.rows import content_digest, row_ids

CELLS = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(max_size=5), st.booleans())


def one(value: object, dtype: object = None) -> int:
    """Return the id of a row with one value."""
    return int(row_ids(pd.DataFrame({"a": pd.Series([value], dtype=dtype)}))[0])


def test_ids_are_what_they_always_were():
    """The ids are stored with every version: another result would be another scheme."""
    frame = pd.DataFrame({"n": [1.5, -2.0, np.nan], "s": ["x", None, "ü"], "b": [True, False, True]})
    assert row_ids(frame).tolist() == [15666302335522835676, 11629963036033368148, 6801351418059904797]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((5, "int8"), (5.0, "float64")),
        ((5, "uint64"), (5, "Int64")),
        ((True, "bool"), (1, "int64")),
        ((True, "boolean"), (1.0, "float32")),
        ((0.0, "float64"), (-0.0, "float64")),
        ((None, object), (np.nan, "float64")),
        ((pd.NA, "Int64"), (pd.NaT, "datetime64[ns]")),
        ((None, "str"), (None, "category")),
        (("x", object), ("x", "str")),
        (("x", "category"), ("x", "string")),
        ((5, object), (Decimal(5), object)),
        ((Decimal("0.5"), object), (0.5, "float32")),
        ((pd.Timestamp("2026-01-01"), "datetime64[s]"), (pd.Timestamp("2026-01-01", tz="UTC"), "datetime64[ns, UTC]")),
        ((datetime(2026, 1, 1, tzinfo=UTC), object), (pd.Timestamp("2026-01-01"), "datetime64[ns]")),
    ],
)
def test_the_same_value_in_another_type_has_the_same_id(left: tuple, right: tuple):
    """CSV, Parquet and SQL hold the same rows in different types."""
    assert one(*left) == one(*right)


@pytest.mark.parametrize(
    ("left", "right"),
    [(2**53, 2**53 + 1), (1, "1"), (0.1, 0.2), ("a", "b"), (None, 0), (None, ""), (np.inf, -np.inf), (0.5, 1)],
)
def test_different_values_have_different_ids(left: object, right: object):
    """Whole numbers beyond 2^53 too, which doubles do not tell apart."""
    assert one(left) != one(right)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8), st.randoms())
def test_neither_row_nor_column_order_matters(rows: list, random):
    """Reordered rows keep their ids, and reordered columns change none."""
    frame = pd.DataFrame({"a": [row[0] for row in rows], "b": [row[1] for row in rows]}, dtype=object)
    order = list(range(len(rows)))
    random.shuffle(order)
    assert row_ids(frame.iloc[order][["b", "a"]]).tolist() == row_ids(frame)[order].tolist()


def test_columns_cannot_be_exchanged():
    """The same values under other names are another row."""
    frame = pd.DataFrame({"a": [1], "b": [2]})
    assert row_ids(frame)[0] != row_ids(frame.rename(columns={"a": "b", "b": "a"}))[0]


def test_no_rows_have_no_ids():
    """An empty frame is no error."""
    assert row_ids(pd.DataFrame({"a": []})).tolist() == []


def test_a_digest_names_the_content_in_any_order():
    """Reordered rows give the same digest; a changed value, column name or lost row gives another."""
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})

    def digest(of: pd.DataFrame) -> str:
        return content_digest(of.columns, row_ids(of))

    assert digest(frame) == digest(frame.iloc[::-1]) == digest(frame[["b", "a"]])
    others = [frame.replace(3, 4), frame.rename(columns={"a": "c"}), frame.head(2)]
    assert digest(frame) not in {digest(other) for other in others}
