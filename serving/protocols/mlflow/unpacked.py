"""How large a request becomes when it is unpacked: told from what it holds, before pandas makes a table of it.

A body is bounded where it is received; a small one can hold much more: rows of which each has another column, a scalar
beside long columns, one long text among short ones, short lines below a wide header. What comes out may be so many
times as large as what came in, as honest requests become, and is bounded whatever the form.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from slipway.registry.errors import InvalidInput

# A number in CSV takes two bytes at least, and eight in a table; files that are compressed are seldom larger than this.
MOST_TIMES = 8
ALWAYS_BYTES = 2**26
CELL_BYTES, LETTER_BYTES = 8, 4
# What pandas needs for a column of a CSV file, however few rows it has; those that a model takes are not counted.
COLUMN_BYTES = 1500
# The first record of a CSV file: a quote begins a field or is a letter like others.
CSV_FIELD = rb'(?:"(?:[^"]|"")*+"?)?+[^,\r\n]*+'
CSV_HEADER = re.compile(rb"\s*+" + CSV_FIELD + rb"(?:," + CSV_FIELD + rb")*+")
TENSORS = ("instances", "inputs")
FRAMES = ("dataframe_split", "dataframe_records")
HINT = "send fewer rows at a time; dataframe_records and dataframe_split hold long texts beside short ones"


def most_unpacked(size_bytes: int) -> int:
    """Return the bytes that a body of so many may become."""
    return max(ALWAYS_BYTES, MOST_TIMES * size_bytes)


def require_unpackable(unpacked_bytes: int, size_bytes: int) -> None:
    """Refuse a body that becomes too large: `InvalidInput` (`unpacks-too-large`)."""
    if unpacked_bytes > most_unpacked(size_bytes):
        raise too_large(f"more than {most_unpacked(size_bytes) // 2**20} MB")


def too_large(what: str) -> InvalidInput:
    """Return what to say of a request that becomes too large."""
    return InvalidInput(
        f"the request becomes too large when it is unpacked: {what}", code="unpacks-too-large", hint=HINT
    )


def json_bytes(document: Mapping[str, Any], n_fields: int) -> int:
    """Return what a request in JSON becomes: its cells, missing ones too, and texts of tensors at their widest.

    >>> json_bytes({"dataframe_records": [{"a": 1}, {"b": 1}]}, 0), json_bytes({"inputs": {"a": ["xyz", "", ""]}}, 0)
    (32, 60)
    """
    form = next((each for each in (*FRAMES, *TENSORS) if each in document), None)
    payload = document[form] if form else {name: value for name, value in document.items() if name != "params"}
    n_rows, n_columns = _split_size(payload) if form == FRAMES[0] else _size(payload)
    cells = n_rows * max(n_columns, n_fields)
    return CELL_BYTES * cells + (_widest(payload) if form not in FRAMES else 0)


def csv_bytes(body: bytes, n_fields: int) -> int:
    r"""Return what a CSV file becomes: every line may have as many cells as its header, commas in quotes counted.

    >>> csv_bytes(b'a,"b\n,",c\n1\n1\n', 0) == 4 * 4 * CELL_BYTES + 4 * COLUMN_BYTES
    True
    """
    header = CSV_HEADER.match(body)
    n_columns = (header[0].count(b",") if header else 0) + 1
    n_rows = max(body.count(b"\n"), body.count(b"\r"))
    return CELL_BYTES * n_rows * max(n_columns, n_fields) + COLUMN_BYTES * max(n_columns - n_fields, 0)


def _split_size(payload: Any) -> tuple[int, int]:
    if not isinstance(payload, dict):
        return 0, 0
    n_rows, n_columns = _size(payload.get("data"))
    columns = payload.get("columns")
    return n_rows, max(n_columns, len(columns) if isinstance(columns, list) else 0)


def _size(payload: Any) -> tuple[int, int]:
    """Return the rows and columns of what pandas makes of rows, or of columns by name: as many as the longest has."""
    if isinstance(payload, dict):
        return max((len(each) for each in payload.values() if isinstance(each, list)), default=1), len(payload)
    if not isinstance(payload, list):
        return 0, 0
    names = {name for row in payload if isinstance(row, dict) for name in row}
    widest = max((len(row) for row in payload if isinstance(row, list)), default=0)
    return len(payload), max(len(names), widest)


def _widest(payload: Any) -> int:
    """Return the bytes of texts as numpy holds them, each as wide as the longest of its column."""
    return sum(_width(column) for column in _columns(payload))


def _columns(payload: Any) -> Iterator[Any]:
    if isinstance(payload, dict):
        yield from payload.values()
    elif isinstance(payload, list) and any(isinstance(row, dict) for row in payload):
        columns: dict[Any, list[Any]] = {}
        for row in payload:
            for name, value in row.items() if isinstance(row, dict) else ():
                columns.setdefault(name, []).append(value)
        yield from columns.values()
    else:
        yield payload


def _width(column: Any) -> int:
    n_values = widest = 0
    for leaf in _leaves(column):
        n_values += 1
        widest = max(widest, len(leaf)) if isinstance(leaf, str) else widest
    return LETTER_BYTES * n_values * widest


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the values in lists of lists, without a recursion that a deep one could exhaust."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            waiting.extend(each)
        else:
            yield each
