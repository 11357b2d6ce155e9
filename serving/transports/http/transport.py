"""HTTP as a transport of a worker: uvicorn, reading as `slipway.serving.transports.http.connections` does."""

import asyncio
import contextlib
import socket

import uvicorn

from slipway.serving.transports.http.app import app_of
from slipway.serving.transports.http.connections import close_idle, protocol_of
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.names import HTTP

SWEEP_EVERY_S = 5.0


class HttpTransport:
    """An engine's door, on a socket.

    Connections on which nothing comes for `idle_s` are ended; requests have `stop_within_s` to end when it is stopped.
    """

    name = HTTP

    def __init__(self, door: Door, *, idle_s: float, stop_within_s: float) -> None:
        self._door = door
        self._idle_s = idle_s
        config = uvicorn.Config(
            app_of(door),
            http=protocol_of(door),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(idle_s),
            timeout_graceful_shutdown=int(stop_within_s),
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]

    async def serve(self, listener: socket.socket) -> None:
        """Answer until it is stopped."""
        if self._server.should_exit:
            return
        sweep = asyncio.create_task(self._sweep())
        try:
            await self._server.serve(sockets=[listener])
        finally:
            sweep.cancel()

    def renew(self) -> None:
        """Take up targets that are new."""
        self._door.renew()

    def drain(self) -> None:
        """Be ready no more, and end each connection with its next answer."""
        self._door.is_draining = True

    def stop(self) -> None:
        """Accept nothing more."""
        self._server.should_exit = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now = asyncio.get_running_loop().time()
            close_idle(self._server.server_state.connections, now=now, after_s=self._idle_s)
