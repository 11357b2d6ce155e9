"""The Open Inference Protocol over gRPC: its six calls, each from bytes to bytes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import Any, NoReturn

import grpc

from slipway.registry.distribution import DISTRIBUTION
from slipway.registry.errors import InvalidInput, SlipwayError, Unavailable
from slipway.serving.engine.engine import INLINE_BYTES, Engine
from slipway.serving.engine.outcome import MadeBy, Predicted, Refused
from slipway.serving.protocols.oip.messages import SERVICE, message_of, parsed, parsed_request
from slipway.serving.protocols.oip.metadata import PLATFORM, TensorSpec, input_specs, output_specs
from slipway.serving.scoring.mlflow_protocol import SlowLane
from slipway.serving.scoring.oip_messages import OipMessages
from slipway.serving.scoring.oip_protocol import OIP
from slipway.serving.transports.grpc.statuses import CODE, CallStatus, engine_failed, model_failed, status_of
from slipway.serving.transports.loaded_versions import arrived, named_or_serving, numbers_of, would_answer
from slipway.serving.transports.request_ids import RequestIds
from slipway.serving.transports.telling import told_of

log = logging.getLogger("slipway.serve")

REQUEST_ID = "x-request-id"
Pairs = tuple[tuple[str, str], ...]
Answering = Callable[[bytes, "CallUnderWay"], Awaitable[bytes]]
ModelReadyRequest, ModelMetadataRequest = message_of("ModelReadyRequest"), message_of("ModelMetadataRequest")
ServerLiveResponse, ServerReadyResponse = message_of("ServerLiveResponse"), message_of("ServerReadyResponse")
ModelReadyResponse, ServerMetadataResponse = message_of("ModelReadyResponse"), message_of("ServerMetadataResponse")
ModelMetadataResponse = message_of("ModelMetadataResponse")


class EndedError(Exception):
    """A call ends without an answer."""

    def __init__(self, status: CallStatus) -> None:
        super().__init__(status.words)
        self.status = status


class CallUnderWay:
    """A call that is being answered: its id, and what is said beside the answer."""

    def __init__(self, context: Any, ids: RequestIds) -> None:
        self._context = context
        asked = next((value for name, value in context.invocation_metadata() or () if name == REQUEST_ID), b"")
        self.request_id = ids(asked.encode() if isinstance(asked, str) else asked)
        self._told: Pairs = ((REQUEST_ID, self.request_id),)

    def say(self, made_by: MadeBy) -> None:
        """Say who made the answer."""
        self._told = ((REQUEST_ID, self.request_id), *told_of(made_by).items())

    def require_time(self) -> None:
        """Refuse to begin what its caller does not wait for any more."""
        left_s = self._context.time_remaining()
        if left_s is not None and left_s <= 0:
            raise Unavailable("the deadline passed before the call had begun", code="deadline-exceeded", hint=None)

    def answered(self) -> None:
        """Send what is said beside an answer."""
        self._context.set_trailing_metadata(self._told)

    async def end(self, status: CallStatus) -> NoReturn:
        """End the call without an answer."""
        await self._context.abort(status.code, status.words, (*self._told, (CODE, status.error_code)))
        raise AssertionError("an aborted call goes on")


class OipCalls(grpc.GenericRpcHandler):  # type: ignore[misc]
    """What answers the calls of the service; `is_draining` says that this process ends."""

    def __init__(self, engine: Engine, lane: SlowLane) -> None:
        self._engine, self._lane = engine, lane
        self._ids = RequestIds()
        self.is_draining = False
        answering: Mapping[str, Answering] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
        }
        self._handlers = {f"/{SERVICE}/{name}": self._handler(each) for name, each in answering.items()}
        self._no_such_call = grpc.stream_stream_rpc_method_handler(self._refuse_call)

    def service(self, handler_call_details: Any) -> Any:
        """Return what answers a call; `None` where it is of another service."""
        method = handler_call_details.method
        if method.startswith(f"/{SERVICE}/"):
            return self._handlers.get(method, self._no_such_call)
        return None

    def _handler(self, answering: Answering) -> Any:
        async def answer(content: bytes, context: Any) -> bytes:
            call = CallUnderWay(context, self._ids)
            try:
                call.require_time()
                answer = await answering(content, call)
            except SlipwayError as error:
                status = status_of(error)
            except EndedError as ended:
                status = ended.status
            except Exception:  # the edge: whoever asked gets an answer, whatever went wrong
                log.exception("request %s could not be answered", call.request_id)
                status = engine_failed(call.request_id)
            else:
                call.answered()
                return answer
            await call.end(status)

        return grpc.unary_unary_rpc_method_handler(answer)

    async def _refuse_call(self, requests: Any, context: Any) -> None:
        """Refuse a call that only Triton's own service has, streams among them."""
        names = ", ".join(name.rpartition("/")[2] for name in self._handlers)
        error = InvalidInput(
            f"this service has no such call; it has {names}",
            code="no-such-call",
            hint="streams are asked as ModelInfer",
        )
        await CallUnderWay(context, self._ids).end(status_of(error))

    def is_ready(self) -> bool:
        """Return whether this process answers and goes on to."""
        return self._engine.is_ready() and not self.is_draining

    async def _server_live(self, content: bytes, call: CallUnderWay) -> bytes:
        return _bytes_of(ServerLiveResponse(live=True))

    async def _server_ready(self, content: bytes, call: CallUnderWay) -> bytes:
        return _bytes_of(ServerReadyResponse(ready=self.is_ready()))

    async def _server_metadata(self, content: bytes, call: CallUnderWay) -> bytes:
        return _bytes_of(ServerMetadataResponse(name="slipway", version=version(DISTRIBUTION)))

    async def _model_ready(self, content: bytes, call: CallUnderWay) -> bytes:
        asked = parsed(ModelReadyRequest, content)
        is_ready = would_answer(self._engine, asked.name, asked.version or None) and not self.is_draining
        return _bytes_of(ModelReadyResponse(ready=is_ready))

    async def _model_metadata(self, content: bytes, call: CallUnderWay) -> bytes:
        asked = parsed(ModelMetadataRequest, content)
        _, loaded = named_or_serving(self._engine, asked.name, asked.version or None)
        call.say(loaded.made_by)
        signature, methods = loaded.decoders[OIP].signature, loaded.runner.report.methods
        answer = ModelMetadataResponse(
            name=loaded.target.model, versions=numbers_of(self._engine, asked.name), platform=PLATFORM
        )
        answer.inputs.extend(map(_tensor_metadata, input_specs(signature)))
        answer.outputs.extend(map(_tensor_metadata, output_specs(signature, methods)))
        return _bytes_of(answer)

    async def _infer(self, content: bytes, call: CallUnderWay) -> bytes:
        asked = await _request_of(content)
        protocol = OipMessages(self._lane, asked)
        number = asked.model_version or None
        request = arrived(self._engine, asked.model_name, number, protocol, content, call.request_id)
        [outcome] = self._engine.score_now([request])
        if outcome is None:
            outcome = await self._engine.score(request)
        if outcome.made_by is not None:
            call.say(outcome.made_by)
        if isinstance(outcome, Predicted):
            return outcome.payload
        if isinstance(outcome, Refused):
            raise outcome.error
        raise EndedError(model_failed(call.request_id))


async def _request_of(content: bytes) -> Any:
    """Return a request; a large one is read beside the event loop."""
    if len(content) <= INLINE_BYTES:
        return parsed_request(content)
    return await asyncio.to_thread(parsed_request, content)


def _tensor_metadata(spec: TensorSpec) -> Any:
    return ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)


def _bytes_of(message: Any) -> bytes:
    content: bytes = message.SerializeToString()
    return content
