"""What a model predicted, as tensors, and an answer of them as REST writes it.

The values are those of `/invocations`: an array is one tensor, a frame one for each column. What is no array of one
kind of value has each element as JSON text in BYTES.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.predictions import jsonable, to_json
from slipway.serving.protocols.oip.datatypes import BOOL, BYTES, FP64, INT64, OF_NUMPY, ON_THE_WIRE
from slipway.serving.protocols.oip.request import CODE, SIZE, WantedOutput
from slipway.serving.protocols.oip.tensors import LENGTH, Tensor

MOST_NAMED = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerForm:
    """How the answer to a request is written: for whom, and which outputs in which form.

    `names` is method → what its output is called where that has no name of its own; several methods answer in the
    order of this. Without `wanted` every output is given.
    """

    model: str
    version: int
    names: Mapping[str, str]
    id: str | None = None
    wanted: Sequence[WantedOutput] = ()
    is_binary: bool = False


class Written(bytes):
    """An answer; where binary tensors follow the JSON, `json_bytes` is how much of it is JSON."""

    json_bytes: int | None = None


def tensors_of(predictions: Any, name: str) -> list[Tensor]:
    """Return predictions as tensors; `name` is for what has none of its own.

    >>> [(each.name, each.datatype, each.shape) for each in tensors_of(np.array([[0.5, 0.5]]), "predict_proba")]
    [('predict_proba', 'FP64', (1, 2))]
    """
    if isinstance(predictions, np.ndarray) and (kind := OF_NUMPY.get(predictions.dtype.str[1:])):
        return [Tensor(name=name, datatype=kind, shape=predictions.shape, values=_native(predictions))]
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(predictions, pandas.Series):
        return tensors_of(predictions.to_numpy(), name)
    if pandas is not None and isinstance(predictions, pandas.DataFrame) and predictions.columns.is_unique:
        return [each for column in predictions for each in tensors_of(predictions[column].to_numpy(), str(column))]
    return _of_json(jsonable(predictions), name)


def _native(values: Any) -> Any:
    return values.astype(values.dtype.newbyteorder("=")).reshape(-1)


def _of_json(value: Any, name: str) -> list[Tensor]:
    if isinstance(value, dict):
        return [each for key, column in value.items() for each in _of_json(_as_list(column), key)]
    values = _as_list(value)
    if values and all(isinstance(each, dict) and each.keys() == values[0].keys() for each in values):
        return [_of_list([each[key] for each in values], key) for key in values[0]]
    return [_of_list(values, name)]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _of_list(values: list[Any], name: str) -> Tensor:
    shape, flat = _unnested(values)
    kinds = set(map(type, flat)) - {type(None)}
    if kinds <= {str}:
        return Tensor(name=name, datatype=BYTES, shape=shape, values=flat)
    if kinds == {bool} and None not in flat:
        return Tensor(name=name, datatype=BOOL, shape=shape, values=np.array(flat, bool))
    if kinds == {int} and None not in flat and all(-(2**63) <= each < 2**63 for each in flat):
        return Tensor(name=name, datatype=INT64, shape=shape, values=np.array(flat, np.int64))
    if kinds and kinds <= {int, float} and all(type(each) is not int or abs(each) <= 2**53 for each in flat):
        return Tensor(name=name, datatype=FP64, shape=shape, values=np.array(flat, np.float64))
    texts: list[Any] = [to_json(each).decode() for each in values]
    return Tensor(name=name, datatype=BYTES, shape=(len(texts),), values=texts)


def _unnested(values: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """Return the shape of nested lists, and what is in them; lists of different length stay as they are."""
    shape, flat = [len(values)], values
    while flat and all(isinstance(each, list) for each in flat) and len(set(map(len, flat))) == 1:
        shape.append(len(flat[0]))
        flat = list(chain.from_iterable(flat))
    return tuple(shape), flat


def written(form: AnswerForm, predictions: Any) -> Written:
    """Return the answer to a request.

    Raises
    ------
    InvalidInput
        An output was asked for that the model did not give.
    """
    document: dict[str, Any] = {"model_name": form.model, "model_version": str(form.version)}
    if form.id is not None:
        document["id"] = form.id
    parts: list[bytes] = []
    document["outputs"] = [_output(tensor, is_binary, parts) for tensor, is_binary in chosen(form, predictions)]
    content = to_json(document)
    answer = Written(b"".join([content, *parts]))
    answer.json_bytes = len(content) if parts else None
    return answer


def chosen(form: AnswerForm, predictions: Any) -> list[tuple[Tensor, bool]]:
    """Return the tensors of an answer, and whether each is to be binary."""
    [*names] = form.names
    of_each = predictions if len(names) > 1 else {names[0]: predictions}
    given = {tensor.name: tensor for name in names for tensor in tensors_of(of_each[name], form.names[name])}
    if not form.wanted:
        return [(tensor, form.is_binary) for tensor in given.values()]
    for place, each in enumerate(form.wanted):
        if each.name not in given:
            raise no_such_output(place, list(given))
    return [(given[each.name], each.is_binary) for each in form.wanted]


def no_such_output(place: int, names: Sequence[str]) -> InvalidInput:
    """Return what to say of an output that is none of the model's."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    there = ", ".join(names[:MOST_NAMED])
    return InvalidInput(f"outputs[{place}] names none of the model's outputs: {there}{more}", code=CODE, hint=None)


def _output(tensor: Tensor, is_binary: bool, parts: list[bytes]) -> Mapping[str, Any]:
    head = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    part = as_bytes(tensor) if is_binary else None
    if part is None:
        return {**head, "data": tensor.listed()}
    parts.append(part)
    return {**head, "parameters": {SIZE: len(part)}}


def as_bytes(tensor: Tensor) -> bytes | None:
    """Return a tensor's bytes; `None` where it has none: a text that is missing, or no Unicode."""
    if tensor.datatype != BYTES:
        return np.asarray(tensor.values).astype(ON_THE_WIRE[tensor.datatype]).tobytes()
    try:
        texts = [each.encode() for each in tensor.values]
    except (AttributeError, UnicodeEncodeError):
        return None
    return b"".join(chain.from_iterable((LENGTH.pack(len(each)), each) for each in texts))
