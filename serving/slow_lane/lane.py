"""The slow lane: where requests that are not plain are parsed by MLflow's own code, away from the worker that serves.

One process for each worker, and one request at a time: who sends what is slow to read waits behind those who do the
same, and never slows a plain request. The process imports MLflow while the worker already serves, reads of a model its
`MLmodel` only, and is started again when it dies. What it does is in `mlflow_lane`; this is its client, for one event
loop.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from slipway.registry.errors import SlipwayError, Unavailable, error_from
from slipway.registry.programs import program
from slipway.registry.text import counted
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.runtimes.understood import PickledRows, Understood
from slipway.serving.slow_lane.lane_process import LaneProcess, LaneRequest, Reply

PROGRAM = program("slipway.serving.slow_lane.mlflow_lane")
MOST_WAITING = 64
log = logging.getLogger("slipway.serve")
RETRY = "send the request again; plain ones are not concerned"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    request: LaneRequest
    done: "asyncio.Future[Understood]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Lane:
    """The client of the lane's process; to be used from one event loop, and closed."""

    def __init__(self, *, most_waiting: int = MOST_WAITING, program: Sequence[str] = PROGRAM) -> None:
        self._most_waiting = most_waiting
        self._program = program
        self._waiting: deque[_Job] = deque()
        self._has_work = asyncio.Event()
        self._is_ready = asyncio.Event()
        self._was_ready = False
        self._process: LaneProcess | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Return the process's number; `None` between two of them."""
        return self._process.pid if self._process else None

    @property
    def n_waiting(self) -> int:
        """Return how many requests wait, the one that is being read not counted."""
        return len(self._waiting)

    async def start(self) -> None:
        """Start the process, and return without waiting for it; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def ready(self) -> None:
        """Wait until the process can read requests."""
        await self._is_ready.wait()

    async def parse(self, folder: Path, body: bytes, kind: BodyKind) -> Understood:
        """Return what MLflow makes of a request to the model that is stored in a folder.

        Raises `InvalidInput` where MLflow refuses it, and `Unavailable` where the lane is full, its process dies over
        it, or it is closed. A caller that is cancelled gives up its place.
        """
        return await self._ask(LaneRequest(folder=folder, body=body, kind=kind))

    async def close(self) -> None:
        """End the process and refuse who waits; a second call does nothing."""
        self._is_closed = True
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._refuse_waiting(_closed())

    async def _ask(self, request: LaneRequest) -> Understood:
        if self._is_closed:
            raise _closed()
        if len(self._waiting) >= self._most_waiting:
            raise Unavailable(
                f"the queue of requests that are not plain is full: {counted(self._most_waiting, 'request')}",
                code="slow-lane-full",
                hint=RETRY,
            )
        job = _Job(request=request)
        self._waiting.append(job)
        self._has_work.set()
        try:
            return await job.done
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(job)

    async def _run(self) -> None:
        """Keep a process; one that dies before it is ready is followed by another only when there is work."""
        while True:
            try:
                await self._run_one()
            except Exception:  # whatever it is, such as no room for a process: who asks next may have one
                log.exception("the process that reads requests that are not plain could not be kept")
            if not self._was_ready:
                self._refuse_waiting(_died("did not start"))
                await self._work()

    async def _run_one(self) -> None:
        """Serve requests until the process dies."""
        self._was_ready = False
        self._process = process = await LaneProcess.start(self._program)
        try:
            await process.receive()
            self._was_ready = True
            self._is_ready.set()
            while True:
                await self._serve_one(process)
        except (EOFError, OSError):
            return
        finally:
            self._is_ready.clear()
            self._process = None
            process.stop()

    async def _serve_one(self, process: LaneProcess) -> None:
        """Wait for a request, put it to the process and hand on the answer; EOFError where the process dies."""
        answer: asyncio.Future[Any] = asyncio.ensure_future(process.receive())
        try:
            job = await self._next_job(answer)
            try:
                await process.send(job.request)
                await _hand_on(await answer, job.done)
            finally:
                if not job.done.done():
                    job.done.set_exception(_closed() if self._is_closed else _died("died over this request"))
        finally:
            answer.cancel()

    async def _next_job(self, death: "asyncio.Future[Any]") -> _Job:
        """Return the next request that waits; EOFError where the process dies before there is one."""
        while not self._waiting and not death.done():
            work: asyncio.Future[Any] = asyncio.ensure_future(self._work())
            try:
                await asyncio.wait((death, work), return_when=asyncio.FIRST_COMPLETED)
            finally:
                work.cancel()
        if death.done():
            death.result()
        return self._waiting.popleft()

    async def _work(self) -> None:
        while not self._waiting:
            self._has_work.clear()
            await self._has_work.wait()

    def _refuse_waiting(self, error: SlipwayError) -> None:
        while self._waiting:
            job = self._waiting.popleft()
            if not job.done.done():
                job.done.set_exception(error)


async def _hand_on(reply: Reply, done: "asyncio.Future[Understood]") -> None:
    """Give a reply to the caller, who may be gone; what is not a table is unpickled beside the event loop."""
    if done.done():
        return
    if reply.error:
        done.set_exception(error_from(reply.error))
        return
    understood = reply.understood
    assert understood is not None
    if isinstance(understood.rows, PickledRows):
        rows = await asyncio.to_thread(understood.rows.read)
        understood = msgspec.structs.replace(understood, rows=rows)
    if not done.done():
        done.set_result(understood)


def _died(how: str) -> Unavailable:
    return Unavailable(f"the process that reads requests that are not plain {how}", code="slow-lane-died", hint=RETRY)


def _closed() -> Unavailable:
    return Unavailable("the slow lane is closed", code="slow-lane-closed", hint=RETRY)
