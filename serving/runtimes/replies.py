"""What an isolated model's process answers, as bytes that run nothing when they are read.

Whoever wrote the model may have put anything into its answers, and what reads them answers for other models too. So
they travel as MessagePack: plain values, and of arrays and frames their types, shapes and bytes. A pickle would run
what it holds. What has no form in JSON (`slipway.serving.protocols.mlflow.predictions`) has none here.

Dates in lists become ISO 8601, `Decimal` a float and pydantic's models dictionaries, as in JSON.
"""

import datetime
import importlib
import math
import re
import sys
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

# What is read of one reply, in a process that answers for other models too: numbers take several times as much there.
MOST_REPLY_BYTES = 64 * 2**20
ANSWERED, REFUSED, FAILED = REPLIES = ("answered", "refused", "failed")
ARRAY, OBJECTS, FRAME, SERIES, INTEGER, TEXT, PAIRS = range(7)
# Kinds of arrays whose bytes are their values: numbers, texts, bytes, times.
KINDS = frozenset("biufcUSMm")
DTYPE = re.compile(rf"[<>|=][{''.join(sorted(KINDS))}][0-9]{{1,9}}(\[[0-9]{{0,9}}[A-Za-z]{{1,2}}\])?")
# An array without values may have any shape: one of so many rows is none of a model's.
MOST_EMPTY_ROWS = 1_000_000
WORD_MIN, WORD_MAX = -(2**63), 2**64 - 1
FRAMES = "slipway.serving.runtimes.pandas_frames"  # imported with the first frame: a worker may never need pandas

_encode = msgspec.msgpack.Encoder().encode


def packed(value: Any) -> bytes:
    """Return a value as bytes.

    >>> unpacked(packed({"setosa": np.array([[0.5, np.nan]]), "n": (1, None, b"x")}))
    {'setosa': array([[0.5, nan]]), 'n': [1, None, b'x']}

    Raises
    ------
    TypeError
        It has no form in JSON.
    """
    return _encode(_form(value))


def unpacked(content: bytes) -> Any:
    """Return the value that `packed` wrote; arrays cannot be written into.

    Raises
    ------
    ValueError
        These are no such bytes.
    """
    try:
        return _decode(content)
    except (msgspec.MsgspecError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"no packed value: {error}") from error


def _form(value: Any) -> Any:
    """Return a value as MessagePack has it."""
    kind = type(value)
    if kind is float or kind is bool or value is None:
        return value
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        whole = int(value)
        return whole if WORD_MIN <= whole <= WORD_MAX else msgspec.msgpack.Ext(INTEGER, b"%x" % whole)
    if isinstance(value, float | Decimal):
        return float(value)
    if isinstance(value, list | tuple):
        return [_form(each) for each in value]
    if isinstance(value, dict):
        return msgspec.msgpack.Ext(PAIRS, _encode([[_form(key), _form(each)] for key, each in value.items()]))
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, np.generic):
        return _form(value.item())
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return _of_libraries(value)


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return msgspec.msgpack.Ext(TEXT, value.encode(errors="surrogatepass"))
    return value


def _array(value: npt.NDArray[Any]) -> Any:
    if type(value) is not np.ndarray or value.dtype.kind not in KINDS | {"O"}:
        return _form(value.tolist())  # masked, matrices, records
    if value.dtype.kind == "O":
        return msgspec.msgpack.Ext(OBJECTS, _encode([value.shape, [_form(each) for each in value.ravel().tolist()]]))
    return msgspec.msgpack.Ext(ARRAY, _encode([value.dtype.str, value.shape, value.tobytes()]))


def _of_libraries(value: Any) -> Any:
    """Return what belongs to a library that is loaded, if to any."""
    pandas, pydantic = sys.modules.get("pandas"), sys.modules.get("pydantic")
    if pandas is not None and isinstance(value, pandas.DataFrame):
        columns = [_column(value.iloc[:, place]) for place in range(value.shape[1])]
        return msgspec.msgpack.Ext(FRAME, _encode([len(value), [_form(name) for name in value.columns], columns]))
    if pandas is not None and isinstance(value, pandas.Series):
        return msgspec.msgpack.Ext(SERIES, _encode([_form(value.name), _column(value)]))
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return _form(value.model_dump())
    raise TypeError(f"predictions of type {type(value).__name__} have no form in JSON")


def _column(series: Any) -> Any:
    """Return a column by its array, or as objects where its type is one of pandas' own."""
    if isinstance(series.dtype, np.dtype):
        return _array(series.to_numpy())
    return msgspec.msgpack.Ext(OBJECTS, _encode([[len(series)], [_form(each) for each in series.tolist()]]))


def _read(code: int, content: memoryview) -> Any:
    if code == INTEGER:
        return int(bytes(content), 16)
    if code == TEXT:
        return bytes(content).decode(errors="surrogatepass")
    given = _decode(content)
    if code == PAIRS:
        return dict(given)
    if code == ARRAY:
        return _read_array(*given)
    if code == OBJECTS:
        return _read_objects(*given)
    frames = importlib.import_module(FRAMES)
    if code == FRAME:
        return frames.frame(*_require_frame(*given))
    if code == SERIES:
        return frames.series(*given)
    raise ValueError(f"no kind of value: {code}")


_decode = msgspec.msgpack.Decoder(ext_hook=_read).decode


def _read_array(kind: str, shape: list[int], content: bytes) -> npt.NDArray[Any]:
    if not DTYPE.fullmatch(kind):  # numpy reads anything as a type, Python's own syntax too
        raise ValueError(f"no type of an array: {kind}")
    dtype = np.dtype(kind)
    _require_size(shape, len(content))
    return np.frombuffer(content, dtype).reshape(shape) if content else np.zeros(shape, dtype)


def _read_objects(shape: list[int], values: list[Any]) -> npt.NDArray[Any]:
    _require_size(shape, len(values))
    flat = np.empty(len(values), object)
    for place, value in enumerate(values):
        flat[place] = value
    return flat.reshape(shape)


def _require_frame(n_rows: int, names: list[Any], columns: list[Any]) -> tuple[int, list[Any], list[Any]]:
    """Return the parts of a frame; refuse columns that are none, and rows without end where there are none."""
    if any(not isinstance(column, np.ndarray) or column.shape != (n_rows,) for column in columns):
        raise ValueError("a column that is none")
    if not columns and not 0 <= n_rows <= MOST_EMPTY_ROWS:
        raise ValueError("a frame of so many rows without a column")
    return n_rows, names, columns


def _require_size(shape: list[int], n_values: int) -> None:
    """Refuse an array without values that would be many lists, and shapes that say "as many as there are"."""
    if any(length < 0 for length in shape):
        raise ValueError("no shape of an array")
    is_empty = math.prod(shape) == 0
    if is_empty != (n_values == 0) or (is_empty and max(shape) > MOST_EMPTY_ROWS):
        raise ValueError("a shape that its values do not have")
