"""The worker processes of an engine: started on one listening socket, started anew when one dies, stopped together."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from slipway.registry.errors import Unavailable
from slipway.registry.programs import program
from slipway.serving.supervision.control import Answering, Peer
from slipway.serving.supervision.worker_plan import WorkerPlan

log = logging.getLogger("slipway.serve")

OPEN_WITHIN_S = 300.0
RESTART_AFTER_S = 1.0
STOP_MARGIN_S = 5.0
# Workers are what an engine has for several cores: threads of numerical libraries would only wait for each other.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(slots=True, eq=False)
class StartedWorker:
    """A worker process, and our end of the line to it."""

    process: asyncio.subprocess.Process
    peer: Peer
    line: "asyncio.Task[None]"


class WorkerPool:
    """All workers. `answer` takes what they ask; `welcome` is called with each new one before it counts."""

    def __init__(
        self,
        listener: socket.socket,
        plan: WorkerPlan,
        *,
        answer: Answering,
        welcome: Callable[[Peer], Awaitable[None]],
    ) -> None:
        self._listener = listener
        self._plan = plan
        self._answer = answer
        self._welcome = welcome
        self._workers: set[StartedWorker] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def start(self, count: int) -> None:
        """Start workers, and have each started anew when it dies."""
        first = await asyncio.gather(*(self._start_one() for _ in range(count)))
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in first]

    async def ask_all(self, word: str, fields: dict[str, Any], *, within_s: float = OPEN_WITHIN_S) -> list[Any]:
        """Ask every worker, and return their answers.

        Raises
        ------
        Unavailable
            One refuses or does not answer. One that dies meanwhile does not count: its successor is told anew.
        """
        asked = list(self._workers)
        answers = await asyncio.gather(
            *(worker.peer.ask(word, fields, within_s=within_s) for worker in asked), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and getattr(answer, "code", None) != "process-gone":
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def stop(self, within_s: float) -> None:
        """Ask all to end what is under way and stop; after a while, make them."""
        self._stopping = True
        for keeper in self._keepers:
            keeper.cancel()
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGTERM)
        waiting = [asyncio.create_task(worker.process.wait()) for worker in self._workers]
        if waiting:
            await asyncio.wait(waiting, timeout=within_s + STOP_MARGIN_S)
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()

    async def _start_one(self) -> StartedWorker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            plan = replace(self._plan, listener=self._listener.fileno(), line=theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *program("slipway.serving.supervision.worker", json.dumps(asdict(plan))),
                stdin=asyncio.subprocess.DEVNULL,
                env={**ONE_THREAD, **os.environ},
                pass_fds=(plan.listener, plan.line),
            )
        peer = Peer(self._answer)
        worker = StartedWorker(process=process, peer=peer, line=asyncio.create_task(peer.talk(ours)))
        self._workers.add(worker)
        return worker

    async def _keep(self, worker: StartedWorker) -> None:
        while True:
            status = await worker.process.wait()
            self._workers.discard(worker)
            if self._stopping:
                return
            log.error("worker %d ended with status %s; starting another", worker.process.pid, status)
            await asyncio.sleep(RESTART_AFTER_S)
            worker = await self._start_one()
            try:
                await self._welcome(worker.peer)
            except Unavailable as error:
                log.error("worker %d could not be told what is serving: %s", worker.process.pid, error.message)
