"""How tensors lie in a signature's columns: one tensor for each column, or one matrix of all; compiled at load time.

A request whose tensors have the columns' own types becomes a `Table` here. Every other is put as a request of MLflow's
own protocol, which MLflow's code judges in the slow lane: so what is accepted, and what a missing value means, is what
`/invocations` says, and not decided a second time.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from slipway.registry.errors import InvalidInput
from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.mlflow.columns import Layout
from slipway.serving.protocols.mlflow.decoding import plain_params
from slipway.serving.protocols.mlflow.readers import MOST_ORDERS, OwnParams, Params
from slipway.serving.protocols.oip.datatypes import BOOL, BYTES, FLOATS, numpy_type
from slipway.serving.protocols.oip.metadata import TensorSpec, input_specs, matrix_spec, output_specs
from slipway.serving.protocols.oip.request import CODE, Asked
from slipway.serving.protocols.oip.tensors import Tensor, Values, wrong_tensor
from slipway.serving.runtimes.understood import Understood

METHOD = "method"
MOST_NAMED = 12
MOST_JUDGED = 2**22
SMALL_WHOLE = frozenset({"INT8", "INT16", "INT32", "UINT8", "UINT16"})
WHOLE = SMALL_WHOLE | {"INT64", "UINT32"}
# Which datatypes hold values of a column's type, each of them unchanged.
HELD: Mapping[str, frozenset[str]] = {
    "double": FLOATS | SMALL_WHOLE | {"UINT32"},
    "float": FLOATS - {"FP64"},
    "integer": SMALL_WHOLE,
    "long": WHOLE,
    "boolean": frozenset({BOOL}),
    "string": frozenset({BYTES}),
}
# Beyond it a float32 is rounded as its way may be (`mlflow.columns`); MLflow decides.
LARGEST_FLOAT = 2.0**53
ROW_DIMENSIONS = ("[n]", "[n, 1]")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """The values of a column, the datatype in which they came, and what a caller calls their tensor."""

    field: Field
    datatype: str
    values: Values
    called: str

    def is_held(self) -> bool:
        """Return whether the values are the column's, as they are."""
        if self.datatype not in HELD.get(self.field.type, ()):
            return False
        if self.field.type == "float":
            return bool((np.isnan(self.values) | (np.abs(self.values) < LARGEST_FLOAT)).all())
        return self.datatype == BYTES or not isinstance(self.values, list)


class TensorMapping:
    """What tensors mean for one signature; `None` is a model without one."""

    def __init__(self, signature: Signature | None) -> None:
        self._fields = signature.inputs if signature else ()
        self._by_name = {field.name: field for field in self._fields}
        self._params = plain_params(signature)
        self._layout = lru_cache(MOST_ORDERS)(self._layout_of)
        self.specs: Sequence[TensorSpec] = input_specs(signature)
        self.matrix = matrix_spec(signature)
        self.signature = signature
        self.outputs = tuple(each.name for each in output_specs(signature, ()))
        self.names = tuple(each.name for each in (*self.specs, *([self.matrix] if self.matrix else [])))

    def plain(self, asked: Asked) -> Understood | None:
        """Return a request whose values are the columns' own, as they are; `None` where MLflow is to judge.

        Raises
        ------
        InvalidInput
            A tensor is not one of the model's, or has another shape.
        """
        self._require_known(asked.tensors)
        if self.matrix is None:
            self._require_shapes(asked.tensors)
            return None
        columns, params = self._columns(asked.tensors), self._params
        own = _own(asked.parameters, params)
        if params is None or own is None or not all(each.is_held() for each in columns) or not len(columns[0].values):
            return None
        layout = self._layout(tuple(each.field.name for each in columns))
        try:
            table = layout.of_columns(list(map(_texts, columns)))
        except ValueError:  # more missing numbers than a small request may become
            return None
        return params.plain(table, own if asked.parameters else None)

    def document(self, asked: Asked) -> bytes:
        """Return a request as the body of one for `/invocations`, in JSON."""
        self._require_known(asked.tensors)
        require_readable(sum(len(each.values) for each in asked.tensors))
        params = {"params": dict(asked.parameters)} if asked.parameters else {}
        return json.dumps({**self._payload(asked.tensors), **params}).encode()

    def _payload(self, tensors: Sequence[Tensor]) -> dict[str, Any]:
        if self.matrix is None:
            return {"inputs": self._nested(tensors)}
        columns = self._columns(tensors)
        rows = list(zip(*map(_json_values, columns), strict=True))
        assert self.signature is not None
        if not self.signature.has_names:
            return {"inputs": rows}
        return {"dataframe_split": {"columns": [each.field.name for each in columns], "data": rows}}

    def _layout_of(self, names: tuple[str, ...]) -> Layout:
        return Layout([self._by_name[name] for name in names], self._fields)

    def _require_known(self, tensors: Sequence[Tensor]) -> None:
        if not tensors:
            raise InvalidInput("the request has no inputs", code=CODE, hint=self._hint())
        seen: set[str] = set()
        for place, tensor in enumerate(tensors):
            called = self._called(tensor, place)
            if self.signature is not None and tensor.name not in self.names:
                raise wrong_tensor(called, "has a name that is no input of the model", self._hint())
            if tensor.name in seen:
                raise wrong_tensor(called, "comes twice")
            seen.add(tensor.name)

    def _called(self, tensor: Tensor, place: int) -> str:
        return f"input '{tensor.name}'" if tensor.name in self.names else f"inputs[{place}]"

    def _hint(self) -> str | None:
        if not self.specs:
            return None
        named = [f"{each.name} ({each.datatype})" for each in self.specs[:MOST_NAMED]]
        more = f" and {len(self.specs) - MOST_NAMED} more" if len(self.specs) > MOST_NAMED else ""
        whole = f"; or all in one matrix {self.matrix.name}, shape {list(self.matrix.shape)}" if self.matrix else ""
        return f"the model takes {', '.join(named)}{more}{whole}"

    def _columns(self, tensors: Sequence[Tensor]) -> list[_Column]:
        matrix = self.matrix
        assert matrix is not None
        if any(each.name == matrix.name for each in tensors):
            return self._columns_of_matrix(tensors, matrix)
        given = {each.name: each for each in tensors}
        missing = [field.name for field in self._fields if field.required and field.name not in given]
        if missing:
            named = ", ".join(f"'{name}'" for name in missing[:MOST_NAMED])
            more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
            raise InvalidInput(f"missing inputs {named}{more}", code=CODE, hint=self._hint())
        n_rows = tensors[0].shape[0] if tensors[0].shape else 0
        return [_column(each, self._by_name[each.name], n_rows, tensors[0].name) for each in tensors]

    def _columns_of_matrix(self, tensors: Sequence[Tensor], spec: TensorSpec) -> list[_Column]:
        if len(tensors) > 1:
            raise wrong_tensor(f"input '{spec.name}'", "holds all columns, and comes alone", self._hint())
        [tensor] = tensors
        called, width = f"input '{spec.name}'", spec.shape[1]
        if len(tensor.shape) != 2 or tensor.shape[1] != width:
            raise wrong_tensor(called, f"has shape {list(tensor.shape)}; expected [n, {width}]", self._hint())
        return [
            _Column(field=field, datatype=tensor.datatype, values=tensor.values[place::width], called=called)
            for place, field in enumerate(self._fields)
        ]

    def arrays(self, asked: Asked) -> Any:
        """Return what MLflow's parsing would make of tensors that have the types of the signature; `None` of others.

        `PyFuncModel` enforces the signature on them as it does on what comes through `/invocations`.
        """
        fields = [self._field_of(each) for each in asked.tensors]
        if asked.parameters or any(map(_is_other, asked.tensors, fields)):
            return None
        arrays = {each.name: _array(each) for each in asked.tensors}
        assert self.signature is not None
        return arrays if self.signature.has_names else next(iter(arrays.values()))

    def _field_of(self, tensor: Tensor) -> Field | None:
        if self.signature is None or self.matrix is not None:
            return None
        return self._by_name.get(tensor.name, self._fields[0])

    def _require_shapes(self, tensors: Sequence[Tensor]) -> None:
        expected = {each.name: each.shape for each in self.specs}
        if missing := [name for name in expected if name not in {each.name for each in tensors}]:
            raise InvalidInput(f"missing inputs {', '.join(missing[:MOST_NAMED])}", code=CODE, hint=self._hint())
        for place, tensor in enumerate(tensors):
            if 0 in tensor.shape[1:]:  # however many rows it says, and lists of nothing take memory
                raise wrong_tensor(
                    self._called(tensor, place), f"has shape {list(tensor.shape)}, which holds no values"
                )
            shape = expected.get(tensor.name, tensor.shape)
            if not _fits(tensor.shape, shape):
                words = f"has shape {list(tensor.shape)}; expected {_free(shape)}"
                raise wrong_tensor(f"input '{tensor.name}'", words)

    def _nested(self, tensors: Sequence[Tensor]) -> Any:
        self._require_shapes(tensors)
        nested = {each.name: _as_nested(each, self._called(each, place)) for place, each in enumerate(tensors)}
        is_named = self.signature.has_names if self.signature else len(nested) > 1
        return nested if is_named else next(iter(nested.values()))


def require_readable(n_values: int) -> None:
    """Refuse what takes too much memory when each value is written as text: bytes hold many in little."""
    if n_values > MOST_JUDGED:
        raise InvalidInput(
            f"{n_values} values that are not of the columns' own datatypes are more than {MOST_JUDGED}",
            code="unpacks-too-large",
            hint="send each column in its own datatype, as GET /v2/models/NAME says, or fewer rows",
        )


def _column(tensor: Tensor, field: Field, n_rows: int, first: str) -> _Column:
    called, shape = f"input '{tensor.name}'", list(tensor.shape)
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]):
        raise wrong_tensor(called, f"has shape {shape}; expected {' or '.join(ROW_DIMENSIONS)}")
    if shape[0] != n_rows:
        raise wrong_tensor(called, f"has shape {shape}; expected {n_rows} rows, as input '{first}' has")
    return _Column(field=field, datatype=tensor.datatype, values=tensor.values, called=called)


def _own(parameters: Mapping[str, Any], params: Params | None) -> OwnParams | None:
    """Return Slipway's own parameter; `None` where MLflow is to read what there is."""
    if not parameters:
        return OwnParams()
    if params is None or not params.takes_method or parameters.keys() != {METHOD}:
        return None
    return OwnParams(parameters[METHOD]) if isinstance(parameters[METHOD], str) else None


def _texts(column: _Column) -> Any:
    return [_text(each, column.called) for each in column.values] if column.datatype == BYTES else column.values


def _text(value: Any, called: str) -> Any:
    """Return a text as it is, and bytes as the text that they are in UTF-8."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise wrong_tensor(called, "has an element that is no text in UTF-8") from error


def _json_values(column: _Column) -> list[Any]:
    """Return values as `/invocations` takes them: bytes of a binary column in base64, other bytes as text."""
    if column.datatype == BYTES and column.field.type == "binary":
        return [base64.b64encode(each).decode() if isinstance(each, bytes) else each for each in column.values]
    values = _texts(column)
    return values if isinstance(values, list) else list(values.tolist())


def _as_nested(tensor: Tensor, called: str) -> Any:
    values = [_text(each, called) for each in tensor.listed()] if tensor.datatype == BYTES else tensor.listed()
    for size in reversed(tensor.shape[1:]):
        values = [values[i * size : (i + 1) * size] for i in range(len(values) // size if size else tensor.shape[0])]
    return values if tensor.shape else values[0]


def _is_other(tensor: Tensor, field: Field | None) -> bool:
    """Return whether MLflow would have to make another array of what came."""
    if field is None or tensor.datatype == BYTES or isinstance(tensor.values, list) or 0 in tensor.shape:
        return True
    return np.dtype(field.type) != numpy_type(tensor.datatype)


def _array(tensor: Tensor) -> Any:
    return np.asarray(tensor.values).reshape(tensor.shape)


def _fits(shape: Sequence[int], expected: Sequence[int]) -> bool:
    return len(shape) == len(expected) and all(e in (-1, n) for e, n in zip(expected, shape, strict=True))


def _free(shape: Sequence[int]) -> str:
    return f"[{', '.join('n' if size == -1 else str(size) for size in shape)}]"
