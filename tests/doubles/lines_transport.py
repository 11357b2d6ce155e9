"""A second transport of a worker, as small as one can be: a request is a line, and so is its answer.

`MODEL BODY` asks a model's stable name with a body in MLflow's scoring protocol; `answered VERSION VARIANT BODY` comes
back, or `refused CODE`, or `failed`. The line `break` breaks the transport.
"""

import asyncio
import itertools
import socket
from time import perf_counter

from slipway.serving.engine.outcome import Failed, Outcome, Refused
from slipway.serving.engine.routing import routed
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.transports.placements import find_placement
from slipway.serving.transports.transport import WorkerServices

LINES = "lines"


class LinesTransport:
    """Lines on a socket."""

    name = LINES

    def __init__(self, services: WorkerServices) -> None:
        self._engine = services.engine
        self._protocol = protocols_of(services.lane)["invocations"]
        self._numbers = itertools.count(1)
        self._is_stopped = asyncio.Event()
        self._is_broken = False
        self._talks: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Answer until it is stopped."""
        server = await asyncio.start_server(self._talk, sock=listener)
        await self._is_stopped.wait()
        server.close()
        if self._is_broken:
            raise RuntimeError("it broke")
        if self._talks:
            await asyncio.wait(self._talks, timeout=5)

    def renew(self) -> None:
        """Take up nothing: each request finds its target itself."""

    def drain(self) -> None:
        """Say nothing of it."""

    def stop(self) -> None:
        """Accept nothing more."""
        self._is_stopped.set()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)
        while line := await reader.readline():
            if line == b"break\n":
                self._is_broken = True
                self.stop()
                return
            name, _, body = line.partition(b" ")
            writer.write(said(await self._score(name.decode(), body.strip())))
        writer.close()

    async def _score(self, model: str, body: bytes) -> Outcome:
        context = routed(f"lines-{next(self._numbers)}", perf_counter())
        placement = find_placement(self._engine, model)
        request = self._engine.arrive(placement, self._protocol, body, b"application/json", context)
        (outcome,) = self._engine.score_now([request])
        return outcome or await self._engine.score(request)


def said(outcome: Outcome) -> bytes:
    """Return an outcome as a line."""
    if isinstance(outcome, Refused):
        return b"refused %b\n" % outcome.error.code.encode()
    if isinstance(outcome, Failed):
        return b"failed\n"
    made_by = outcome.made_by
    return b"answered %d %b %b\n" % (made_by.version, made_by.variant.encode(), outcome.payload)
