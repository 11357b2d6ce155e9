"""Requests over tensors for tests: values of every datatype, and the same rows in MLflow's own protocol."""

import base64
import json
import struct
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from slipway.registry.signature import Field
from slipway.serving.protocols.oip.datatypes import BF16, BOOL, BYTES, FLOATS, ON_THE_WIRE, numpy_type
from slipway.serving.protocols.oip.messages import FIELD_OF, ModelInferRequest
from tests.generators.scoring_requests import Case, Dice

LIKELY = {
    "double": ("FP64", "FP64", "FP32", "FP16", "BF16", "INT8", "UINT32", "INT64", "BOOL", "BYTES"),
    "float": ("FP32", "FP32", "FP16", "FP64", "INT16"),
    "integer": ("INT32", "INT32", "INT8", "UINT16", "INT64", "FP64"),
    "long": ("INT64", "INT64", "UINT32", "UINT64", "INT8"),
    "boolean": ("BOOL", "BOOL", "UINT8"),
    "string": ("BYTES", "BYTES", "INT64"),
    "datetime": ("BYTES",),
    "binary": ("BYTES",),
}
OF_TENSOR = {"float64": "double", "float32": "float", "int64": "long", "int32": "integer", "bool": "boolean"}
TEXTS = ("x", "", "größe", "1", "2020-01-01", "eHl6", "nan", "a\nb")


@dataclass(frozen=True, kw_only=True)
class Column:
    """A tensor's values, as Python's own, and how it is sent."""

    name: str
    datatype: str
    shape: list[int]
    values: list[Any]
    is_binary: bool

    def document(self) -> dict[str, Any]:
        """Return what stands of it in the JSON."""
        head = {"name": self.name, "datatype": self.datatype, "shape": self.shape}
        if self.is_binary:
            return {**head, "parameters": {"binary_data_size": len(self.content())}}
        return {**head, "data": self.values}

    def content(self) -> bytes:
        """Return what follows the JSON."""
        if not self.is_binary:
            return b""
        if self.datatype == BYTES:
            return b"".join(struct.pack("<I", len(each.encode())) + each.encode() for each in self.values)
        if self.datatype == BF16:
            return (np.array(self.values, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
        return np.array(self.values, ON_THE_WIRE[self.datatype]).tobytes()


def body_of(columns: list[Column], **more: Any) -> tuple[bytes, int | None]:
    """Return a request, and how much of it is JSON where bytes follow."""
    content = json.dumps({"inputs": [each.document() for each in columns], **more}).encode()
    binary = b"".join(each.content() for each in columns)
    is_binary = any(each.is_binary for each in columns)
    return content + binary, len(content) if is_binary else None


def message_of(columns: list[Column], *, is_raw: bool, **more: Any) -> Any:
    """Return a request as a message, its tensors raw or typed."""
    message = ModelInferRequest(model_name="cancer", **more)
    for each in columns:
        tensor = message.inputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        if is_raw:
            message.raw_input_contents.append(replace(each, is_binary=True).content())
        else:
            texts = each.datatype == BYTES
            values = [value.encode() for value in each.values] if texts else each.values
            getattr(tensor.contents, FIELD_OF[each.datatype]).extend(values)
    return message


def any_columns(dice: Dice, of: Case) -> tuple[list[Column], bytes]:
    """Return one tensor for each column, and the request to `/invocations` that means the same."""
    n_rows = dice.choice((1, 1, 2, 3, 17))
    fields = [each for each in of.fields if each.required or dice.random() < 0.5] or list(of.fields)
    if dice.random() < 0.4:
        dice.shuffle(fields)
    columns = [_column(dice, each, n_rows) for each in fields]
    told = [meant(each, field) for each, field in zip(columns, fields, strict=True)]
    rows = list(zip(*told, strict=True))
    return columns, _split([each.name for each in fields], rows)


def any_matrix(dice: Dice, of: Case, name: str) -> tuple[list[Column], bytes]:
    """Return one tensor of all columns."""
    n_rows, width = dice.choice((1, 2, 3)), len(of.fields)
    like = _column(dice, of.fields[0], n_rows * width)
    values = like.values
    whole = Column(name=name, datatype=like.datatype, shape=[n_rows, width], values=values, is_binary=like.is_binary)
    of_each = [meant(replace(whole, values=values[place::width]), field) for place, field in enumerate(of.fields)]
    rows = list(zip(*of_each, strict=True))
    return [whole], _split([each.name for each in of.fields], rows)


def any_arrays(dice: Dice, of: Case, names: list[str]) -> tuple[list[Column], bytes]:
    """Return the tensors of a signature of tensors."""
    n_rows, found, nested = dice.choice((1, 2, 3)), [], {}
    for field, name in zip(of.fields, names, strict=True):
        shape = [n_rows, *(dice.choice((1, 2)) if size == -1 else size for size in field.shape[1:])]
        like = _column(dice, Field(name=name, type=OF_TENSOR.get(field.type, "string")), int(np.prod(shape)))
        found.append(
            Column(name=name, datatype=like.datatype, shape=shape, values=like.values, is_binary=like.is_binary)
        )
        nested[name] = np.array(like.values, object).reshape(shape).tolist()
    payload = nested if of.signature.has_names else nested[names[0]]
    return found, json.dumps({"inputs": payload}).encode()


def meant(column: Column, field: Field) -> list[Any]:
    """Return the values as `/invocations` has them: bytes of a binary column are base64 there."""
    if field.type != "binary" or not column.is_binary or column.datatype != BYTES:
        return column.values
    return [base64.b64encode(each.encode()).decode() for each in column.values]


def _split(names: list[str], rows: list[Any]) -> bytes:
    return json.dumps({"dataframe_split": {"columns": names, "data": rows}}).encode()


def _column(dice: Dice, field: Field, n_rows: int) -> Column:
    datatype = dice.choice(LIKELY[field.type])
    is_binary = datatype == BF16 or dice.random() < 0.5
    values = [value(dice, datatype) for _ in range(n_rows)]
    if not is_binary and dice.random() < 0.15:
        values[0] = float("nan") if datatype in FLOATS and dice.random() < 0.5 else None
    shape = [n_rows] if dice.random() < 0.5 else [n_rows, 1]
    return Column(name=field.name, datatype=datatype, shape=shape, values=values, is_binary=is_binary)


def value(dice: Dice, datatype: str) -> Any:
    """Return a value that the datatype holds, as Python's own."""
    if datatype == BYTES:
        return dice.choice(TEXTS)
    if datatype == BOOL:
        return dice.random() < 0.5
    if datatype == BF16:
        return dice.choice((0.0, 1.0, -2.5, 0.15625, float("inf")))
    kind = numpy_type(datatype)
    if datatype in FLOATS:
        return float(kind.type(dice.choice((0.0, -0.0, 0.1, 1.0, -2.5, 1e4, dice.gauss(0, 1), float("nan"), np.inf))))
    limits = np.iinfo(kind)
    return dice.choice((0, 1, 7, int(limits.min), int(limits.max)))
