"""The Open Inference Protocol over gRPC, by gRPC's own client: an engine of two workers, and what REST says there."""

import json
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha512
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from slipway.serving.protocols.oip.descriptor import DESCRIPTOR
from slipway.serving.protocols.oip.messages import SERVICE, ModelInferRequest, message_of
from tests.generators.tensor_requests import Column
from tests.generators.tensor_requests import message_of as message
from tests.servers.processes import wait_for
from tests.servers.served import Served
from tests.servers.tensor_models import BATCH, NUMBERS, invoked

pytestmark = pytest.mark.xdist_group("tensors")


@pytest.fixture(scope="module")
def channel(tensor_engine: Served) -> Iterator[grpc.Channel]:
    """Return a channel to the engine."""
    with grpc.insecure_channel(tensor_engine.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        yield channel


def call(channel: grpc.Channel, call_name: str, /, **fields: Any) -> Any:
    """Return the answer of a call of the service."""
    return ask(channel, call_name, message_of(f"{call_name}Request")(**fields))[0]


def ask(channel: grpc.Channel, name: str, request: Any, **how: Any) -> tuple[Any, dict[str, str]]:
    """Return an answer, and what is said beside it."""
    kind = message_of(f"{name}Response")
    asking = channel.unary_unary(f"/{SERVICE}/{name}", type(request).SerializeToString, kind.FromString)
    answer, told = asking.with_call(request, **{"timeout": 30, **how})
    return answer, dict(told.trailing_metadata())


def refusal(channel: grpc.Channel, request: Any, **how: Any) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """Return status, words and metadata of a call for inference that is refused."""
    with pytest.raises(grpc.RpcError) as caught:
        ask(channel, "ModelInfer", request, **how)
    error = caught.value
    return error.code(), error.details(), dict(error.trailing_metadata() or ())


def batch_of(batch: Any, model: str, *, is_raw: bool, **more: Any) -> Any:
    """Return a request for a batch."""
    columns = [
        Column(name=name, datatype=datatype, shape=[len(values), 1], values=values, is_binary=is_raw)
        for name, (datatype, values) in batch.items()
    ]
    request = message(columns, is_raw=is_raw, **more)
    request.model_name = model
    return request


def values_in(answer: Any) -> dict[str, Any]:
    """Return the outputs of an answer as Python's own."""
    found = {}
    for place, each in enumerate(answer.outputs):
        assert bool(answer.raw_output_contents) != each.HasField("contents")
        if answer.raw_output_contents:
            content = answer.raw_output_contents[place]
            if each.datatype == "BYTES":
                values = texts_in(content)
            else:
                values = np.frombuffer(content, {"INT64": "<i8", "FP64": "<f8"}[each.datatype]).tolist()
        else:
            [(_, values)] = each.contents.ListFields()
            values = [value.decode() if isinstance(value, bytes) else value for value in values]
        found[each.name] = np.array(values, object).reshape(each.shape).tolist()
    return found


def texts_in(content: bytes) -> list[str]:
    """Return the elements of raw BYTES."""
    found, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little")
        found.append(content[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return found


@pytest.mark.parametrize("is_raw", [True, False])
@pytest.mark.parametrize(("model", "batch"), [("mixed", BATCH), ("cancer", NUMBERS)])
def test_an_answer_is_that_of_invocations(
    tensor_engine: Served, channel: grpc.Channel, model: str, batch: Any, is_raw: bool
):
    """Raw and typed, labels and probabilities; who made it stands in the message and beside it."""
    labels, shares = invoked(tensor_engine, model, batch), invoked(tensor_engine, model, batch, method="predict_proba")
    answer, told = ask(channel, "ModelInfer", batch_of(batch, model, is_raw=is_raw, id="mine"))
    assert values_in(answer) == {"predict": labels}
    assert (answer.model_name, answer.model_version, answer.id) == (model, "1", "mine")
    assert told["x-slipway-model"] == model
    assert (told["x-slipway-version"], told["x-slipway-variant"]) == ("1", "stable")
    outputs = [{"name": "predict_proba"}, {"name": "predict"}]
    both = batch_of(batch, f"{model}@production", is_raw=is_raw, outputs=outputs, model_version="1")
    assert values_in(ask(channel, "ModelInfer", both)[0]) == {"predict": labels, "predict_proba": shares}
    by_method = batch_of(batch, model, is_raw=is_raw, parameters={"method": {"string_param": "predict_proba"}})
    assert list(values_in(ask(channel, "ModelInfer", by_method)[0]).values()) == [shares]


def test_a_request_is_called_as_its_caller_says(channel: grpc.Channel):
    """As over HTTP, also where it is refused."""
    request = batch_of(NUMBERS, "cancer", is_raw=True)
    assert ask(channel, "ModelInfer", request, metadata=[("x-request-id", "r-7")])[1]["x-request-id"] == "r-7"
    request.model_name = "nobody"
    assert refusal(channel, request, metadata=[("x-request-id", "r-8")])[2]["x-request-id"] == "r-8"
    assert len(refusal(channel, request)[2]["x-request-id"]) > 8


def test_the_other_calls_say_what_rest_says(tensor_engine: Served, channel: grpc.Channel):
    """Health, and what the server and a model are."""
    assert call(channel, "ServerLive").live
    assert call(channel, "ServerReady").ready
    assert call(channel, "ModelReady", name="mixed").ready
    assert call(channel, "ModelReady", name="mixed@production", version="1").ready
    server, rest = call(channel, "ServerMetadata"), tensor_engine.ask("/v2")[1]
    assert (server.name, server.version) == (rest["name"], rest["version"])
    model, rest = call(channel, "ModelMetadata", name="mixed"), tensor_engine.ask("/v2/models/mixed")[1]
    assert (model.name, list(model.versions), model.platform) == (rest["name"], rest["versions"], rest["platform"])
    for ours, theirs in ((model.inputs, rest["inputs"]), (model.outputs, rest["outputs"])):
        told = [{"name": each.name, "datatype": each.datatype, "shape": list(each.shape)} for each in ours]
        assert told == theirs


def test_health_and_reflection_are_the_standard_ones(channel: grpc.Channel):
    """What balancers ask, and what tools find out by themselves."""
    stub = health_pb2_grpc.HealthStub(channel)
    for name in ("", SERVICE):
        status = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=10).status
        assert status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=10)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    asking = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    services, file = asking(iter(questions), timeout=10)
    names = {each.name for each in services.list_services_response.service}
    assert names == {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
    [content] = file.file_descriptor_response.file_descriptor_proto
    assert FileDescriptorProto.FromString(content) == FileDescriptorProto.FromString(DESCRIPTOR)


def without(batch: Any, name: str) -> Any:
    """Return a batch without a column."""
    return {each: column for each, column in batch.items() if each != name}


REFUSED: dict[str, tuple[dict[str, Any], Any, grpc.StatusCode]] = {
    "model": ({"model_name": "nobody"}, NUMBERS, grpc.StatusCode.NOT_FOUND),
    "version": ({"model_version": "9"}, NUMBERS, grpc.StatusCode.NOT_FOUND),
    "tensor": ({}, without(NUMBERS, "a"), grpc.StatusCode.INVALID_ARGUMENT),
    "datatype": ({}, {**NUMBERS, "a": ("BYTES", ["s3cret", "x"])}, grpc.StatusCode.INVALID_ARGUMENT),
    "output": ({"outputs": [{"name": "s3cret"}]}, NUMBERS, grpc.StatusCode.INVALID_ARGUMENT),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_has_the_words_of_rest(tensor_engine: Served, channel: grpc.Channel, what: str):
    """With the status that clients go by, and the code beside it; nothing that was sent is repeated."""
    changes, batch, status = REFUSED[what]
    request = batch_of(batch, "cancer", is_raw=False)
    request.MergeFrom(ModelInferRequest(**changes))
    found, words, told = refusal(channel, request)
    rest = as_rest(request, batch)
    version = f"/versions/{request.model_version}" if request.model_version else ""
    _, document, _ = tensor_engine.ask(f"/v2/models/{request.model_name}{version}/infer", rest)
    assert found is status
    assert words == document["error"]
    assert told["x-slipway-code"] == document["code"]
    assert "s3cret" not in words


def as_rest(request: Any, batch: Any) -> bytes:
    """Return a request as REST writes it."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(values), 1], "data": values}
        for name, (datatype, values) in batch.items()
    ]
    return json.dumps({"inputs": inputs, "outputs": [{"name": each.name} for each in request.outputs]}).encode()


def test_a_stream_and_other_calls_of_tritons_are_not_there(channel: grpc.Channel):
    """What is, is named."""
    for name in ("ModelStreamInfer", "ModelStatistics"):
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.stream_stream(f"/{SERVICE}/{name}")(iter([b""]), timeout=10))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "ModelInfer" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/other.Service/Call")(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_compressed_messages_are_read(channel: grpc.Channel):
    """As clients send them."""
    request = batch_of(NUMBERS, "cancer", is_raw=True)
    answer, _ = ask(channel, "ModelInfer", request, compression=grpc.Compression.Gzip)
    assert values_in(answer) == {"predict": [1, 0]}


@pytest.mark.parametrize("content", [b"\xff\xff", b"", b"\x2a\x02\x0a\x05" * 3, sha512(b"").digest()])
def test_what_is_no_request_is_no_fault_of_the_engine(channel: grpc.Channel, content: bytes):
    """It is refused, whatever it is."""
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{SERVICE}/ModelInfer")(content, timeout=10)
    assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def test_one_channel_meets_every_worker(tensor_engine: Served, channel: grpc.Channel):
    """Its connections come of age, and no call fails over it."""
    request = batch_of(NUMBERS, "cancer", is_raw=True)
    met: set[str] = set()
    deadline = time.monotonic() + 30
    while len(met) < 2 and time.monotonic() < deadline:
        told = ask(channel, "ModelInfer", request)[1]
        met.add(told["x-request-id"].partition("-")[0])  # each worker numbers its own
    assert len(met) == 2


def test_calls_are_counted_as_those_of_the_protocol(tensor_engine: Served, channel: grpc.Channel):
    """Beside REST's."""
    before = counted(tensor_engine)
    ask(channel, "ModelInfer", batch_of(NUMBERS, "cancer", is_raw=True))
    wait_for(lambda: counted(tensor_engine) == before + 1, within_s=10)


def counted(tensor_engine: Served) -> float:
    """Return how many calls for inference were counted."""
    with urllib.request.urlopen(f"{tensor_engine.url}/metrics") as response:
        lines = response.read().decode().splitlines()
    found = [line for line in lines if line.startswith("slipway_requests_total") and 'protocol="oip-grpc"' in line]
    return sum(float(line.split()[-1]) for line in found)
