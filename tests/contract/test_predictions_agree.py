"""Our answers are MLflow's answers: the same JSON once it is read, but for what strict JSON has no token for."""

import datetime
import enum
import io
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import predictions_to_json, unwrapped_predictions_to_json

from slipway.serving.protocols.mlflow.predictions import encode, encode_unwrapped


class Colour(enum.IntEnum):
    RED = 1


class Answer(pydantic.BaseModel):
    label: str = "setosa"
    when: datetime.date = datetime.date(2026, 1, 2)


NOON = datetime.datetime(2026, 1, 2, 12, 0, 0, 5)
IN_UTC = NOON.replace(tzinfo=datetime.UTC)
DATES = np.array(["2026-01-02"], dtype="datetime64[ns]")
PREDICTIONS = {
    "labels": np.array([1, 2]),
    "one label": np.array([1]),
    "booleans": np.array([True, False]),
    "floats": np.array([1.5, np.nan, np.inf, -np.inf, 1e22, 5e-324, -0.0]),
    "single floats": np.array([0.1], dtype=np.float32),
    "half floats": [np.float16(0.1)],
    "probabilities": np.array([[0.25, 0.75], [np.nan, 1.0]]),
    "texts": np.array(["setosa", "größe", 'say "x"\n']),
    "objects": np.array(["a", 1, None, np.int64(3), np.nan, NOON], dtype=object),
    "arrays in an array": np.array([np.array([1, 2]), np.array([3])], dtype=object),
    "no dimension": np.array(5),
    "nothing": np.array([]),
    "bytes": np.array([b"ab", b"c"]),
    "masked": np.ma.array([1, 2], mask=[False, True]),
    "records": np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]),
    "nanoseconds": DATES,
    "microseconds": DATES.astype("datetime64[us]"),
    "a frame": pd.DataFrame({"a": [1, 2], "b": [1.5, np.nan], "c": ["x", None]}),
    "a frame with an index": pd.DataFrame({"a": [1]}, index=["q"]),
    "a frame with numbered columns": pd.DataFrame([[1, 2], [3, 4]]),
    "a frame of dates": pd.DataFrame({"a": pd.to_datetime(["2026-01-02", None])}),
    "a frame of categories": pd.DataFrame({"a": pd.Categorical(["x", "y"])}),
    "a frame of arrays": pd.DataFrame({"p": [np.array([0.1, np.nan])]}),
    "a series": pd.Series([1, 2]),
    "a named series": pd.Series([1, 2], name="label"),
    "a list": [1, 2.5, "x", None, True, float("inf")],
    "lists in a list": [[1, [2, [np.array([3])]]], (4, np.int8(5))],
    "a dictionary": {"labels": np.array([1]), "scores": [float("nan")], 1: 2, 1.5: 3, False: 4, None: 5},
    "keys of numpy's": {np.str_("x"): np.str_("y"), np.float64(0.5): 1},
    "dates": [NOON, IN_UTC, NOON.date(), NOON.time(), pd.Timestamp(IN_UTC), pd.NaT, np.datetime64("2026-01-02")],
    "a text": "setosa",
    "a number": 1.5,
    "not a number": float("nan"),
    "numpy's numbers": [np.float64(0.1), np.float32(0.1), np.bool_(True), np.int64(3)],
    "none": None,
    "an enum": [Colour.RED],
    "a pydantic model": [Answer()],
    "more than 64 bits": [2**70, float("nan"), {"a": 2**64}],
    "half a surrogate pair": ["\ud800", float("nan")],
}


def theirs(predictions: Any, write: Any = predictions_to_json) -> Any:
    """Return what MLflow's server answers, read again, with null for what is not finite."""
    text = io.StringIO()
    write(predictions, text)
    return with_null(json.loads(text.getvalue()))


def ours(encoded: bytes) -> Any:
    """Return what we answer, read by a strict parser."""
    return json.loads(encoded, parse_constant=pytest.fail)


def with_null(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [with_null(each) for each in value]
    return {name: with_null(each) for name, each in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", PREDICTIONS)
def test_predictions_are_written_as_mlflow_writes_them(name: str):
    """Whatever a model returns, a client reads the same; NaN and the infinities are null."""
    predictions = PREDICTIONS[name]
    assert repr(ours(encode(predictions))) == repr(theirs(predictions))
    assert repr(ours(encode_unwrapped(predictions))) == repr(theirs(predictions, unwrapped_predictions_to_json))


@pytest.mark.parametrize(
    "predictions",
    [[1 + 2j], {1, 2}, [object()], {(1, 2): 3}, {np.int64(1): 2}, pd.NA, iter([1])],
    ids=["complex", "a set", "an object", "a pair as key", "a NumPy key", "NA", "an iterator"],
)
def test_what_mlflow_cannot_write_we_refuse_too(predictions: Any):
    """It is the model that is wrong then."""
    with pytest.raises(TypeError):
        theirs(predictions)
    with pytest.raises(TypeError, match="form in JSON"):
        encode(predictions)


def test_decimals_are_numbers():
    """The one thing that we write and MLflow does not."""
    assert encode([Decimal("1.5"), Decimal("NaN")]) == b'{"predictions":[1.5,null]}'


scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | st.datetimes() | st.binary()
)
arrays = st.lists(st.floats(width=32)).map(lambda v: np.array(v, np.float32)) | st.lists(st.integers(0, 9)).map(
    np.array
)
keys = st.text() | st.integers() | st.floats() | st.booleans() | st.none()
nested = st.recursive(
    scalars | arrays, lambda each: st.lists(each) | st.dictionaries(keys, each) | st.tuples(each, each)
)


@given(nested)
def test_any_nesting_is_written_alike(predictions: Any):
    """The same holds for whatever lists and dictionaries a model builds."""
    assert repr(ours(encode(predictions))) == repr(theirs(predictions))
