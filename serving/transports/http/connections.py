"""Scoring requests on uvicorn's connections, without the price of an ASGI call for each.

uvicorn spends several times as long around an ASGI application as a quick model takes to answer (docs/decisions/0006).
So a POST to a scoring route is read and answered here, on the event loop; every other request, and a scoring request
behind one that is still under way on the same connection, goes through the ASGI application, which answers the same.

Requests that arrive in one turn of the loop are answered together at its end: nobody waits, and under load a model
predicts many rows at once, with warm caches, instead of one between two calls of the kernel.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from slipway.serving.engine.engine import Request
from slipway.serving.engine.outcome import Outcome
from slipway.serving.engine.routing import routed
from slipway.serving.transports.http.answers import Answer, answer_to
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.ends import HEAD, NOTHING
from slipway.serving.transports.http.plain_http import PlainHttp
from slipway.serving.transports.http.refusals import engine_failed, too_large
from slipway.serving.transports.http.routes import Route

log = logging.getLogger("slipway.serve")


class UnderWay:
    """Stands where uvicorn has its request cycle while a scoring request waits for its answer."""

    def __init__(self) -> None:
        self.response_complete = True
        self.disconnected = False
        self.keep_alive = True
        self.more_body = False
        self.message_event = asyncio.Event()


class ScoringProtocol(PlainHttp):
    """HTTP with a short way for scoring requests."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._route: Route | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._content_type = self._own_id = self._keeping = b""
        self._under_way = UnderWay()

    def take(self) -> None:
        """Take a request for scoring, where nothing is under way before it, and leave any other to uvicorn."""
        is_idle = self.cycle is None or self.cycle.response_complete
        self._route = self.door.routes[self.url] if is_idle and self.parser.get_method() == b"POST" else None
        if self._route is None:
            super().take()
            return
        fields = self.fields
        self._body, self._size = [], 0
        self._content_type = fields.get(b"content-type", b"")
        self._own_id = fields.get(b"x-request-id", b"")
        self._keeping = b"connection: keep-alive\r\n" if b"connection" in fields else b""
        size = fields.get(b"content-length")
        if size is not None and int(size) > self.door.max_body_bytes:
            raise too_large(self.door.max_body_bytes)
        if b"expect" in fields and fields[b"expect"].lower() == b"100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Collect the body, up to its limit."""
        if self._route is None:
            super().on_body(body)
            return
        self._size += len(body)
        if self._size > self.door.max_body_bytes:
            raise too_large(self.door.max_body_bytes)
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the request among those that are answered at the end of this turn."""
        if self._route is None or self._reading is HEAD:
            super().on_message_complete()
            return
        self._reading = NOTHING
        placement, protocol = self._route
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        door = self.door
        context = routed(door.request_id(self._own_id), perf_counter())
        cycle = self._under_way
        cycle.response_complete = False
        cycle.keep_alive = self.parser.should_keep_alive()
        self.cycle = cycle  # type: ignore[assignment]
        door.waiting.append((self, door.engine.arrive(placement, protocol, body, self._content_type, context)))
        if len(door.waiting) == 1:
            self.loop.call_soon(answer_waiting, door)

    def is_uvicorns(self) -> bool:
        """Return whether the request that is read is none of ours."""
        return self._route is None

    def answered(self, request: Request, outcome: Outcome | None) -> None:
        """Send an answer, or start what will answer."""
        if outcome is not None:
            request_id = request.context.request_id
            self._reply(request_id, answer_to(outcome, request_id))
            return
        self.flow.pause_reading()
        task = self.loop.create_task(self._reply_later(request))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _reply_later(self, request: Request) -> None:
        request_id = request.context.request_id
        try:
            answer = answer_to(await self.door.engine.score(request), request_id)
        except Exception:  # the edge: whoever asked gets an answer, whatever went wrong
            log.exception("request %s could not be answered", request_id)
            answer = engine_failed(request_id)
        self.last_used = self.loop.time()
        self._reply(request_id, answer)
        self.flow.resume_reading()

    def _reply(self, request_id: str, answer: Answer) -> None:
        cycle = self._under_way
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        goes_on = cycle.keep_alive and not self.door.is_draining
        self.write(answer, request_id, self._keeping if goes_on else b"connection: close\r\n")
        if not goes_on:
            self.close_gently()
        elif self.pipeline:
            self.on_response_complete()
        elif self._last_answer is not None:
            self.say_last()


def answer_waiting(door: Door) -> None:
    """Answer what arrived in this turn of the loop."""
    waiting, door.waiting = door.waiting, []
    outcomes: list[Outcome | None]
    try:
        outcomes = door.engine.score_now([request for _, request in waiting])
    except Exception:  # the edge: each is asked alone then, so that the fault of one is its own
        log.exception("%d requests could not be answered together", len(waiting))
        outcomes = [None] * len(waiting)
    for (connection, request), outcome in zip(waiting, outcomes, strict=True):
        connection.answered(request, outcome)


def close_idle(connections: Iterable[Any], *, now: float, after_s: float) -> None:
    """End connections on which nothing came or went for a while: one sweep instead of a timer for each request."""
    for connection in list(connections):
        if connection.last_used < now - after_s:
            connection.time_out(after_s)


def protocol_of(door: Door) -> Callable[..., ScoringProtocol]:
    """Return uvicorn's protocol class for an engine's door."""
    return type("BoundScoringProtocol", (ScoringProtocol,), {"door": door})
