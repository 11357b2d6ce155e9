"""Which JSON a signature's columns take without a doubt, and how rows or columns of it become a `Table`.

A type here takes less than MLflow does: what it takes, MLflow takes with the same value. All else (numbers as strings,
`true` for 1, whole floats for integers) is MLflow's to judge. Which JSON a request has around it is said in `readers`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from slipway.registry.signature import Field
from slipway.serving.protocols.mlflow.unpacked import ALWAYS_BYTES
from slipway.serving.table import Table

# Beyond 2^53 an integer that becomes a float32 is rounded once or twice, as its way may be; far beyond it is infinite.
FLOAT = Annotated[float, msgspec.Meta(gt=-(2.0**53), lt=2.0**53)]
INTEGER = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
LONG = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
JSON_TYPES: Mapping[str, Any] = {
    "double": float | None,
    "float": FLOAT | None,
    "integer": INTEGER,
    "long": LONG,
    "boolean": bool,
    "string": str | None,
}
# What a column that the signature does not know may hold: MLflow ignores it, whatever scalar it is.
IGNORED = bool | int | float | str | None
DOUBLE, OBJECT = np.dtype(np.float64), np.dtype(object)
ARRAY_TYPES: Mapping[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32),
    "integer": np.dtype(np.int32),
    "long": np.dtype(np.int64),
    "boolean": np.dtype(np.bool_),
    "string": OBJECT,
}
FIRST = itemgetter(0)
# msgspec matches keys as bytes and refuses to be given names that JSON has to escape.
ESCAPED = re.compile(r'["\\\x00-\x1f\ud800-\udfff]')


def list_of(json_type: Any) -> Any:
    """Return the type of a list, made while running."""
    return list[json_type]


def row_type(fields: Sequence[Field | None]) -> Any:
    """Return the type of a row that is a JSON array of exactly these columns; `None` stands for one that is ignored."""
    return tuple[tuple(JSON_TYPES[field.type] if field else IGNORED for field in fields)]  # type: ignore[misc]


def object_type(fields: Sequence[Field], json_types: Mapping[str, Any]) -> type[msgspec.Struct] | None:
    """Return the type of a JSON object with these keys and no other; a column that is optional may be left out.

    `None` where a name has to be escaped in JSON.
    """
    if any(ESCAPED.search(field.name) for field in fields):
        return None
    members: list[Any] = [
        (f"f{i}", json_types[field.type])
        if field.required
        else (f"f{i}", json_types[field.type] | msgspec.UnsetType, msgspec.UNSET)
        for i, field in enumerate(fields)
    ]
    return msgspec.defstruct(
        "Row",
        members,
        rename={f"f{i}": field.name for i, field in enumerate(fields)},
        forbid_unknown_fields=True,
        kw_only=True,
    )


class Layout:
    """Columns in a given order, of which the signature's are picked and put into their arrays.

    `present` are the columns as the values come, `None` for one that is ignored; `fields` are the signature's.
    """

    def __init__(self, present: Sequence[Field | None], fields: Sequence[Field]) -> None:
        place = {field.name: i for i, field in enumerate(present) if field}
        doubles = [field for field in fields if field.type == "double"]
        self._doubles = [place[field.name] for field in doubles if field.name in place]
        self._n_doubles = len(doubles)
        self._absent = tuple(field.name for field in doubles if field.name not in place)
        self._places = [i for i, field in enumerate(doubles) if field.name in place]
        self._others = [
            (field.name, place[field.name], ARRAY_TYPES[field.type])
            for field in fields
            if field.type != "double" and field.name in place
        ]
        self._is_matrix = self._doubles == list(range(len(present)))
        self._pick = _picker(self._doubles)

    def of_rows(self, rows: Sequence[tuple[Any, ...]]) -> Table:
        """Return a table of at least one row."""
        if len(rows) == 1:
            return self._of_row(rows[0])
        picked = rows if self._is_matrix else map(self._pick, rows)
        numbers = np.fromiter(chain.from_iterable(picked), DOUBLE, len(rows) * len(self._doubles))
        others = {name: _array(list(map(itemgetter(i), rows)), kind) for name, i, kind in self._others}
        return Table(self._with_absent(numbers.reshape(len(rows), len(self._doubles))), others, self._absent)

    def of_columns(self, columns: Sequence[Sequence[Any]]) -> Table:
        """Return a table of columns of one length; where they differ, ValueError is raised."""
        n_rows = len(columns[0])
        if set(map(len, columns)) != {n_rows}:
            raise ValueError("columns of different length")
        if n_rows == 1:
            return self._of_row(tuple(map(FIRST, columns)))
        numbers = self._missing(n_rows)
        for place, i in zip(self._places, self._doubles, strict=True):
            numbers[:, place] = columns[i]
        others = {name: _array(columns[i], kind) for name, i, kind in self._others}
        return Table(numbers, others, self._absent)

    def _of_row(self, row: tuple[Any, ...]) -> Table:
        """Return one row's table; most requests have one row, so that this is the short way of it."""
        numbers = np.array((row if self._is_matrix else self._pick(row),), DOUBLE)
        others = {name: np.array((row[i],), kind) for name, i, kind in self._others}
        return Table(self._with_absent(numbers), others, self._absent)

    def _missing(self, n_rows: int) -> npt.NDArray[np.float64]:
        """Return so many rows of missing numbers; ValueError where columns that are left out make many of few."""
        n_absent = self._n_doubles - len(self._places)
        if n_absent * n_rows * DOUBLE.itemsize > ALWAYS_BYTES:
            raise ValueError("more missing numbers than a small request may become")
        return np.full((n_rows, self._n_doubles), np.nan)

    def _with_absent(self, numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        if len(self._places) == self._n_doubles:
            return numbers
        widened = self._missing(len(numbers))
        widened[:, self._places] = numbers
        return widened


def _picker(places: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Return what takes these places out of a row; `itemgetter` alone makes a tuple of two or more only."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda row: tuple(row[i] for i in places)


def _array(values: Sequence[Any], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return the values of one column of several rows; a string that is missing among strings is NaN, as in pandas."""
    if kind == OBJECT and None in values and any(value is not None for value in values):
        values = [np.nan if value is None else value for value in values]
    return np.array(values, kind)
