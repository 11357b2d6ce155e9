"""A request for inference as REST writes it: a JSON document, and behind it the bytes of tensors that are binary.

Read is what stands there; what it means for a model's signature is said in `mapping`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.diagnosis import why_not_json
from slipway.serving.protocols.oip.tensors import (
    Tensor,
    require_datatype,
    require_shape,
    values_of_bytes,
    values_of_json,
    wrong_tensor,
)

CODE = "wrong-input"
SIZE, BINARY, BINARY_OUTPUT = "binary_data_size", "binary_data", "binary_data_output"
# What Triton's clients say to Triton itself; a model sees none of it.
OF_THE_SERVER = frozenset({BINARY_OUTPUT, "sequence_id", "sequence_start", "sequence_end", "priority", "timeout"})
NOT_HERE = frozenset({"classification", "shared_memory_region", "shared_memory_byte_size", "shared_memory_offset"})
HINT = 'send {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [1.5]}]}'


class _Given(msgspec.Struct):
    name: str
    shape: Any = None
    datatype: Any = None
    parameters: dict[str, Any] | None = None
    data: Any = msgspec.UNSET


class _GivenOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] | None = None


class _Document(msgspec.Struct):
    inputs: list[_Given]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_GivenOutput] | None = None


_decode = msgspec.json.Decoder(_Document).decode


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedOutput:
    """An output that is asked for by its name."""

    name: str
    is_binary: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request: its tensors, what is asked of them, and how the answer is to be written.

    `parameters` are the model's; `is_binary` is how outputs are written that say nothing of themselves.
    """

    tensors: Sequence[Tensor]
    id: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    outputs: Sequence[WantedOutput] = ()
    is_binary: bool = False


def read_request(body: bytes, json_bytes: int | None, known: Sequence[str]) -> Asked:
    """Return a request; `json_bytes` is how much of the body is JSON where binary tensors follow, and `known` are the
    names by which its tensors may be called in what is said of them.

    Raises
    ------
    InvalidInput
        It is none, or one of its tensors is not what it says of itself.
    """
    if json_bytes is not None and not 0 <= json_bytes <= len(body):
        raise InvalidInput(
            f"Inference-Header-Content-Length does not fit the body of {len(body)} bytes", code=CODE, hint=None
        )
    document = _document(body if json_bytes is None else body[:json_bytes])
    tensors = _tensors(document.inputs, memoryview(body)[len(body) if json_bytes is None else json_bytes :], known)
    parameters = document.parameters or {}
    is_binary = parameters.get(BINARY_OUTPUT) is True
    return Asked(
        tensors=tensors,
        id=document.id,
        parameters={name: value for name, value in parameters.items() if name not in OF_THE_SERVER},
        outputs=each_once([_wanted(each, place, is_binary) for place, each in enumerate(document.outputs or ())]),
        is_binary=is_binary,
    )


def require_supported(called: str, parameters: Iterable[str]) -> None:
    """Refuse a tensor whose parameters ask for what only Triton has."""
    if named := sorted(NOT_HERE.intersection(parameters)):
        raise wrong_tensor(called, f"asks for {named[0]}, which is not supported here")


def each_once(outputs: Sequence[WantedOutput]) -> Sequence[WantedOutput]:
    """Return outputs that are asked for; asked for again and again, one would make a small request a huge answer."""
    first: dict[str, int] = {}
    for place, each in enumerate(outputs):
        if first.setdefault(each.name, place) != place:
            raise InvalidInput(
                f"outputs[{place}] asks for what outputs[{first[each.name]}] asks for",
                code=CODE,
                hint="ask for it once",
            )
    return outputs


def _document(content: bytes) -> _Document:
    """Return the document; NaN and Infinity, which strict JSON lacks, are taken as in `/invocations`."""
    try:
        return _decode(content)
    except msgspec.ValidationError as error:  # which names places and types, and no values
        raise InvalidInput(f"the request is not one of this protocol: {error}", code=CODE, hint=HINT) from error
    except (msgspec.DecodeError, RecursionError):
        return _lenient(content)


def _lenient(content: bytes) -> _Document:
    try:
        return msgspec.convert(json.loads(content), _Document)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"the request is not one of this protocol: {error}", code=CODE, hint=HINT) from error
    except (ValueError, RecursionError) as error:
        raise InvalidInput(why_not_json(content), code=CODE, hint=HINT) from error


def _tensors(given: Sequence[_Given], binary: memoryview, known: Sequence[str]) -> list[Tensor]:
    found, at = [], 0
    for place, each in enumerate(given):
        called = f"input '{each.name}'" if each.name in known else f"inputs[{place}]"
        size = _binary_size(called, each, len(binary) - at)
        part = None if size is None else binary[at : at + size]
        found.append(_tensor(called, each, part))
        at += size or 0
    if at != len(binary):
        raise InvalidInput(
            f"{len(binary)} bytes follow the JSON, and the inputs take {at} of them", code=CODE, hint=None
        )
    return found


def _binary_size(called: str, given: _Given, there: int) -> int | None:
    """Return how many bytes belong to a tensor; `None` where its data stands in the JSON."""
    parameters = given.parameters or {}
    require_supported(called, parameters)
    if SIZE not in parameters:
        return None
    size = parameters[SIZE]
    if given.data is not msgspec.UNSET:
        raise wrong_tensor(called, f"has both data and {SIZE}")
    if type(size) is not int or size < 0:
        raise wrong_tensor(called, f"needs {SIZE} to be a whole number that is not negative")
    if size > there:
        raise wrong_tensor(called, f"is cut off: its {SIZE} reaches beyond the body, which has {there} bytes for it")
    return size


def _tensor(called: str, given: _Given, binary: memoryview | None) -> Tensor:
    datatype, shape = require_datatype(called, given.datatype), require_shape(called, given.shape)
    if binary is not None:
        values = values_of_bytes(called, datatype, shape, binary)
    else:
        values = values_of_json(called, datatype, shape, given.data)
    return Tensor(name=given.name, datatype=datatype, shape=shape, values=values)


def _wanted(given: _GivenOutput, place: int, is_binary: bool) -> WantedOutput:
    parameters = given.parameters or {}
    require_supported(f"outputs[{place}]", parameters)
    return WantedOutput(name=given.name, is_binary=bool(parameters.get(BINARY, is_binary)))
