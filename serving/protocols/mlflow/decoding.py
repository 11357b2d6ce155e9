"""From a request's bytes to a `Table`, for requests that are plain: compiled once for each signature.

Plain means: MLflow accepts the request, with these very values, without a doubt. Everything else goes to MLflow's own
code in the slow lane (`slipway.serving.slow_lane.lane`), which decides whether it is accepted and what it means.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.mlflow.columns import JSON_TYPES, Layout, list_of, object_type, row_type
from slipway.serving.protocols.mlflow.readers import Objects, Params, Reader, reader, split_reader
from slipway.serving.runtimes.understood import Understood
from slipway.serving.table import is_of_columns

__all__ = ["Decoder", "compile_decoder"]

SPLIT = b'{"dataframe_split":'
# The first key but `params`, and whether an object, a list, a list of lists or a list of objects follows.
PARAMS_FIRST = rb'(?:"params"\s*:\s*(?:null|\{[^{}]*\})\s*,\s*)?'
HEAD = re.compile(rb"\s*\{\s*" + PARAMS_FIRST + rb'"(\w+)"\s*:\s*(\{|\[)\s*([\[{]?)')
# In `instances` and `inputs` MLflow makes a text of a missing string, and drops NULs at a text's end: left to MLflow.
STRICT_TYPES: Mapping[str, Any] = {**JSON_TYPES, "string": str}
NUL = b"\\u0000"
FLOATS = frozenset({"double", "float"})

Readers = Mapping[tuple[bytes, bytes, bytes], Sequence[Reader]]


class Decoder:
    """Reads plain requests for one signature of columns."""

    def __init__(self, fields: Sequence[Field], params: Params) -> None:
        self._split = (split_reader(fields, params),)
        self._readers = {
            (b"dataframe_split", b"{", b""): self._split,
            **_records(fields, params),
            **_tensor_forms(b"instances", fields, params),
            **_tensor_forms(b"inputs", fields, params),
        }
        self._features = _features(fields, params)

    def decode(self, body: bytes) -> Understood | None:
        """Return a request of MLflow's scoring protocol; `None` where it is not plain. Nothing is raised."""
        return _first(self._split if body.startswith(SPLIT) else _readers_for(body, self._readers), body)

    def decode_features(self, body: bytes) -> Understood | None:
        """Return a request `{"features": …}`: a row or rows as lists in the signature's order, or as objects.

        Values are judged as in `dataframe_split` and `dataframe_records`. `None` where it is not plain.
        """
        return _first(_readers_for(body, self._features), body)


def compile_decoder(signature: Signature | None) -> Decoder | None:
    """Return the decoder of a model's plain requests; `None` where every request is one for MLflow's own code."""
    params = plain_params(signature)
    return Decoder(signature.inputs, params) if signature and params else None


def plain_params(signature: Signature | None) -> Params | None:
    """Return what plain requests have as parameters; `None` where a signature has no plain requests.

    That is so without a signature, with tensors or nested types, with inputs that have no names, with dates and binary
    columns, and where a parameter's default is neither text, number nor boolean.
    """
    if signature is None or not is_of_columns(signature):
        return None
    if any(field.type not in JSON_TYPES for field in signature.inputs) or not all(
        map(_has_plain_default, signature.params)
    ):
        return None
    return Params(
        defaults={field.name: _default(field) for field in signature.params} or None,
        takes_method=all(field.name != "method" for field in signature.params),
    )


def _readers_for(body: bytes, readers: Readers) -> Sequence[Reader]:
    head = HEAD.match(body)
    return readers.get((head[1], head[2], head[3]), ()) if head else ()


def _first(readers: Sequence[Reader], body: bytes) -> Understood | None:
    """Return what the first reader makes of the body that can."""
    for read in readers:
        try:
            plain = read(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue
        if plain is not None:
            return plain
    return None


def _records(fields: Sequence[Field], params: Params) -> Readers:
    row = object_type(fields, JSON_TYPES)
    if row is None:
        return {}
    read = reader("dataframe_records", list_of(row), Objects(fields).table, params)
    return {(b"dataframe_records", b"[", b"{"): [read]}


def _tensor_forms(name: bytes, fields: Sequence[Field], params: Params) -> Readers:
    """Return the readers of `instances` or `inputs`: rows as objects, columns as lists, one row, one column."""
    key = name.decode()
    row = object_type(fields, STRICT_TYPES)
    columns = object_type(fields, {kind: list_of(each) for kind, each in STRICT_TYPES.items()})
    if row is None or columns is None:
        return {}
    objects = Objects(fields)
    found = {
        (name, b"[", b"{"): [reader(key, list_of(row), objects.table, params)],
        (name, b"{", b""): [
            reader(key, columns, objects.columns, params),
            reader(key, row, lambda each: objects.table([each]), params),
        ],
    }
    if len(fields) == 1:
        values = list_of(STRICT_TYPES[fields[0].type])
        layout = Layout(fields, fields)
        found[name, b"[", b""] = [reader(key, values, lambda v: layout.of_columns([v]) if v else None, params)]
    return {head: [_without_nul(read) for read in readers] for head, readers in found.items()}


def _features(fields: Sequence[Field], params: Params) -> Readers:
    layout, objects = Layout(fields, fields), Objects(fields)
    row_list, row = row_type(fields), object_type(fields, JSON_TYPES)
    lists = {
        (b"features", b"[", b""): [reader("features", row_list, lambda each: layout.of_rows([each]), params)],
        (b"features", b"[", b"["): [reader("features", list_of(row_list), layout.of_rows, params)],
    }
    if row is None:
        return lists
    return {
        **lists,
        (b"features", b"[", b"{"): [reader("features", list_of(row), objects.table, params)],
        (b"features", b"{", b""): [reader("features", row, lambda each: objects.table([each]), params)],
    }


def _without_nul(read: Reader) -> Reader:
    return lambda body: None if NUL in body else read(body)


def _has_plain_default(param: Field) -> bool:
    values = param.default if param.shape == (-1,) and isinstance(param.default, list) else [param.default]
    return param.type in JSON_TYPES and all(value is None or isinstance(value, str | int | float) for value in values)


def _default(param: Field) -> Any:
    """Return the default as MLflow's `ParamSpec` has it: a whole number of a parameter that is a float is one."""
    if param.type not in FLOATS:
        return param.default
    if isinstance(param.default, list):
        return [value if value is None else float(value) for value in param.default]
    return None if param.default is None else float(param.default)
