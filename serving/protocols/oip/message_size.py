"""How many parts does a message have? Counted before it is read: two bytes are enough for a tensor that takes ninety.

Large messages alone are counted; what is in a small one is little, whatever it is.
"""

from collections.abc import Iterator
from itertools import islice

from slipway.registry.errors import InvalidInput

SMALL_BYTES = 2**16
MOST_PARTS = 2**18
# Of ModelInferRequest: what has parts of its own.
INPUTS, OUTPUTS = 5, 6
VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5
GROUPS = (3, 4)


def require_few_parts(content: bytes) -> None:
    """Refuse a request for inference of more fields, in it and in its tensors, than any model has inputs for."""
    if len(content) <= SMALL_BYTES:
        return
    left = MOST_PARTS
    for number, start, end in parts_of(content, 0, len(content)):
        left -= 1
        if number in (INPUTS, OUTPUTS):
            left -= sum(1 for _ in islice(parts_of(content, start, end), left + 1))
        if left < 0:
            raise InvalidInput(
                f"the message has more than {MOST_PARTS} fields in it and its tensors",
                code="unpacks-too-large",
                hint="send many rows as few tensors, in raw_input_contents",
            )


def parts_of(content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield number, start and end of each field; what is no message ends where it is none, and is refused when read."""
    while at < end:
        tag, at = _varint(content, at, end)
        number, kind, start = tag >> 3, tag & 7, at
        if kind == BYTES:
            size, start = _varint(content, at, end)
            at = start + size
        elif kind == VARINT:
            at = _varint(content, at, end)[1]
        elif kind in (EIGHT, FOUR):
            at += 8 if kind == EIGHT else 4
        elif kind not in GROUPS:  # the fields of a group follow as others do
            return
        if at > end:
            return
        yield number, start, at


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Return a number and where it ends; beyond the end where it does not."""
    value = 0
    for place in range(10):
        if at >= end:
            break
        byte = content[at]
        at += 1
        value |= (byte & 127) << (7 * place)
        if byte < 128:
            return value, at
    return 0, end + 1
