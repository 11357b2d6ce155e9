"""What an isolated model answered comes over as it was, and nothing in it runs."""

import datetime
import os
from collections import OrderedDict
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from slipway.serving.protocols.mlflow.predictions import encode
from slipway.serving.runtimes.replies import ARRAY, FRAME, OBJECTS, packed, unpacked


class Level(IntEnum):
    """A whole number with a name."""

    HIGH = 3


class Point(pydantic.BaseModel):
    """An answer of a model with type hints."""

    x: float
    at: datetime.date


ZONED = pd.date_range("2026-01-01", periods=2, tz="Europe/Berlin")
ANSWERS = [
    np.array([1, 2, 3]),
    np.array([[0.25, np.nan], [np.inf, -0.0]]),
    np.arange(12.0).reshape(3, 4).T,
    np.array(3.5),
    np.array([], dtype=float),
    np.zeros((0, 3)),
    np.array([], dtype="U"),
    np.array(["setosa", "größe", ""]),
    np.array([b"a\0b", b"c"]),
    np.array([True, False]),
    np.array([1, 2], dtype=np.uint8),
    np.array([0.1], dtype=np.float16),
    np.array([1, 2], dtype=">i4"),
    np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"),
    np.array(["a", None, 1.5, b"x", [1, "b"], {"k": 2}], dtype=object),
    np.array([[1, "a"], [2, None]], dtype=object),
    np.ma.masked_array([1.0, 2.0], mask=[True, False]),
    np.matrix([[1.0, 2.0]]),
    np.array([(1, 2.5)], dtype=[("a", int), ("b", float)]),
    np.float32(0.1),
    np.int64(7),
    np.bool_(True),
    np.str_("a"),
    pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": [0.5, np.nan]}),
    pd.DataFrame([[1, 2.5], [3, 4.5]], columns=[0, 1]),
    pd.DataFrame([[1, 2]], columns=["a", "a"]),
    pd.DataFrame({"a": []}),
    pd.DataFrame({"t": pd.to_datetime(["2026-01-01", "2026-01-02"]), "z": ZONED}),
    pd.DataFrame({"i": pd.array([1, 2], dtype="Int64"), "c": pd.Categorical(["u", "v"])}),
    pd.DataFrame({"s": pd.array(["a", "b"], dtype="string"), "o": [[1], {"k": 1}]}),
    pd.DataFrame({"a": [1, 2]}, index=["r0", "r1"]),
    pd.Series([1.5, 2.5], name="score"),
    pd.Series(["a", "b"]),
    pd.Series(pd.Categorical(["u", "v"]), name=3),
    ["setosa", 1, 2.5, None, True, float("nan")],
    ("a", ("b", 2)),
    {"label": np.array(["a"]), "score": [0.5], 3: None, None: 1, 2.5: 2, True: 3},
    OrderedDict(b=1, a=2),
    "text",
    "\ud800 half",
    2**80,
    -(2**70),
    2**64 - 1,
    Level.HIGH,
    Decimal("1.25"),
    b"bytes",
    bytearray(b"more"),
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC),
    datetime.date(2026, 1, 2),
    datetime.time(1, 2),
    pd.Timestamp("2026-01-01", tz="UTC"),
    [Point(x=1.5, at=datetime.date(2026, 1, 2))],
    None,
    [],
    {},
]


@pytest.mark.filterwarnings("ignore:DataFrame columns are not unique")
@pytest.mark.parametrize("answer", ANSWERS, ids=lambda each: f"{type(each).__name__} {each!s:.20}")
def test_callers_are_answered_as_by_a_model_in_the_worker(answer: Any):
    """The same bytes, whatever it was made of."""
    assert encode(unpacked(packed(answer))) == encode(answer)


@pytest.mark.parametrize(
    "answer", [each for each in ANSWERS if isinstance(each, np.ndarray | pd.DataFrame | pd.Series)]
)
def test_arrays_and_frames_stay_what_they_are(answer: Any):
    """Whoever compares two versions' answers compares numbers."""
    found = unpacked(packed(answer))
    if type(answer) is np.ndarray and answer.dtype.kind not in "VO":
        np.testing.assert_array_equal(found, answer)
        assert found.dtype == answer.dtype
    if isinstance(answer, pd.DataFrame):
        assert list(found.columns) == list(answer.columns)
        assert len(found) == len(answer)
    if isinstance(answer, pd.Series):
        assert found.name == answer.name
        assert found.tolist() == answer.tolist()


class Runs:
    """What runs when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what is called."""
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("within", [lambda each: each, lambda each: [each], lambda each: np.array([each], object)])
def test_what_has_no_form_in_json_is_refused(tmp_path: Path, within: Any):
    """It is told by its type, and does not get out of the process."""
    with pytest.raises(TypeError, match="type Runs have no form in JSON"):
        packed(within(Runs(tmp_path / "ran")))
    assert not (tmp_path / "ran").exists()


def extension(kind: int, value: Any) -> bytes:
    """Return a value as one of the kinds that are none of MessagePack's own."""
    return msgspec.msgpack.encode(msgspec.msgpack.Ext(kind, msgspec.msgpack.encode(value)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xc1",
        b"\x80\x04cos\nsystem\n",
        extension(99, 1),
        extension(ARRAY, ["O", [1], b"\0" * 8]),
        extension(ARRAY, ["f8,f8", [1], b"\0" * 16]),
        extension(ARRAY, ["<f8", [2], b"\0" * 8]),
        extension(ARRAY, ["<f8", [-1], b"\0" * 8]),
        extension(ARRAY, ["<f8", [10**12, 0], b""]),
        extension(ARRAY, ["<f8", [10**12], b""]),
        extension(ARRAY, [["<f8"], [1], b"\0" * 8]),
        extension(ARRAY, ["nothing", [1], b"\0" * 8]),
        extension(ARRAY, 5),
        extension(OBJECTS, [[3], [1]]),
        extension(OBJECTS, [[10**12, 0], []]),
        extension(FRAME, [2, ["a"], [[1]]]),
        extension(FRAME, [2, ["a"], []]),
        extension(FRAME, [10**15, [], []]),
        b"\xdd\xff\xff\xff\xff",
        b"\x91" * 100_000,
    ],
    ids=range(20),
)
def test_what_packed_did_not_write_is_refused(content: bytes):
    """Whatever a model writes to its socket itself."""
    with pytest.raises(ValueError):  # noqa: PT011
        unpacked(content)


def test_values_in_values_without_end_are_refused():
    """The reader's stack is not the model's to fill."""
    content = b"\xc0"
    for _ in range(3000):
        size = len(content)
        content = b"\xc9" + size.to_bytes(4, "big") + b"\x06" + content
    with pytest.raises(ValueError, match="no packed value"):
        unpacked(content)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(ANSWERS) - 1), st.integers(0, 2**20), st.binary(max_size=4))
@example(0, 0, b"")
def test_bytes_that_were_changed_are_read_or_refused(which: int, place: int, put: bytes):
    """Nothing else is raised, and no time or memory goes."""
    content = packed(ANSWERS[which])
    place %= len(content) + 1
    changed = content[:place] + put + content[place + len(put) :]
    try:
        unpacked(changed)
    except ValueError:
        return
