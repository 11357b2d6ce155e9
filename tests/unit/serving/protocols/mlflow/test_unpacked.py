"""A small body that becomes large is refused before it does, and none that stays within bounds is."""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.protocols.mlflow.decoding import compile_decoder
from slipway.serving.protocols.mlflow.parquet_size import parquet_bytes
from slipway.serving.protocols.mlflow.unpacked import ALWAYS_BYTES, MOST_TIMES, csv_bytes, json_bytes, too_large
from slipway.serving.slow_lane.mlflow_parsing import judge
from slipway.serving.transports.http.answers import refusal
from tests.generators.scoring_requests import case

MODEL = case([("a", "double"), ("b", "string?")])
WIDE = case([("ok", "boolean"), *((f"x{i}", "double?") for i in range(1000))])
MANY = 9_000_000
TEXTS = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, dtype=np.int32)), pa.array(["x" * 100_000]))


def parquet(columns: Mapping[str, Any], **how: Any) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table(columns), target, **{"row_group_size": MANY, "store_schema": False, **how})
    return target.getvalue()


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


BOMBS = {
    "a run of numbers": (BodyKind.PARQUET, parquet({"a": np.zeros(MANY)})),
    "a dictionary of one text": (BodyKind.PARQUET, parquet({"a": np.zeros(1000), "b": TEXTS})),
    "a list in one row": (BodyKind.PARQUET, parquet({"a": [1.0], "l": [np.zeros(MANY)]}, compression="zstd")),
    "a compressed text": (BodyKind.PARQUET, parquet({"a": [1.0], "b": ["x" * 70_000_000]}, compression="zstd")),
    "rows of other columns": (BodyKind.JSON, body(dataframe_records=[{"a": 1, f"k{i}": 1} for i in range(4_000)])),
    "objects of /predict": (BodyKind.FEATURES, body(features=[{"a": 1, f"k{i}": 1} for i in range(4_000)])),
    "scalars beside a column": (BodyKind.JSON, body(inputs={"a": [1] * 10_000, **{f"k{i}": 1 for i in range(1000)}})),
    "one long row": (BodyKind.JSON, body(dataframe_split={"data": [[1] * 4_000, *[[]] * 4_000]})),
    "a long text in a column": (BodyKind.JSON, body(inputs={"a": [1] * 5000, "b": ["x" * 5000] + ["y"] * 4999})),
    "a long text in rows": (BodyKind.JSON, body(instances=[{"a": 1, "b": "x" * 5000}] + [{"a": 1, "b": "y"}] * 4999)),
    "short lines": (BodyKind.CSV, b",".join(b"c%d" % i for i in range(4_000)) + b"\n" + b"1\n" * 4_000),
    "short lines of old": (BodyKind.CSV, b'"x\n",' + b"c," * 4_000 + b"c\r" + b"1\r" * 4_000),
    "columns": (BodyKind.CSV, b"a," * 100_000 + b"a\n" + b"1," * 100_000 + b"1\n"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_body_that_becomes_large_is_refused(bomb: str):
    """Whatever repeats a value, by runs, dictionaries, compression, or because every row gets every column."""
    kind, content = BOMBS[bomb]
    assert len(content) < ALWAYS_BYTES / 8
    with pytest.raises(InvalidInput) as refused:
        judge(MODEL.stored, content, kind)
    assert refused.value.code == "unpacks-too-large"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (BodyKind.JSON, body(dataframe_records=[{"ok": True}] * 9_000)),
        (BodyKind.JSON, body(inputs={"ok": [True] * 9_000})),
        (BodyKind.JSON, body(dataframe_split={"columns": ["ok"], "data": [[True]] * 9_000})),
        (BodyKind.CSV, b"ok\n" + b"true\n" * 9_000),
        (BodyKind.PARQUET, parquet({"ok": [True] * 9_000})),
    ],
)
def test_columns_that_are_left_out_count(kind: BodyKind, content: bytes):
    """A thousand optional numbers beside each flag are a large table, also of a request that is plain."""
    with pytest.raises(InvalidInput) as refused:
        judge(WIDE.stored, content, kind)
    assert refused.value.code == "unpacks-too-large"
    if kind is BodyKind.JSON:
        assert compile_decoder(WIDE.signature).decode(content) is None


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (BodyKind.PARQUET, parquet({"a": np.zeros(4_000_000)})),
        (BodyKind.PARQUET, parquet({"a": np.zeros(600), "b": TEXTS.slice(0, 600)})),
        (BodyKind.CSV, b"a,b\n" + b"1,\n" * 1_000_000),
        (BodyKind.CSV, b'a,b,size "\n' + b"1,x,1\n" * 100_000),
        (BodyKind.JSON, body(dataframe_records=[{"a": 1, "b": "x" * 5000}] + [{"a": 1, "b": "y"}] * 4999)),
    ],
)
def test_what_stays_within_bounds_is_taken(kind: BodyKind, content: bytes):
    """Millions of rows, a quote in a name, long texts beside short ones: what MLflow takes, and a process holds."""
    assert judge(MODEL.stored, content, kind).rows is not None


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 9)), max_size=6))
def test_cells_of_rows_are_those_that_pandas_makes(rows: list[dict[str, int]]):
    """Of rows that are objects each gets each column."""
    assert json_bytes({"dataframe_records": rows}, 0) == 8 * pd.DataFrame(rows).size


@given(st.lists(st.lists(st.integers(0, 9), max_size=4), max_size=6))
def test_cells_of_lists_are_those_that_pandas_makes(rows: list[list[int]]):
    """Of rows that are lists each is as long as the longest."""
    assert json_bytes({"dataframe_split": {"data": rows}}, 0) == 8 * pd.DataFrame(rows).size


@given(st.lists(st.text("xyz", max_size=9), min_size=1, max_size=5))
def test_texts_are_as_wide_as_numpy_makes_them(texts: list[str]):
    """Each takes the place of the longest."""
    known = json_bytes({"inputs": {"a": texts}}, 0) - 8 * len(texts)
    assert known == (np.array(texts).nbytes if any(texts) else 0)


@given(
    st.lists(st.sampled_from(["a", "b c", 'd"e', "f,g", "h\ni", ""]), min_size=1, max_size=5),
    st.integers(0, 4),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_csv_file_becomes_no_larger_than_it_is_said(names: list[str], n_rows: int, ends: str):
    """Quotes, commas and line ends in names hide no column."""
    frame = pd.DataFrame([["x"] * len(names)] * n_rows, columns=names)
    content = frame.to_csv(index=False, lineterminator=ends).encode()
    read = pd.read_csv(io.BytesIO(content))
    assert csv_bytes(content, 0) >= 8 * read.size


def test_what_becomes_too_large_is_told_as_such():
    """413, as for a body that is too large itself."""
    assert refusal(too_large("more than 64 MB"), "id").status == 413


def test_a_file_that_is_none_is_for_mlflow_to_refuse():
    """Nothing is known of it."""
    assert parquet_bytes(b"PAR1 and no more PAR1", 3, ALWAYS_BYTES) == 0


def test_a_large_body_may_become_larger():
    """So many times as large as it came, as numbers in text do."""
    content = b"a\n" + b"1\n" * 5_000_000
    assert csv_bytes(content, 1) <= MOST_TIMES * len(content)
