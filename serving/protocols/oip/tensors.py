"""A tensor as it was sent, its values checked: by JSON or as bytes.

Whoever speaks a protocol over tensors makes these: REST from a JSON document and what follows it, gRPC from its
messages. What is wrong with one is told by its name, with shapes and counts, and never with a value that was sent.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.oip.datatypes import BF16, BOOL, BYTES, DATATYPES, FLOATS, ON_THE_WIRE, numpy_type

LENGTH = struct.Struct("<I")
MOST_DIMENSIONS = 16
LARGEST = 2**63 - 1
TAKES = {BYTES: "texts", BOOL: "true and false", **dict.fromkeys(FLOATS, "numbers")}

Values = npt.NDArray[Any] | list[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tensor:
    """A tensor; `values` lie flat, in the order of rows, as many as the shape holds.

    They are an array in the datatype's own type; a list of texts, bytes and None for BYTES; a list with None among
    them where whole numbers or truth values are missing.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Values

    def listed(self) -> list[Any]:
        """Return the values as Python's own."""
        return self.values if isinstance(self.values, list) else self.values.tolist()


def wrong_tensor(called: str, what: str, hint: str | None = None) -> InvalidInput:
    """Return what to say of a tensor; `called` is its name, or its place where the name is none of ours."""
    return InvalidInput(f"{called} {what}", code="wrong-tensor", hint=hint)


def require_datatype(called: str, datatype: Any) -> str:
    """Return a datatype; raises InvalidInput where it is none."""
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise wrong_tensor(called, f"has a datatype that is none of {', '.join(DATATYPES)}")
    return datatype


def require_shape(called: str, shape: Any) -> tuple[int, ...]:
    """Return a shape; raises InvalidInput where it is none."""
    if not isinstance(shape, list) or len(shape) > MOST_DIMENSIONS or not all(map(_is_size, shape)):
        raise wrong_tensor(called, "needs a shape: a list of whole numbers that are not negative")
    return tuple(shape)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def values_of_json(called: str, datatype: str, shape: Sequence[int], data: Any) -> Values:
    """Return the values of a tensor that came in JSON, flat or nested as its shape says; null is a missing value.

    A value is what its datatype holds: 0.1 as FP32 is the float32 next to it, as it is in a binary tensor.

    Raises
    ------
    InvalidInput
        They are not as many as the shape holds, of another kind than the datatype, or beyond its range.
    """
    if not isinstance(data, list):
        raise wrong_tensor(called, "needs data: a list of values")
    flat = _flat(called, shape, data)
    require_count(called, shape, len(flat))
    kinds = set(map(type, flat)) - {type(None)}
    if kinds - _kinds_taken(datatype):
        taken = TAKES.get(datatype, "whole numbers")
        raise wrong_tensor(called, f"is {datatype} and takes {taken}; some values are none")
    if datatype == BYTES or (datatype not in FLOATS and None in flat):
        return flat if datatype in (BYTES, BOOL) else _whole_with_missing(called, datatype, flat)
    return _array(called, datatype, flat)


def values_of_bytes(called: str, datatype: str, shape: Sequence[int], content: bytes | memoryview) -> Values:
    """Return the values of a binary tensor: little-endian, BYTES each behind its length in four bytes.

    Raises
    ------
    InvalidInput
        The bytes are more or fewer than the shape and the datatype take.
    """
    if datatype == BYTES:
        return _texts_of_bytes(called, shape, content)
    kind = ON_THE_WIRE[datatype]
    expected = math.prod(shape) * kind.itemsize
    if len(content) != expected:
        words = f"takes {expected} bytes for shape {list(shape)} of {datatype}, and {len(content)} came"
        raise wrong_tensor(called, words)
    if datatype == BF16:
        halves = np.frombuffer(content, kind).astype(np.uint32)
        return (halves << np.uint32(16)).view(np.float32)
    if datatype == BOOL and (np.frombuffer(content, np.uint8) > 1).any():
        raise wrong_tensor(called, "is BOOL and takes bytes that are 0 or 1")
    return np.frombuffer(content, kind).astype(numpy_type(datatype))


def _texts_of_bytes(called: str, shape: Sequence[int], content: bytes | memoryview) -> list[bytes]:
    found: list[bytes] = []
    at, end = 0, len(content)
    while at < end:
        start = at + LENGTH.size
        at = start + LENGTH.unpack(content[at:start])[0] if start <= end else end + 1
        if at > end:
            raise wrong_tensor(called, f"is cut off: its {len(found) + 1}. element ends beyond its {end} bytes")
        found.append(bytes(content[start:at]))
    require_count(called, shape, len(found))
    return found


def require_count(called: str, shape: Sequence[int], n_values: int) -> None:
    """Refuse a tensor that has more or fewer values than its shape holds."""
    expected = math.prod(shape)
    if n_values != expected:
        raise wrong_tensor(called, f"has {n_values} values; its shape {list(shape)} holds {expected}")


def _flat(called: str, shape: Sequence[int], data: list[Any]) -> list[Any]:
    """Return values that may be nested as the shape says."""
    if not any(isinstance(each, list) for each in data):
        return data
    level: list[Any] = [data]
    for size in shape:
        if not all(isinstance(each, list) and len(each) == size for each in level):
            raise _nested_otherwise(called, shape)
        level = list(chain.from_iterable(level))
    if any(isinstance(each, list) for each in level):
        raise _nested_otherwise(called, shape)
    return level


def _nested_otherwise(called: str, shape: Sequence[int]) -> InvalidInput:
    return wrong_tensor(called, f"has data nested otherwise than its shape {list(shape)} says")


def _kinds_taken(datatype: str) -> set[type]:
    if datatype in (BYTES, BOOL):
        return {str} if datatype == BYTES else {bool}
    return {int, float} if datatype in FLOATS else {int}


def _whole_with_missing(called: str, datatype: str, flat: list[Any]) -> list[Any]:
    _array(called, datatype, [each for each in flat if each is not None])
    return flat


def _array(called: str, datatype: str, flat: list[Any]) -> npt.NDArray[Any]:
    kind = numpy_type(datatype)
    try:
        if kind.kind != "f":
            return np.array(flat, kind)
        doubles = np.array(flat, np.float64)
    except OverflowError as error:
        raise wrong_tensor(called, f"has a value beyond the range of {datatype}") from error
    with np.errstate(over="ignore"):
        values = doubles.astype(kind)
    if (np.isinf(values) & ~np.isinf(doubles)).any():
        raise wrong_tensor(called, f"has a value beyond the range of {datatype}")
    return values
