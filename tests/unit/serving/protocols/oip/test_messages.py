"""The messages of the protocol over gRPC: read as REST's documents are, and refused in the same words."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from slipway.registry.errors import InvalidInput
from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.oip.datatypes import FLOATS, OF_NUMPY, ON_THE_WIRE, numpy_type
from slipway.serving.protocols.oip.descriptor import DESCRIPTOR
from slipway.serving.protocols.oip.mapping import TensorMapping
from slipway.serving.protocols.oip.messages import (
    FIELD_OF,
    POOL,
    ModelInferRequest,
    ModelInferResponse,
    parsed,
    read_message,
    written_message,
)
from slipway.serving.protocols.oip.outputs import AnswerForm
from slipway.serving.protocols.oip.request import WantedOutput
from slipway.serving.protocols.oip.tensors import values_of_bytes
from tests.generators.tensor_requests import Column, message_of

ROOT = Path(__file__).parents[5]
FIELDS = (Field(name="age", type="double"), Field(name="plan", type="string"))
MAPPING = TensorMapping(Signature(inputs=FIELDS, outputs=(), params=()))
AGE = Column(name="age", datatype="FP64", shape=[2], values=[1.5, 2.5], is_binary=False)
PLAN = Column(name="plan", datatype="BYTES", shape=[2], values=["größe", ""], is_binary=False)


def test_the_descriptor_is_that_of_the_proto_file():
    """What is checked in is what `make proto` writes."""
    code = "import make_descriptor as m; assert m.written() == m.WRITTEN.read_text(), 'run make proto'"
    done = subprocess.run((sys.executable, "-c", code), cwd=ROOT / "docs", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_messages_are_in_no_pool_of_others():
    """A model that is a client of Triton's defines messages of the same names in the same process."""
    code = (
        "from google.protobuf import descriptor_pool as pools; import slipway.serving.protocols.oip.messages as m;"
        "theirs = pools.Default();"
        "theirs.AddSerializedFile(m.DESCRIPTOR.replace(b'open_inference', b'grpc__service_'));"
        "assert theirs.FindMessageTypeByName('inference.ModelInferRequest') is not m.ModelInferRequest.DESCRIPTOR"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_service_has_the_six_calls():
    """None of them a stream."""
    file = FileDescriptorProto.FromString(DESCRIPTOR)
    calls = [each.name for each in file.service[0].method]
    assert calls == ["ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer"]
    assert not any(each.client_streaming or each.server_streaming for each in file.service[0].method)
    assert POOL.FindServiceByName("inference.GRPCInferenceService").name == "GRPCInferenceService"


@pytest.mark.parametrize("is_raw", [True, False])
def test_a_request_is_read_whole(is_raw: bool):
    """Tensors, id, parameters of every kind, outputs; answered as it came."""
    message = message_of([AGE, PLAN], is_raw=is_raw, id="mine", outputs=[{"name": "predict"}])
    message.parameters["method"].string_param = "predict"
    message.parameters["on"].bool_param = False
    message.parameters["n"].int64_param = -3
    message.parameters["share"].double_param = 0.5
    message.parameters["large"].uint64_param = 2**64 - 1
    message.parameters["priority"].uint64_param = 1
    asked = read_message(ModelInferRequest.FromString(message.SerializeToString()), MAPPING.names)
    assert (asked.id, asked.is_binary) == ("mine", is_raw)
    assert asked.parameters == {"method": "predict", "on": False, "n": -3, "share": 0.5, "large": 2**64 - 1}
    assert asked.outputs == [WantedOutput(name="predict", is_binary=is_raw)]
    assert [list(each.values) for each in asked.tensors] == [[1.5, 2.5], ["größe".encode(), b""]]


def test_no_id_and_no_tensor_are_none():
    """The hint says what the model takes."""
    assert read_message(ModelInferRequest(), ()).id is None
    assert refusal(ModelInferRequest()).startswith("the request has no inputs")


def changed(**tensor: Any) -> Any:
    """Return a request whose first tensor is otherwise."""
    message = message_of([AGE, PLAN], is_raw=False)
    for name, value in tensor.items():
        if name == "shape":
            del message.inputs[0].shape[:]
            message.inputs[0].shape.extend(value)
        elif name.endswith("_contents"):
            getattr(message.inputs[0].contents, name).extend(value)
        elif name == "parameters":
            message.inputs[0].parameters[value].string_param = "s3cret"
        else:
            setattr(message.inputs[0], name, value)
    return message


def raw(*contents: bytes, typed: bool = False) -> Any:
    """Return a request with these raw contents."""
    message = message_of([AGE, PLAN], is_raw=True)
    del message.raw_input_contents[:]
    message.raw_input_contents.extend(contents)
    if typed:
        message.inputs[0].contents.fp64_contents.append(1.0)
    return message


def with_empty_parameter() -> Any:
    """Return a request with a parameter that says nothing."""
    message = message_of([AGE, PLAN], is_raw=False)
    message.parameters["s3cret"].SetInParent()
    return message


WRONG: dict[str, tuple[Any, str]] = {
    "name": (changed(name="s3cret"), "inputs[0] has a name that is no input of the model"),
    "datatype": (changed(datatype="s3cret"), "input 'age' has a datatype that is none of BOOL"),
    "shape": (changed(shape=[-2]), "input 'age' needs a shape"),
    "count": (changed(shape=[3]), "input 'age' has 2 values; its shape [3] holds 3"),
    "overflowing": (changed(shape=[2**62, 2**62]), f"input 'age' has 2 values; its shape [{2**62}, {2**62}] holds"),
    "other-field": (changed(fp32_contents=[1.0]), "input 'age' is FP64 and takes fp64_contents; it has fp32_contents"),
    "wrong-field": (changed(datatype="FP32"), "input 'age' is FP32 and takes fp32_contents; it has fp64_contents"),
    "half": (changed(datatype="FP16"), "input 'age' is FP16, which has no field in contents"),
    "again": (
        message_of([AGE, PLAN], is_raw=True, outputs=[{"name": "s3cret"}, {"name": "s3cret"}]),
        "outputs[1] asks for what outputs[0] asks for",
    ),
    "memory": (changed(parameters="shared_memory_region"), "input 'age' asks for shared_memory_region"),
    "parameter": (with_empty_parameter(), "a parameter of the request has no value"),
    "few": (raw(bytes(16)), "raw_input_contents has 1 elements for 2 inputs"),
    "both": (raw(bytes(16), b"", typed=True), "input 'age' has both contents and an element of raw_input_contents"),
    "cut": (raw(bytes(15), b""), "input 'age' takes 16 bytes for shape [2] of FP64, and 15 came"),
    "texts": (raw(bytes(16), b"\1\0\0\0"), "input 'plan' is cut off: its 1. element ends beyond its 4 bytes"),
}  # fmt: skip


def refusal(message: Any) -> str:
    """Return why a request is refused."""
    with pytest.raises(InvalidInput) as caught:
        MAPPING.plain(read_message(message, MAPPING.names))
    assert "s3cret" not in str(caught.value.to_document())
    return caught.value.message


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told_as_over_rest(what: str):
    """By the tensor's name, with what is expected, and never with a value."""
    message, words = WRONG[what]
    assert refusal(message).startswith(words)


@pytest.mark.parametrize(
    ("datatype", "value"), [("INT8", 300), ("UINT16", 2**16), ("INT16", -(2**15) - 1), ("UINT8", 256)]
)
def test_a_typed_value_is_one_of_its_datatype(datatype: str, value: int):
    """Its field is wider, and nothing wraps."""
    column = Column(name="age", datatype=datatype, shape=[1], values=[value], is_binary=False)
    assert "a value beyond the range of" in refusal(message_of([column], is_raw=False))


def test_bytes_that_are_no_message_are_refused():
    """In words, whatever they are."""
    with pytest.raises(InvalidInput, match="the message is no ModelInferRequest"):
        parsed(ModelInferRequest, b"\xff\xff")


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_no_message_breaks_the_reader(content: bytes, place: int):
    """It is read, or refused as InvalidInput."""
    whole = message_of([AGE, PLAN], is_raw=False).SerializeToString()
    at = place % len(whole)
    for each in (content, whole[:at] + content[:3] + whole[at:]):
        try:
            MAPPING.plain(read_message(parsed(ModelInferRequest, each), MAPPING.names))
        except InvalidInput:
            continue


def tensors_in(content: bytes) -> dict[str, Any]:
    """Return the outputs of an answer, name → shape and values, as a client reads them."""
    answer, found = ModelInferResponse.FromString(content), {}
    for place, each in enumerate(answer.outputs):
        if answer.raw_output_contents:
            values = values_of_bytes(each.name, each.datatype, each.shape, answer.raw_output_contents[place])
        else:
            values = list(getattr(each.contents, FIELD_OF[each.datatype]))
        found[each.name] = (
            tuple(each.shape),
            np.array(values, None if each.datatype == "BYTES" else numpy_type(each.datatype)),
        )
    return found


@settings(max_examples=100)
@given(st.sampled_from(sorted(OF_NUMPY.values())), st.data(), st.booleans())
def test_every_array_is_answered_whole_either_way(datatype: str, data: Any, is_raw: bool):
    """With its shape and to the last bit, NaN and -0.0 among them; one that has no typed field comes raw."""
    values = data.draw(arrays(ON_THE_WIRE[datatype], (2, 3)))
    form = AnswerForm(model="m", version=3, names={"predict": "y"}, id="mine", is_binary=is_raw)
    content = written_message(form, values)
    answer = ModelInferResponse.FromString(content)
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "3", "mine")
    shape, told = tensors_in(content)["y"]
    assert shape == (2, 3)
    expected = values.reshape(-1).astype(numpy_type(datatype))
    if datatype in FLOATS and not is_raw:  # a NaN's payload is no value
        np.testing.assert_array_equal(told, expected)
        assert (np.signbit(told) == np.signbit(expected))[~np.isnan(expected)].all()
    else:
        assert told.tobytes() == expected.tobytes()


@pytest.mark.parametrize("is_raw", [True, False])
def test_texts_are_answered_and_a_missing_one_is_refused(is_raw: bool):
    """An empty text in its place would be another answer."""
    form = AnswerForm(model="m", version=1, names={"predict": "y"}, is_binary=is_raw)
    shape, told = tensors_in(written_message(form, np.array(["größe", ""], object)))["y"]
    assert (shape, told.tolist()) == ((2,), ["größe".encode(), b""])
    for without in (["a", None], ["\ud800", "a"]):
        with pytest.raises(InvalidInput, match="output 'y' has texts that are missing or no Unicode"):
            written_message(form, np.array(without, object))
