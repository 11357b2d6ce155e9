"""The protocol's messages over gRPC: a request becomes what REST's does, an answer holds what REST's does.

Tensors come typed, each value in the field of its datatype, or raw, all of them as bytes; an answer comes as its
request did. Nothing here knows gRPC: messages are bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.oip.datatypes import BOOL, BYTES, FP32, FP64, INT64
from slipway.serving.protocols.oip.descriptor import DESCRIPTOR
from slipway.serving.protocols.oip.message_size import require_few_parts
from slipway.serving.protocols.oip.outputs import AnswerForm, as_bytes, chosen
from slipway.serving.protocols.oip.request import (
    BINARY_OUTPUT,
    CODE,
    OF_THE_SERVER,
    Asked,
    WantedOutput,
    each_once,
    require_supported,
)
from slipway.serving.protocols.oip.tensors import (
    Tensor,
    Values,
    require_count,
    require_datatype,
    require_shape,
    values_of_bytes,
    values_of_json,
    wrong_tensor,
)

SERVICE = "inference.GRPCInferenceService"
# A pool of its own: in the one of the process, a model that is a client of Triton's has messages of the same names.
POOL = DescriptorPool()
POOL.AddSerializedFile(DESCRIPTOR)
# Datatype → the field of its values; the others come as bytes alone.
FIELD_OF: Mapping[str, str] = {
    BOOL: "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    INT64: "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    FP32: "fp32_contents",
    FP64: "fp64_contents",
    BYTES: "bytes_contents",
}


def message_of(name: str) -> Any:
    """Return the class of a message, by its name in the protocol."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"inference.{name}"))


ModelInferRequest, ModelInferResponse = message_of("ModelInferRequest"), message_of("ModelInferResponse")


def parsed(kind: Any, content: bytes) -> Any:
    """Return the message that bytes are.

    Raises
    ------
    InvalidInput
        They are none of this kind.
    """
    try:
        return kind.FromString(content)
    except DecodeError as error:
        name = kind.DESCRIPTOR.name
        raise InvalidInput(f"the message is no {name} of this protocol", code=CODE, hint=None) from error


def parsed_request(content: bytes) -> Any:
    """Return a request for inference.

    Raises
    ------
    InvalidInput
        Bytes are none, or one of so many parts that they would take much more memory than they are.
    """
    require_few_parts(content)
    return parsed(ModelInferRequest, content)


def read_message(given: Any, known: Sequence[str]) -> Asked:
    """Return what a ModelInferRequest asks; `known` are the names by which its tensors may be called.

    Raises
    ------
    InvalidInput
        One of its tensors is not what it says of itself, or a parameter has no value.
    """
    parameters = _parameters("the request", given.parameters)
    raw = _raw_contents(given)
    is_binary = raw is not None or parameters.get(BINARY_OUTPUT) is True
    return Asked(
        tensors=[
            _tensor(each, place, known, None if raw is None else raw[place]) for place, each in enumerate(given.inputs)
        ],
        id=given.id or None,
        parameters={name: value for name, value in parameters.items() if name not in OF_THE_SERVER},
        outputs=each_once([_wanted(each, place, is_binary) for place, each in enumerate(given.outputs)]),
        is_binary=is_binary,
    )


def _raw_contents(given: Any) -> Sequence[bytes] | None:
    """Return the bytes of each tensor; `None` where they come typed."""
    raw = given.raw_input_contents
    if not raw:
        return None
    if len(raw) != len(given.inputs):
        raise InvalidInput(
            f"raw_input_contents has {len(raw)} elements for {len(given.inputs)} inputs",
            code=CODE,
            hint="send all inputs raw, or all in contents",
        )
    return list(raw)


def _parameters(of: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(of, each) for name, each in given.items()}


def _value(of: str, parameter: Any) -> Any:
    chosen_one = parameter.WhichOneof("parameter_choice")
    if chosen_one is None:
        raise InvalidInput(f"a parameter of {of} has no value", code=CODE, hint=None)
    return getattr(parameter, chosen_one)


def _tensor(given: Any, place: int, known: Sequence[str], raw: bytes | None) -> Tensor:
    called = f"input '{given.name}'" if given.name in known else f"inputs[{place}]"
    require_supported(called, given.parameters)
    datatype, shape = require_datatype(called, given.datatype), require_shape(called, list(given.shape))
    if raw is None:
        values = _typed(called, datatype, shape, given)
    elif given.HasField("contents"):
        raise wrong_tensor(called, "has both contents and an element of raw_input_contents")
    else:
        values = values_of_bytes(called, datatype, shape, raw)
    return Tensor(name=given.name, datatype=datatype, shape=shape, values=values)


def _typed(called: str, datatype: str, shape: Sequence[int], given: Any) -> Values:
    """Return the values that stand in the field of a tensor's datatype."""
    wanted = FIELD_OF.get(datatype)
    if wanted is None:
        raise wrong_tensor(called, f"is {datatype}, which has no field in contents; send it in raw_input_contents")
    others = [field.name for field, _ in given.contents.ListFields() if field.name != wanted]
    if others:
        raise wrong_tensor(called, f"is {datatype} and takes {wanted}; it has {others[0]}")
    values = list(getattr(given.contents, wanted))
    if datatype != BYTES:
        return values_of_json(called, datatype, shape, values)
    require_count(called, shape, len(values))
    return values


def _wanted(given: Any, place: int, is_binary: bool) -> WantedOutput:
    require_supported(f"outputs[{place}]", given.parameters)
    return WantedOutput(name=given.name, is_binary=is_binary)


def written_message(form: AnswerForm, predictions: Any) -> bytes:
    """Return the ModelInferResponse to a request: raw where that came raw or one output has no typed field.

    Raises
    ------
    InvalidInput
        An output was asked for that the model did not give, or has texts that this protocol cannot say.
    """
    given = [tensor for tensor, _ in chosen(form, predictions)]
    is_raw = form.is_binary or any(each.datatype not in FIELD_OF for each in given)
    answer = ModelInferResponse(model_name=form.model, model_version=str(form.version), id=form.id or "")
    for tensor in given:
        output = answer.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
        if is_raw:
            answer.raw_output_contents.append(_required(as_bytes(tensor), tensor))
        else:
            getattr(output.contents, FIELD_OF[tensor.datatype]).extend(_listed(tensor))
    content: bytes = answer.SerializeToString()
    return content


def _listed(tensor: Tensor) -> Sequence[Any]:
    if tensor.datatype != BYTES:
        return tensor.listed()
    try:
        return [each.encode() for each in tensor.values]
    except (AttributeError, UnicodeEncodeError):
        return _required(None, tensor)


def _required(content: bytes | None, tensor: Tensor) -> bytes:
    if content is None:
        raise InvalidInput(
            f"output '{tensor.name}' has texts that are missing or no Unicode, which bytes cannot say",
            code="text-without-bytes",
            hint="ask over HTTP, in JSON: POST /v2/models/NAME/infer",
        )
    return content
