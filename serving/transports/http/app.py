"""The ASGI application: every route of a worker, whoever speaks HTTP before it.

Scoring routes are usually answered by `slipway.serving.transports.http.connections` already; here they are answered the
same.
"""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.metadata import version
from time import perf_counter
from typing import Any

from slipway.registry.errors import SlipwayError
from slipway.registry.stays_http import Receive, Scope, Send
from slipway.serving.engine.metrics import exposition
from slipway.serving.engine.routing import Placement, routed
from slipway.serving.target import STABLE
from slipway.serving.transports.http.answers import Answer, answer_to, refusal
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.family import Call, Gone
from slipway.serving.transports.http.refusals import engine_failed, too_large, wrong_method
from slipway.serving.transports.http.routes import Route, Words, no_such_route, words_of
from slipway.serving.transports.placements import find_placement

log = logging.getLogger("slipway.serve")

PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
GET, POST = ("GET", "HEAD"), ("POST",)
Headers = Mapping[bytes, bytes]


class ReceivedBody:
    """A request's body, read when it is asked for; `is_read` says whether it was read to its end."""

    def __init__(self, receive: Receive, headers: Headers, limit: int) -> None:
        self._receive = receive
        self._announced = int(headers.get(b"content-length", b"0"))
        self._limit = limit
        self.is_read = False

    async def read(self) -> bytes:
        """Return the whole of it.

        Raises
        ------
        InvalidInput
            It is larger than it may be.
        Gone
            Its end did not come: a part of it is no request.
        """
        body = bytearray()
        while not self.is_read:
            if max(len(body), self._announced) > self._limit:
                raise too_large(self._limit)
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            body += message.get("body", b"")
            self.is_read = not message.get("more_body")
        if len(body) > self._limit:
            raise too_large(self._limit)
        return bytes(body)


def app_of(door: Door) -> "App":
    """Return the application that answers for an engine's door."""
    return App(door)


class App:
    """The routes of a worker."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._gets: Mapping[Words, Callable[[], Awaitable[Answer]]] = {
            (): self._alive,
            ("ping",): self._health,
            ("health",): self._health,
            ("ready",): self._ready,
            ("live",): self._live,
            ("version",): self._version,
            ("metrics",): self._metrics,
            ("models",): self._models,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        body = ReceivedBody(receive, headers, self._door.max_body_bytes)
        request_id = self._door.request_id(headers.get(b"x-request-id", b""))
        try:
            answer = await self._answer(scope, headers, body, request_id)
        except Gone:
            return
        except SlipwayError as error:
            answer = refusal(error, request_id)
        except Exception:  # the edge: whoever asked gets an answer, whatever went wrong
            log.exception("request %s could not be answered", request_id)
            answer = engine_failed(request_id)
        # Who waits for leave to send a body may leave it out after a refusal: where the next request begins is unknown.
        is_last = self._door.is_draining or (b"expect" in headers and not body.is_read)
        await _send(answer, request_id, send, is_last=is_last)

    async def _answer(self, scope: Scope, headers: Headers, body: ReceivedBody, request_id: str) -> Answer:
        url, method = scope["raw_path"], scope["method"]
        route = self._door.routes[url]
        if route is None:
            words = words_of(url)
            if words[:1] and (family := self._door.families.get(words[0])) is not None:
                return await family(Call(method, words[1:], headers, request_id, body.read))
            allowed, answer = self._found(words)
        else:
            allowed, answer = POST, partial(self._score, route, headers, body, request_id)
        return await answer() if method in allowed else wrong_method(method, allowed, request_id)

    def _found(self, words: Words) -> tuple[tuple[str, ...], Callable[[], Awaitable[Answer]]]:
        """Return by which methods a path is asked, and what answers; raises NotFound where nothing does."""
        if words in self._gets:
            return GET, self._gets[words]
        if words == ("admin", "refresh"):
            return POST, self._refresh
        if words[:1] == ("models",) and len(words) == 2:
            return GET, partial(self._model, words[1])
        if words[:1] == ("models",) and len(words) == 3:
            placement = find_placement(self._door.engine, words[1])
            if words[2] == "ready":
                return GET, partial(self._model_ready, placement)
        raise no_such_route(self._door.engine, self._door.protocols, words)

    async def _score(self, route: Route, headers: Headers, body: ReceivedBody, request_id: str) -> Answer:
        placement, protocol = route
        content_type, engine = headers.get(b"content-type", b""), self._door.engine
        content = await body.read()
        context = routed(request_id, perf_counter())
        outcome = await engine.score(engine.arrive(placement, protocol, content, content_type, context))
        return answer_to(outcome, request_id)

    async def _refresh(self) -> Answer:
        return _document(await self._door.refresh())

    async def _model(self, name: str) -> Answer:
        return _document(describe(find_placement(self._door.engine, name)))

    async def _model_ready(self, placement: Placement) -> Answer:
        return _document(describe(placement), 200 if placement.is_ready and not self._door.is_draining else 503)

    async def _health(self) -> Answer:
        """Answer as MLflow's scoring server does: 200 and a line's end when the models are loaded."""
        return Answer(200 if self._is_ready() else 503, b"\n")

    async def _ready(self) -> Answer:
        document = {"ready": self._is_ready(), "models": self._described()}
        return _document(document, 200 if document["ready"] else 503)

    async def _alive(self) -> Answer:
        """Answer as KServe's server does, whose client asks the root whether anybody lives."""
        return _document({"status": "alive"})

    async def _live(self) -> Answer:
        return _document({"live": True})

    async def _version(self) -> Answer:
        """Answer as MLflow's scoring server does, so that its clients can tell what they may send."""
        return Answer(200, version("mlflow").encode())

    async def _metrics(self) -> Answer:
        return Answer(200, exposition(await self._door.metrics()), content_type=PROMETHEUS)

    async def _models(self) -> Answer:
        return _document({"models": self._described()})

    def _is_ready(self) -> bool:
        return self._door.engine.is_ready() and not self._door.is_draining

    def _described(self) -> list[dict[str, Any]]:
        return [describe(placement) for placement in self._door.engine.placements.values()]


def describe(placement: Placement) -> dict[str, Any]:
    """Return what operators see of a target: which version is serving, by which runner and why, and what is wrong."""
    loaded, target = placement.stable, placement.target
    document: dict[str, Any] = {
        "name": target.model,
        "stage": target.stage,
        "version": None,
        "preparing": placement.preparing,
        "problem": _problem(placement),
        "recorded": loaded is None or loaded.is_recorded,
    }
    if loaded is None:
        return document
    report = loaded.runner.report
    return document | {
        "version": loaded.number,
        "variant": loaded.variant,
        "since": loaded.since.isoformat() if loaded.since else None,
        "digest": loaded.digest,
        "inputs": list(loaded.columns),
        "methods": list(report.methods),
        "runner": {
            "kind": report.kind,
            "reason": report.reason,
            "one_row_s": report.one_row_s,
            "resident_bytes": report.resident_bytes,
        },
        "warm": placement.warm[STABLE].number if STABLE in placement.warm else None,
        "variants": {name: each.number for name, each in placement.variants.items()},
    }


def _problem(placement: Placement) -> str | None:
    stuck = [each for each in placement.variants.values() if each.threads.are_stuck]
    return f"version {stuck[0].number} does not answer" if stuck else placement.problem


def _document(document: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(document).encode())


async def _send(answer: Answer, request_id: str, send: Send, *, is_last: bool) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    made_by = [tuple(line.split(b": ", 1)) for line in answer.made_by.splitlines()]
    ends = [(b"connection", b"close")] if is_last else []
    await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, *made_by, *ends]})
    await send({"type": "http.response.body", "body": answer.body})
