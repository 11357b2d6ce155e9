"""The ASGI application: every route of a worker, whoever speaks HTTP before it.

Scoring routes are usually answered by `slipway.serving.transports.http.connections` already; here they are answered the
same.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from time import perf_counter
from typing import Any

from slipway.registry.errors import InvalidInput, SlipwayError
from slipway.registry.stays_http import Receive, Scope, Send, StaysHttp
from slipway.serving.engine.metrics import exposition
from slipway.serving.engine.routing import Placement, routed
from slipway.serving.target import STABLE
from slipway.serving.transports.http.answers import Answer, answer_to, refusal
from slipway.serving.transports.http.connections import too_large
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.routes import Route, find_placement, no_such_route

PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"


def app_of(door: Door) -> StaysHttp:
    """Return the application that answers for an engine's door."""
    return StaysHttp(App(door))


class App:
    """The routes of a worker."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._gets: Mapping[str, Callable[[], Awaitable[Answer]]] = {
            "/ping": self._health,
            "/health": self._health,
            "/ready": self._ready,
            "/live": self._live,
            "/version": self._version,
            "/metrics": self._metrics,
            "/models": self._models,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        request_id = self._door.request_id(headers.get(b"x-request-id", b""))
        try:
            answer = await self._answer(scope, headers, receive, request_id)
        except SlipwayError as error:
            answer = refusal(error, request_id)
        await _send(answer, request_id, send)

    async def _answer(self, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive, request_id: str) -> Answer:
        path, method = scope["path"], scope["method"]
        route = self._door.routes.get(scope["raw_path"])
        if route is not None:
            _require_method(method, "POST")
            return await self._score(route, headers, receive, request_id)
        if path == "/admin/refresh":
            _require_method(method, "POST")
            return _document(await self._door.refresh())
        if path in self._gets:
            _require_method(method, "GET", "HEAD")
            return await self._gets[path]()
        words = path.strip("/").split("/")
        if words[0] == "models" and len(words) == 2:
            _require_method(method, "GET", "HEAD")
            return _document(describe(find_placement(self._door.engine, words[1])))
        if words[0] == "models" and len(words) == 3:
            placement = find_placement(self._door.engine, words[1])
            if words[2] == "ready":
                _require_method(method, "GET", "HEAD")
                return _document(describe(placement), 200 if placement.is_ready and not self._door.is_draining else 503)
        raise no_such_route(self._door.engine, self._door.protocols, path)

    async def _score(self, route: Route, headers: Mapping[bytes, bytes], receive: Receive, request_id: str) -> Answer:
        body = await _read(receive, self._door.max_body_bytes)
        placement, protocol = route
        content_type, engine = headers.get(b"content-type", b""), self._door.engine
        context = routed(request_id, perf_counter())
        outcome = await engine.score(engine.arrive(placement, protocol, body, content_type, context))
        return answer_to(outcome, request_id)

    async def _health(self) -> Answer:
        """Answer as MLflow's scoring server does: 200 and a line's end when the models are loaded."""
        return Answer(200 if self._is_ready() else 503, b"\n")

    async def _ready(self) -> Answer:
        document = {"ready": self._is_ready(), "models": self._described()}
        return _document(document, 200 if document["ready"] else 503)

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


def _require_method(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise InvalidInput(
            f"{method} is not allowed here; use {' or '.join(allowed)}", code="method-not-allowed", hint=None
        )


async def _read(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > limit:
            raise too_large(limit)
        if not message.get("more_body"):
            return bytes(body)


async def _send(answer: Answer, request_id: str, send: Send) -> None:
    headers = [
        (b"content-type", answer.content_type),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-request-id", request_id.encode()),
    ]
    made_by = [tuple(line.split(b": ", 1)) for line in answer.made_by.splitlines()]
    await send({"type": "http.response.start", "status": answer.status, "headers": [*headers, *made_by]})
    await send({"type": "http.response.body", "body": answer.body})
