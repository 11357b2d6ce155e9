"""What the HTTP side of a worker shares: the engine, its routes, limits, request ids, and how to ask the supervisor."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from slipway.serving.engine.engine import Engine, Request, WireProtocol
from slipway.serving.engine.metrics import Snapshot
from slipway.serving.transports.http.family import Family
from slipway.serving.transports.http.routes import Routes, scoring_routes
from slipway.serving.transports.request_ids import RequestIds


class FirstLines(dict[int, bytes]):
    """Status → the first lines of an answer: the status, and the headers that all answers have now."""

    def __init__(self, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__()
        self._lines = b"".join(b"%b: %b\r\n" % header for header in headers)

    def __missing__(self, status: int) -> bytes:
        """Return the lines for a status that was not sent yet."""
        lines = self[status] = STATUS_LINE[status] + self._lines
        return lines


@dataclass(slots=True)
class Door:
    """The engine as HTTP sees it.

    `protocols` is the last part of a URL → the protocol that is spoken there. `refresh` has the registry polled now and
    returns what is serving afterwards; `metrics` adds up all workers. `families` is the first part of a URL → what
    answers all that begins so.
    `waiting` are connections and their requests that are answered at the end of this turn of the event loop;
    `first_lines` are those of answers, as they are for the second that uvicorn has in `dated`.
    """

    engine: Engine
    protocols: Mapping[str, WireProtocol]
    max_body_bytes: int
    refresh: Callable[[], Awaitable[Any]]
    metrics: Callable[[], Awaitable[Snapshot]]
    families: dict[str, Family] = field(default_factory=dict)
    routes: Routes = field(init=False)
    is_draining: bool = False
    waiting: list[tuple[Any, Request]] = field(default_factory=list)
    dated: list[tuple[bytes, bytes]] | None = None
    first_lines: FirstLines = field(default_factory=lambda: FirstLines([]))
    request_id: RequestIds = field(default_factory=RequestIds)

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take up targets that are new."""
        self.routes = scoring_routes(self.engine, self.protocols)

    def date_answers(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Take up the headers that all answers have from now on: the date."""
        self.dated, self.first_lines = headers, FirstLines(headers)
