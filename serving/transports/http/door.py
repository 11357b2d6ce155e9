"""What the HTTP side of a worker shares: the engine, its routes, limits, request ids, and how to ask the supervisor."""

import itertools
import os
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from slipway.serving.engine.engine import Engine, Request, WireProtocol
from slipway.serving.engine.metrics import Snapshot
from slipway.serving.transports.http.routes import Route, scoring_routes

SAFE_ID = re.compile(rb"[\x21-\x7e]{1,128}")


@dataclass(slots=True)
class Door:
    """The engine as HTTP sees it.

    `protocols` is the last part of a URL → the protocol that is spoken there. `refresh` has the registry polled now and
    returns what is serving afterwards; `metrics` adds up all workers.
    `waiting` are connections and their requests that are answered at the end of this turn of the event loop.
    """

    engine: Engine
    protocols: Mapping[str, WireProtocol]
    max_body_bytes: int
    refresh: Callable[[], Awaitable[Any]]
    metrics: Callable[[], Awaitable[Snapshot]]
    routes: Mapping[bytes, Route] = field(default_factory=dict)
    is_draining: bool = False
    waiting: list[tuple[Any, Request]] = field(default_factory=list)
    _prefix: str = field(default_factory=lambda: os.urandom(6).hex())
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take up targets that are new."""
        self.routes = scoring_routes(self.engine, self.protocols)

    def request_id(self, asked: bytes) -> str:
        """Return the caller's id where it is 1 to 128 printable characters, else one of ours."""
        if asked and SAFE_ID.fullmatch(asked):
            return asked.decode()
        return f"{self._prefix}-{next(self._numbers):x}"
