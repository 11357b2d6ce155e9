"""The `Heartbeats` at a tracking server, for engines without access to its database."""

from collections.abc import Sequence

from registry.heartbeats import Heartbeat, heartbeat_from
from registry.http_server import SlipwayServer


class HttpHeartbeats:
    """The `Heartbeats` of a server with Slipway's API."""

    def __init__(self, server: SlipwayServer) -> None:
        self._server = server

    def beat(self, beats: Sequence[Heartbeat]) -> None:
        """Write an engine's word over its earlier one."""
        self._server.post("/heartbeats", {"beats": [beat.to_document() for beat in beats]})

    def leave(self, engine: str) -> None:
        """Take an engine's rows away."""
        self._server.post("/heartbeats/leave", {"engine": engine})

    def all(self) -> tuple[Heartbeat, ...]:
        """Return the last word of every engine on a model that may be seen."""
        return tuple(map(heartbeat_from, self._server.get("/heartbeats")["beats"]))
