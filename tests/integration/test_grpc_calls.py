"""Calls over gRPC on real connections, to models that are slow, fail, or go: what becomes of each, and of its work."""

import threading
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from slipway.registry.errors import Unavailable
from slipway.serving.engine.model_threads import PREDICTING_THREADS
from slipway.serving.protocols.oip.messages import SERVICE, ModelInferResponse, message_of
from slipway.serving.target import Target
from tests.doubles.serving_stand_ins import Adding, engine_with, loaded
from tests.generators.tensor_requests import Column
from tests.generators.tensor_requests import message_of as message
from tests.servers.grpc_worker import LIMIT, speaking
from tests.servers.processes import wait_for

A = Column(name="a", datatype="FP64", shape=[2], values=[1.0, 3.0], is_binary=True)
B = Column(name="b", datatype="FP64", shape=[2], values=[2.0, 4.0], is_binary=True)
REQUEST = message([A, B], is_raw=True).SerializeToString()
Code = grpc.StatusCode


def infer(channel: grpc.Channel) -> Any:
    """Return the call for inference, from bytes to an answer."""
    return channel.unary_unary(f"/{SERVICE}/ModelInfer", None, ModelInferResponse.FromString)


def refusal(channel: grpc.Channel, content: bytes = REQUEST, **how: Any) -> grpc.RpcError:
    """Return how a call ends that has no answer."""
    with pytest.raises(grpc.RpcError) as caught:
        infer(channel)(content, **{"timeout": 10, **how})
    return caught.value


class Gate:
    """A model whose calls wait until they may go on."""

    def __init__(self) -> None:
        self.n_begun = 0
        self.may_go_on = threading.Event()

    def __call__(self) -> Any:
        """Wait, and answer."""
        self.n_begun += 1
        assert self.may_go_on.wait(20)
        return np.array([7.0])


def test_a_quick_model_is_asked_on_the_event_loop():
    """No thread in between: its answer is made where the call arrived."""
    threads: set[str] = set()

    def answer() -> Any:
        threads.add(threading.current_thread().name)
        return np.array([7.0])

    with speaking(engine_with(loaded(answer))[0]) as (channel, _, on_loop):
        on_loop(lambda: threads.add(threading.current_thread().name))
        wait_for(lambda: len(threads) == 1, within_s=10)
        assert np.frombuffer(infer(channel)(REQUEST, timeout=10).raw_output_contents[0]).tolist() == [7.0, 7.0]
    assert len(threads) == 1


def test_work_whose_deadline_passed_before_it_began_is_not_done():
    """Those calls wait for a thread of the model; what has begun ends."""
    gate = Gate()
    engine, _ = engine_with(version := loaded(gate, one_row_s=1))
    with speaking(engine) as (channel, _, _):
        begun = [infer(channel).future(REQUEST, timeout=20) for _ in range(PREDICTING_THREADS)]
        wait_for(lambda: gate.n_begun == PREDICTING_THREADS, within_s=10)
        late = [infer(channel).future(REQUEST, timeout=0.3) for _ in range(5)]
        assert {each.exception().code() for each in late} == {Code.DEADLINE_EXCEEDED}
        cancelled = infer(channel).future(REQUEST, timeout=20)
        wait_for(lambda: version.threads._n_waiting == PREDICTING_THREADS + 1, within_s=10)
        cancelled.cancel()
        wait_for(lambda: version.threads._n_waiting == PREDICTING_THREADS, within_s=10)
        gate.may_go_on.set()
        assert all(each.result().model_version == "1" for each in begun)
        assert infer(channel)(REQUEST, timeout=10).model_version == "1"
    assert gate.n_begun == PREDICTING_THREADS + 1
    told = {key: n for key, n in engine.snapshot()["slipway_errors"].items() if "caller-gone" in key}
    assert list(told.values()) == [6]


def test_a_model_that_fails_is_told_without_its_reason():
    """Its id leads to the log."""

    def answer() -> Any:
        raise ZeroDivisionError("s3cret")

    with speaking(engine_with(loaded(answer))[0]) as (channel, _, _):
        error = refusal(channel, metadata=[("x-request-id", "r-1")])
    assert error.code() is Code.INTERNAL
    assert error.details() == "the model failed on this request; the engine's log has the reason under request r-1"
    told = dict(error.trailing_metadata())
    assert (told["x-slipway-code"], told["x-slipway-version"]) == ("model-failed", "1")


@pytest.mark.parametrize(
    ("code", "status"), [("slow-lane-died", Code.UNAVAILABLE), ("slow-lane-full", Code.RESOURCE_EXHAUSTED)]
)
def test_what_is_busy_may_be_asked_again(code: str, status: Code):
    """Its status is one that clients try again."""
    engine, lane = engine_with(loaded(runner=Adding()))
    lane.refuses = Unavailable("it is not to be had", code=code, hint="later")
    texts = [Column(name=name, datatype="BYTES", shape=[1], values=["1"], is_binary=True) for name in ("a", "b")]
    with speaking(engine) as (channel, _, _):
        error = refusal(channel, message(texts, is_raw=True).SerializeToString())
    assert (error.code(), error.details()) == (status, "it is not to be had (later)")


def test_a_message_beyond_the_limit_is_refused():
    """The limit is that of bodies over HTTP."""
    with speaking(engine_with(loaded())[0]) as (channel, _, _):
        error = refusal(channel, bytes(LIMIT + 1))
    assert error.code() is Code.RESOURCE_EXHAUSTED
    assert str(LIMIT) in error.details()


def test_what_becomes_too_large_when_it_is_unpacked_is_refused():
    """A few bytes may stand for many."""
    zeros = message(
        [Column(name="a", datatype="FP64", shape=[2**17], values=[0.0] * 2**17, is_binary=True)], is_raw=True
    )
    with speaking(engine_with(loaded())[0]) as (channel, _, _):
        error = refusal(channel, zeros.SerializeToString(), compression=grpc.Compression.Gzip)
    assert error.code() is Code.RESOURCE_EXHAUSTED


def test_words_beyond_what_metadata_holds_are_cut():
    """A client that got more would be told of its metadata, and not why it was refused."""
    engine, _ = engine_with()
    for number in range(900):
        engine.expect(Target(f"größe-{number:04}", "production"))
    with speaking(engine) as (channel, _, _):
        error = refusal(channel)
    assert error.code() is Code.NOT_FOUND
    assert error.details().startswith("no model 'cancer' is served here; there are: größe-0000@production")


def test_a_model_without_a_version_is_unavailable():
    """And not ready; health says so too, and changes when it does."""
    engine, _ = engine_with(loaded())
    engine.expect(Target("later", "production"))
    with speaking(engine) as (channel, transport, on_loop):
        request = message([A, B], is_raw=True)
        request.model_name = "later"
        assert refusal(channel, request.SerializeToString()).code() is Code.UNAVAILABLE
        watching = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
        engine.put_in_place(loaded(target=Target("later", "production")))
        on_loop(transport.renew)
        assert next(watching).status == health_pb2.HealthCheckResponse.SERVING
        on_loop(transport.drain)
        assert next(watching).status == health_pb2.HealthCheckResponse.NOT_SERVING
        ready = channel.unary_unary(f"/{SERVICE}/ServerReady", None, message_of("ServerReadyResponse").FromString)
        assert not ready(b"", timeout=10).ready
        watching.cancel()


def test_a_call_that_is_under_way_is_answered_before_the_end():
    """Connections come of age first; nobody is told of a call that was cancelled."""
    gate = Gate()
    with speaking(engine_with(loaded(gate, one_row_s=1))[0], age_s=0.3) as (channel, transport, on_loop):
        begun = infer(channel).future(REQUEST, timeout=20)
        wait_for(lambda: gate.n_begun == 1, within_s=10)
        on_loop(transport.stop)
        with pytest.raises(grpc.FutureTimeoutError):
            begun.result(0.6)
        gate.may_go_on.set()
        assert begun.result(10).model_version == "1"
        assert refusal(channel).code() is Code.UNAVAILABLE
