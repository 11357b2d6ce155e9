"""The Open Inference Protocol over HTTP: everything below `/v2`."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

from slipway.registry.distribution import DISTRIBUTION
from slipway.registry.errors import InvalidInput, NotApproved, NotFound, SlipwayError
from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.outcome import Predicted
from slipway.serving.engine.routing import Placement
from slipway.serving.protocols.oip.metadata import model_config, model_metadata
from slipway.serving.protocols.oip.outputs import Written
from slipway.serving.scoring.mlflow_protocol import SlowLane
from slipway.serving.scoring.oip_protocol import OIP, OipProtocol
from slipway.serving.transports.http.answers import Answer, answer_to, header_lines, refusal
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.family import Call, document, with_flat_error
from slipway.serving.transports.http.packed import packed, unpacked
from slipway.serving.transports.http.refusals import wrong_method
from slipway.serving.transports.loaded_versions import (
    arrived,
    named_or_serving,
    numbers_of,
    serving_versions,
    would_answer,
)
from slipway.serving.transports.placements import find_placement

GET, POST = ("GET", "HEAD"), ("POST",)
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository(index)")
HEADER_LENGTH = b"inference-header-content-length"
BINARY = b"application/octet-stream"
Answering = Callable[[Call], Awaitable[Answer]]
Way = tuple[tuple[str, ...], Answering]


class OipRoutes:
    """What answers below `/v2`; errors are a text under `error`, with the rest of ours beside it."""

    def __init__(self, door: Door, lane: SlowLane) -> None:
        self._door, self._lane = door, lane
        self._fixed: Mapping[tuple[str, ...], Way] = {
            (): (GET, self._server),
            ("health", "live"): (GET, self._live),
            ("health", "ready"): (GET, self._ready),
            ("repository", "index"): (POST, self._index),
        }
        self._of_model: Mapping[tuple[str, ...], tuple[tuple[str, ...], Callable[..., Awaitable[Answer]]]] = {
            (): (GET, self._metadata),
            ("ready",): (GET, self._model_ready),
            ("config",): (GET, self._config),
            ("infer",): (POST, self._infer),
        }

    async def answer(self, call: Call) -> Answer:
        """Answer one request."""
        try:
            allowed, answer = self._way(call.words)
            if call.method not in allowed:
                return with_flat_error(wrong_method(call.method, allowed, call.request_id))
            return with_flat_error(await answer(call))
        except SlipwayError as error:
            return with_flat_error(refusal(error, call.request_id))

    def _way(self, words: tuple[str, ...]) -> Way:
        if words in self._fixed:
            return self._fixed[words]
        if words[:1] == ("models",) and len(words) > 1:
            number = words[3] if words[2:3] == ("versions",) and len(words) > 3 else None
            rest = words[2:] if number is None else words[4:]
            if rest in self._of_model:
                allowed, answer = self._of_model[rest]
                return allowed, partial(answer, words[1], number)
        if words[:2] == ("repository", "models") and words[3:] in (("load",), ("unload",)):
            return POST, self._not_switched_on
        raise NotFound(
            "nothing is at this path of the Open Inference Protocol",
            code="unknown-path",
            hint="GET /v2, /v2/health/ready, /v2/models/NAME; POST /v2/models/NAME/infer",
        )

    async def _server(self, call: Call) -> Answer:
        return document({"name": "slipway", "version": version(DISTRIBUTION), "extensions": list(EXTENSIONS)})

    async def _live(self, call: Call) -> Answer:
        return document({"live": True})

    async def _ready(self, call: Call) -> Answer:
        is_ready = self._door.engine.is_ready() and not self._door.is_draining
        return document({"ready": is_ready}, 200 if is_ready else 503)

    async def _index(self, call: Call) -> Answer:
        found = []
        for placement in self._door.engine.placements.values():
            found += [_indexed(str(placement.target), each) for each in _open(self._door, placement)]
            if placement.stable is None:
                reason = placement.problem or "no version serves yet"
                found.append({"name": str(placement.target), "version": "", "state": "UNAVAILABLE", "reason": reason})
        return document(found)

    async def _not_switched_on(self, call: Call) -> Answer:
        raise NotApproved(
            "models are not loaded or unloaded by clients: the engine follows the registry",
            code="follows-the-registry",
            hint="slipway promote, slipway rollback",
        )

    async def _metadata(self, name: str, number: str | None, call: Call) -> Answer:
        placement, loaded = named_or_serving(self._door.engine, name, number)
        numbers = numbers_of(self._door.engine, name)
        more = {"stage": placement.target.stage, "serving": str(loaded.number), "variant": loaded.variant}
        methods = loaded.runner.report.methods
        content = model_metadata(loaded.target.model, numbers, loaded.decoders[OIP].signature, methods, more)
        return _of(loaded, content)

    async def _config(self, name: str, number: str | None, call: Call) -> Answer:
        _, loaded = named_or_serving(self._door.engine, name, number)
        methods = loaded.runner.report.methods
        return _of(loaded, model_config(loaded.target.model, loaded.number, loaded.decoders[OIP].signature, methods))

    async def _model_ready(self, name: str, number: str | None, call: Call) -> Answer:
        is_ready = would_answer(self._door.engine, name, number) and not self._door.is_draining
        model = find_placement(self._door.engine, name).target.model
        return document({"name": model, "ready": is_ready}, 200 if is_ready else 503)

    async def _infer(self, name: str, number: str | None, call: Call) -> Answer:
        content = await unpacked(
            await call.read(), call.headers.get(b"content-encoding", b""), self._door.max_body_bytes
        )
        protocol = OipProtocol(self._lane, _json_bytes(call.headers.get(HEADER_LENGTH)))
        engine = self._door.engine
        outcome = await engine.score(arrived(engine, name, number, protocol, content, call.request_id))
        answer = answer_to(outcome, call.request_id)
        if isinstance(outcome, Predicted) and isinstance(outcome.payload, Written):
            answer = _with_length(answer, outcome.payload.json_bytes)
        return await packed(answer, call.headers.get(b"accept-encoding", b""))


def _open(door: Door, placement: Placement) -> list[Loaded]:
    return [loaded for _, loaded, _ in serving_versions(door.engine, str(placement.target))]


def _indexed(name: str, loaded: Loaded) -> dict[str, Any]:
    return {"name": name, "version": str(loaded.number), "state": "READY", "reason": ""}


def _of(loaded: Loaded, content: Any) -> Answer:
    return Answer(200, document(content).body, header_lines(loaded.made_by))


def _json_bytes(header: bytes | None) -> int | None:
    """Return how much of a body is JSON."""
    if header is None:
        return None
    if not header.isdigit() or len(header) > 18:
        raise InvalidInput("Inference-Header-Content-Length takes a number of bytes", code="wrong-input", hint=None)
    return int(header)


def _with_length(answer: Answer, json_bytes: int | None) -> Answer:
    """Return an answer that says how much of it is JSON, where bytes follow."""
    if json_bytes is None:
        return answer
    made_by = answer.made_by + b"%b: %d\r\n" % (HEADER_LENGTH, json_bytes)
    return Answer(answer.status, answer.body, made_by, BINARY)
