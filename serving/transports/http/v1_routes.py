"""The V1 protocol of TensorFlow Serving and KServe over HTTP: everything below `/v1`."""

from slipway.registry.errors import NotFound, SlipwayError
from slipway.serving.engine.loaded import Loaded
from slipway.serving.scoring.mlflow_protocol import SlowLane
from slipway.serving.scoring.v1_protocol import V1Protocol
from slipway.serving.transports.http.answers import Answer, answer_to, refusal
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.family import Call, document, with_flat_error
from slipway.serving.transports.http.packed import packed, unpacked
from slipway.serving.transports.http.refusals import wrong_method
from slipway.serving.transports.loaded_versions import arrived, find_version, serving_versions
from slipway.serving.transports.placements import find_placement

GET, POST = ("GET", "HEAD"), ("POST",)
PREDICT = ":predict"


class V1Routes:
    """What answers below `/v1`; errors are a text under `error`, with the rest of ours beside it."""

    def __init__(self, door: Door, lane: SlowLane) -> None:
        self._door, self._lane = door, lane

    async def answer(self, call: Call) -> Answer:
        """Answer one request."""
        try:
            return with_flat_error(await self._answer(call))
        except SlipwayError as error:
            return with_flat_error(refusal(error, call.request_id))

    async def _answer(self, call: Call) -> Answer:
        name, number, is_predict = _asked(call.words)
        allowed = POST if is_predict else GET
        if call.method not in allowed:
            return wrong_method(call.method, allowed, call.request_id)
        if name is None:
            models = dict.fromkeys(each.target.model for each in self._door.engine.placements.values())
            return document({"models": list(models)})
        return await self._predict(name, number, call) if is_predict else self._status(name, number)

    def _status(self, name: str, number: str | None) -> Answer:
        """Return a model's state in TensorFlow Serving's form, with KServe's `ready` beside it."""
        placement = find_placement(self._door.engine, name)
        if number is None:
            there = [loaded for _, loaded, _ in serving_versions(self._door.engine, name)]
            is_ready = placement.is_ready
        else:
            there = [find_version(self._door.engine, name, number)[1]]
            is_ready = not there[0].threads.are_stuck
        is_ready = is_ready and not self._door.is_draining
        found = {each.number: _state(each) for each in reversed(there)}
        told = {"name": placement.target.model, "ready": is_ready, "model_version_status": list(found.values())[::-1]}
        return document(told, 200 if is_ready else 503)

    async def _predict(self, name: str, number: str | None, call: Call) -> Answer:
        encoding = call.headers.get(b"content-encoding", b"")
        content = await unpacked(await call.read(), encoding, self._door.max_body_bytes)
        request = arrived(self._door.engine, name, number, V1Protocol(self._lane), content, call.request_id)
        answer = answer_to(await self._door.engine.score(request), call.request_id)
        return await packed(answer, call.headers.get(b"accept-encoding", b""))


def _asked(words: tuple[str, ...]) -> tuple[str | None, str | None, bool]:
    """Return model, version, and whether predictions are asked for.

    Raises
    ------
    NotFound
        Nothing is at this path.
    """
    *before, last = words or ("",)
    is_predict = last.endswith(PREDICT)
    match [*before, last.removesuffix(PREDICT)]:
        case ["models"] if not is_predict:
            return None, None, False
        case ["models", name]:
            return name, None, is_predict
        case ["models", name, "versions", number]:
            return name, number, is_predict
    raise NotFound(
        "nothing is at this path of the V1 protocol",
        code="unknown-path",
        hint="GET /v1/models, /v1/models/NAME; POST /v1/models/NAME:predict",
    )


def _state(loaded: Loaded) -> dict[str, object]:
    status = {"error_code": "OK", "error_message": ""}
    return {"version": str(loaded.number), "state": "AVAILABLE", "status": status}
