"""How rows lie in a JSON request: the reader of each form, compiled for a signature.

A reader takes a whole body and returns what it asks, or `None` (or raises `ValueError` or msgspec's error) where the
request is not plain: it never guesses. Which reader a body goes to is decided in `decoding`; which values a column
takes, in `columns`.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct

from slipway.registry.signature import Field
from slipway.serving.protocols.mlflow.columns import Layout, list_of, row_type
from slipway.serving.runtimes.runner import PREDICT
from slipway.serving.runtimes.understood import Understood
from slipway.serving.table import Table

# Orders of columns that are remembered for one model: clients have few, and who sends thousands pays for each.
MOST_ORDERS = 64
# A list of columns that is longer than this many times the signature's, and some, is not remembered either: not plain.
MOST_TIMES = 4
MOST_EXTRA_BYTES = 4096


class OwnParams(Struct, forbid_unknown_fields=True):
    """The `params` that a plain request may have: those that Slipway itself takes."""

    method: str = PREDICT


@dataclass(frozen=True, kw_only=True, slots=True)
class Params:
    """What a plain request may have as `params`, and what becomes of it.

    `defaults` are those of the signature's parameters, `None` where it declares none. `takes_method` is false where the
    signature declares a parameter of that name itself: then the request is MLflow's to read.
    """

    defaults: Mapping[str, Any] | None
    takes_method: bool

    def plain(self, table: Table, given: OwnParams | None) -> Understood:
        """Return the request with the model's parameters, as `PyFuncModel` would give them."""
        method = given.method if given else PREDICT
        if self.defaults is not None:
            return Understood(table, copy.deepcopy(dict(self.defaults)), method)
        return Understood(table, {} if given else None, method)


Reader = Callable[[bytes], Understood | None]


def reader(key: str, payload: Any, to_table: Callable[[Any], Table | None], params: Params) -> Reader:
    """Return the reader of `{key: payload, "params": …}`."""
    decode = _request(key, payload, params)

    def read(body: bytes) -> Understood | None:
        request = decode(body)
        table = to_table(request.payload)
        return params.plain(table, request.params) if table else None

    return read


def split_reader(fields: Sequence[Field], params: Params) -> Reader:
    """Return the reader of `{"dataframe_split": {"columns": […], "data": [[…]]}}`.

    Columns may come in any order, and more of them than the signature has. Where they come in the signature's order the
    body is read once; else twice, since the types of the rows depend on it.
    """
    in_order = _request("dataframe_split", _split(list_of(row_type(fields))), params)
    in_any_order = _request("dataframe_split", _split(Raw), params)
    order_of = lru_cache(MOST_ORDERS)(lambda columns: _order_of(columns, fields))
    most_bytes = MOST_TIMES * len(json.dumps([field.name for field in fields])) + MOST_EXTRA_BYTES

    def read(body: bytes) -> Understood | None:
        try:
            request = in_order(body)
            rows = request.payload.data
        except msgspec.ValidationError:
            request, rows = in_any_order(body), None
        columns = bytes(request.payload.columns)
        order = order_of(columns) if len(columns) <= most_bytes else None
        if order is None:
            return None
        if rows is None or not order.is_signatures:
            rows = order.decode(in_any_order(body).payload.data)
        index = request.payload.index
        if not rows or (index is not None and len(index) != len(rows)):
            return None
        table = order.layout.of_rows(rows)
        labelled = table if index is None else Table(table.numbers, table.others, table.absent, index)
        return params.plain(labelled, request.params)

    return read


class Objects:
    """Rows that are objects: all of one request have the same columns, or the request is not plain."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields
        self._has_optional = not all(field.required for field in fields)
        self._every = tuple(range(len(fields)))
        self._layout = lru_cache(MOST_ORDERS)(self._layout_of)

    def table(self, objects: Sequence[Struct]) -> Table | None:
        """Return the rows; `None` where there are none."""
        rows = [msgspec.structs.astuple(each) for each in objects]
        if not self._has_optional:
            return self._layout(self._every).of_rows(rows) if rows else None
        places = {tuple(i for i, value in enumerate(row) if value is not UNSET) for row in rows}
        if len(places) != 1 or not (here := places.pop()):
            return None
        return self._layout(here).of_rows([tuple(row[i] for i in here) for row in rows])

    def columns(self, lists: Struct) -> Table | None:
        """Return the rows of an object that has a list for each column; `None` where there are none."""
        columns = msgspec.structs.astuple(lists)
        if not self._has_optional:
            return self._layout(self._every).of_columns(columns) if all(columns) else None
        given = {i: each for i, each in enumerate(columns) if each is not UNSET}
        return self._layout(tuple(given)).of_columns(list(given.values())) if given and all(given.values()) else None

    def _layout_of(self, places: tuple[int, ...]) -> Layout:
        return Layout([self._fields[i] for i in places], self._fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Order:
    layout: Layout
    decode: Callable[[Any], Any]
    is_signatures: bool


def _order_of(columns: bytes, fields: Sequence[Field]) -> _Order | None:
    """Return how to read rows of these columns; `None` where MLflow should judge them."""
    names = json.loads(columns)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    known = {field.name: field for field in fields}
    missing = [field.name for field in fields if field.required and field.name not in names]
    if missing or len(set(names)) != len(names) or not known.keys() & set(names):
        return None
    present = [known.get(name) for name in names]
    return _Order(
        layout=Layout(present, fields),
        decode=msgspec.json.Decoder(list_of(row_type(present))).decode,
        is_signatures=names == list(known),
    )


def _request(key: str, payload: Any, params: Params) -> Callable[[bytes], Any]:
    own: Any = OwnParams | None if params.takes_method else None
    members: list[Any] = [("payload", payload), ("params", own, None)]
    request = msgspec.defstruct("Request", members, rename={"payload": key}, forbid_unknown_fields=True)
    return msgspec.json.Decoder(request).decode


def _split(data: Any) -> Any:
    """Return the type of the form; columns stay bytes, since clients send the same ones each time."""
    members: list[Any] = [("columns", Raw), ("data", data), ("index", list[int | str] | None, None)]
    return msgspec.defstruct("Split", members, forbid_unknown_fields=True)
