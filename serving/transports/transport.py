"""What takes requests to an engine, each on a socket of its own: a worker owns a list of these."""

import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.serving.engine.engine import Engine
from slipway.serving.engine.metrics import Snapshot
from slipway.serving.slow_lane.lane import Lane


@dataclass(frozen=True, slots=True)
class WorkerServices:
    """What a worker lends its transports: the engine, where its protocols read what is not plain, and the supervisor.

    `refresh` has the registry polled now and returns what is serving afterwards; `metrics` adds up all workers.
    """

    engine: Engine
    lane: Lane
    refresh: Callable[[], Awaitable[Any]]
    metrics: Callable[[], Awaitable[Snapshot]]


class Transport(Protocol):
    """Sockets, and how requests and answers travel on them; it knows protocols, and the engine knows neither."""

    @property
    def name(self) -> str:
        """Return what its socket is called where sockets are handed on."""

    async def serve(self, listener: socket.socket) -> None:
        """Accept and answer until it is stopped; return when every request that it took is answered."""

    def renew(self) -> None:
        """Take up targets that are new, and versions that are in place now."""

    def drain(self) -> None:
        """Say from now on that this process ends: it is not ready, and an answer is the last on its connection."""

    def stop(self) -> None:
        """Accept nothing more, also before it has begun to."""
