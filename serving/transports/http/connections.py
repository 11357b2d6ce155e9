"""Scoring requests on uvicorn's connections, without the price of an ASGI call for each.

uvicorn spends several times as long around an ASGI application as a quick model takes to answer (docs/decisions/0006).
So a POST to a scoring route is read and answered here, on the event loop; every other request, and a scoring request
behind one that is still under way on the same connection, goes through the ASGI application, which answers the same.

Requests that arrive in one turn of the loop are answered together at its end: nobody waits, and under load a model
predicts many rows at once, with warm caches, instead of one between two calls of the kernel.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from slipway.registry.errors import InvalidInput
from slipway.registry.stays_http import NO_BODY
from slipway.serving.engine.engine import Request
from slipway.serving.engine.outcome import Outcome
from slipway.serving.engine.routing import routed
from slipway.serving.transports.http.answers import Answer, answer_to, refusal
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.routes import Route

CONTENT_TYPE, REQUEST_ID = b"content-type", b"x-request-id"
# So much of a refused body is read and thrown away: a client that is cut off while it sends never reads the refusal.
LINGER_BYTES = 256 * 2**20


class UnderWay:
    """Stands where uvicorn has its request cycle while a scoring request waits for its answer."""

    def __init__(self) -> None:
        self.response_complete = True
        self.disconnected = False
        self.keep_alive = True
        self.message_event = asyncio.Event()


class ScoringProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with a short way for scoring requests."""

    door: Door

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._route: Route | None = None
        self._undecided = True
        self._body: list[bytes] = []
        self._size = 0
        self._content_type = b""
        self._asked_id = b""
        self._refused = False
        self._under_way = UnderWay()
        self.last_used = self.loop.time()

    def on_message_begin(self) -> None:
        """Start a request that may be one of either kind."""
        self.url = b""
        self.headers = []  # of requests that are ours there are none, also when uvicorn asks who wants another protocol
        self._undecided = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the two headers that matter for scoring, or all for others."""
        if self._undecided:
            self._decide()
        if self._route is None:
            super().on_header(name, value)
        elif len(name) == 12:
            lower = name.lower()
            if lower == CONTENT_TYPE:
                self._content_type = value
            elif lower == REQUEST_ID:
                self._asked_id = value
        elif len(name) == 6 and name.lower() == b"expect":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif len(name) == 14 and name.lower() == b"content-length" and int(value) > self.door.max_body_bytes:
            self._size = int(value)

    def on_headers_complete(self) -> None:
        """Let uvicorn make its cycle for requests that are not ours; refuse bodies that are too large, or lost."""
        if self._undecided:
            self._decide()
        if self._route is None:
            super().on_headers_complete()
        elif self._size:
            self._refuse(too_large(self.door.max_body_bytes))
        elif self.parser.should_upgrade():
            self._refuse(NO_BODY)

    def on_body(self, body: bytes) -> None:
        """Collect the body, up to its limit."""
        if self._route is None:
            super().on_body(body)
            return
        self._size += len(body)
        if self._refused:
            if self._size > self.door.max_body_bytes + LINGER_BYTES:
                self.transport.close()
        elif self._size > self.door.max_body_bytes:
            self._refuse(too_large(self.door.max_body_bytes))
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Put the request among those that are answered at the end of this turn."""
        if self._route is None:
            super().on_message_complete()
            return
        if self._refused:
            self.transport.close()
            return
        placement, protocol = self._route
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        context = routed(self.door.request_id(self._asked_id), perf_counter())
        cycle = self._under_way
        cycle.response_complete = False
        cycle.keep_alive = self.parser.should_keep_alive() and not self.door.is_draining
        self.cycle = cycle  # type: ignore[assignment]
        waiting = self.door.waiting
        waiting.append((self, self.door.engine.arrive(placement, protocol, body, self._content_type, context)))
        if len(waiting) == 1:
            self.loop.call_soon(answer_waiting, self.door)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, after the answers to what was."""
        answer_waiting(self.door)
        super().send_400_response(msg)

    def answered(self, request: Request, outcome: Outcome | None) -> None:
        """Send an answer, or start what will answer."""
        if outcome is not None:
            self._reply(request, outcome)
            return
        self.flow.pause_reading()
        task = self.loop.create_task(self._reply_later(request))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _reply_later(self, request: Request) -> None:
        self._reply(request, await self.door.engine.score(request))
        self.flow.resume_reading()

    def _reply(self, request: Request, outcome: Outcome) -> None:
        cycle = self._under_way
        cycle.response_complete = True
        if self.transport.is_closing():
            return
        request_id = request.context.request_id
        self._write(answer_to(outcome, request_id), request_id, cycle.keep_alive)
        if not cycle.keep_alive:
            self.transport.close()
        elif self.pipeline:
            self.on_response_complete()

    def _write(self, answer: Answer, request_id: str, keep_alive: bool) -> None:
        self.transport.write(
            b"%bcontent-type: %b\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n%b\r\n%b"
            % (
                STATUS_LINE[answer.status],
                answer.content_type,
                len(answer.body),
                answer.made_by,
                request_id.encode(),
                b"" if keep_alive else b"connection: close\r\n",
                answer.body,
            )
        )
        self.server_state.total_requests += 1
        self.last_used = self.loop.time()

    def _decide(self) -> None:
        """Tell by method and path whether a request is for scoring, and nothing is under way before it."""
        self._undecided = False
        idle = self.cycle is None or self.cycle.response_complete
        self._route = self.door.routes.get(self.url) if idle and self.parser.get_method() == b"POST" else None
        if self._route is None:
            url = self.url
            super().on_message_begin()
            self.url = url
            return
        self._body, self._size, self._content_type, self._asked_id, self._refused = [], 0, b"", b"", False

    def _refuse(self, why: InvalidInput) -> None:
        """Answer before the request has ended, which ends the connection."""
        request_id = self.door.request_id(self._asked_id)
        self._refused, self._body = True, []
        self._write(refusal(why, request_id), request_id, keep_alive=False)


def answer_waiting(door: Door) -> None:
    """Answer what arrived in this turn of the loop."""
    waiting, door.waiting = door.waiting, []
    outcomes = door.engine.score_now([request for _, request in waiting])
    for (connection, request), outcome in zip(waiting, outcomes, strict=True):
        connection.answered(request, outcome)


def close_idle(connections: Iterable[Any], *, now: float, after_s: float) -> None:
    """Close connections on which nothing was answered for a while: one sweep instead of a timer for each request."""
    for connection in list(connections):
        if connection.last_used < now - after_s and (connection.cycle is None or connection.cycle.response_complete):
            connection.transport.close()


def too_large(limit: int) -> InvalidInput:
    """Return what to say to a body beyond the limit."""
    return InvalidInput(
        f"the body is larger than {limit} bytes",
        code="body-too-large",
        hint="send fewer rows at once, as Parquet, or start the engine with a larger --max-body-mb",
    )


def protocol_of(door: Door) -> Callable[..., ScoringProtocol]:
    """Return uvicorn's protocol class for an engine's door."""
    return type("BoundScoringProtocol", (ScoringProtocol,), {"door": door})
