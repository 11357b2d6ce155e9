"""The `Heartbeats` at a tracking server, for engines without access to its database."""

from collections.abc import Sequence

from slipway.registry.engines.heartbeats import Heartbeat, heartbeat_from
from slipway.registry.errors import NotApproved
from slipway.registry.http_client import SlipwayServer, understood


class HttpHeartbeats:
    """The `Heartbeats` of a server with Slipway's API."""

    def __init__(self, server: SlipwayServer) -> None:
        self._server = server

    @understood()
    def beat(self, beats: Sequence[Heartbeat]) -> None:
        """Write an engine's word over its earlier one.

        Raises
        ------
        NotApproved
            The server took none of it, or not that on the models that are named.
        """
        answer = self._server.post("/heartbeats", {"beats": [beat.to_document() for beat in beats]})
        refused = answer.get("refused", ())  # a server of an earlier Slipway takes all or nothing
        if refused:
            said = "; ".join(f"{each['model']}@{each['stage']}: {each['error']['message']}" for each in refused)
            first = refused[0]["error"]
            raise NotApproved(f"the server takes none on {said}", code=first["code"], hint=first["hint"])

    def leave(self, engine: str) -> None:
        """Take an engine's rows away."""
        self._server.post("/heartbeats/leave", {"engine": engine})

    @understood()
    def all(self) -> tuple[Heartbeat, ...]:
        """Return the last word of every engine on a model that may be seen."""
        return tuple(map(heartbeat_from, self._server.get("/heartbeats")["beats"]))
