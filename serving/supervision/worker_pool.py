"""The worker processes of an engine: on the same sockets, started anew when one dies, stopped together."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from slipway.registry.errors import SlipwayError, Unavailable
from slipway.registry.programs import program
from slipway.serving.engine.metrics import GAUGES, Snapshot, added
from slipway.serving.supervision.control import Answering, Peer
from slipway.serving.supervision.worker_plan import WorkerPlan

log = logging.getLogger("slipway.serve")

COUNT_WITHIN_S = 2.0
RESTART_AFTER_S = 1.0
RESTART_AT_MOST_S = 30.0
STOP_MARGIN_S = 5.0
# Workers are what an engine has for several cores: threads of numerical libraries would only wait for each other.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
# gRPC's library writes lines of its own beside the log; what matters of them is raised.
GRPC_LOG = {"GRPC_VERBOSITY": "NONE"}
PROGRAM = program("slipway.serving.supervision.worker")


@dataclass(slots=True, eq=False)
class StartedWorker:
    """A worker process, and our end of the line to it.

    It `is_accepting` connections once it serves all that it should; `counts` is what it had counted when it was last
    asked, and `heard_at` (on the loop's clock, s) when it last answered.
    """

    process: asyncio.subprocess.Process
    peer: Peer
    line: "asyncio.Task[None]"
    heard_at: float
    is_accepting: bool = False
    counts: Snapshot = field(default_factory=dict)

    @property
    def pid(self) -> int:
        """Return the number of its process."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Return whether its process still runs, as far as we have heard."""
        return self.process.returncode is None and not self.line.done()

    async def ask(self, word: str, fields: dict[str, Any], *, within_s: float) -> Any:
        """Ask it, and return its answer; raises Unavailable where it refuses, is gone or too slow."""
        answer = await self.peer.ask(word, fields, within_s=within_s)
        self.heard_at = asyncio.get_running_loop().time()
        return answer

    def kill(self) -> None:
        """End it at once; it is started anew."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


class WorkerPool:
    """All workers. `listeners` is the name of each transport → the socket that all of them accept from.

    `answer` takes what they ask; `complete` makes each new one ready, and has it accept connections.
    """

    def __init__(
        self,
        listeners: Mapping[str, socket.socket],
        plan: WorkerPlan,
        *,
        answer: Answering,
        complete: Callable[[StartedWorker], Awaitable[None]],
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._listeners = listeners
        self._plan = plan
        self._answer = answer
        self._complete = complete
        self._program = program
        self._workers: set[StartedWorker] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._stopping = False
        self._ended: Snapshot = {}

    @property
    def accepting(self) -> list[StartedWorker]:
        """Return the workers that take requests."""
        return [worker for worker in self._workers if worker.is_accepting and worker.is_alive]

    async def start(self, count: int) -> None:
        """Start workers, and have each started anew when it dies."""
        first = await asyncio.gather(*(self._start_one() for _ in range(count)))
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in first]

    async def counts(self) -> Snapshot:
        """Return what all workers counted, those that died and those that do not answer with what was last heard."""
        await asyncio.gather(*map(self._count, self._workers))
        return added([self._ended, *(worker.counts for worker in self._workers)])

    async def _count(self, worker: StartedWorker) -> None:
        with contextlib.suppress(Unavailable):  # what it said last counts
            worker.counts = await worker.ask("metrics", {}, within_s=COUNT_WITHIN_S)

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
            worker.kill()
            await worker.process.wait()

    async def _start_one(self) -> StartedWorker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            listeners = {name: listener.fileno() for name, listener in self._listeners.items()}
            plan = replace(self._plan, listeners=listeners, line=theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                *self._program,
                json.dumps(asdict(plan)),
                stdin=asyncio.subprocess.DEVNULL,
                env={**ONE_THREAD, **GRPC_LOG, **os.environ},
                pass_fds=(*listeners.values(), plan.line),
            )
        loop = asyncio.get_running_loop()
        peer = Peer(self._answer)
        worker = StartedWorker(process, peer, loop.create_task(peer.talk(ours)), loop.time())
        self._workers.add(worker)
        return worker

    async def _keep(self, worker: StartedWorker) -> None:
        """Make a worker ready, and have another one in its place when it dies, later and later while all die early."""
        wait_s = RESTART_AFTER_S
        while True:  # until it is stopped: a worker without a keeper would be the last of its place
            ready = asyncio.create_task(self._make_ready(worker))
            status = await worker.process.wait()
            await ready
            was_ready = worker.is_accepting
            self._workers.discard(worker)
            self._ended = added([self._ended, _kept(worker.counts)])
            if self._stopping:
                return
            wait_s = RESTART_AFTER_S if was_ready else min(wait_s * 2, RESTART_AT_MOST_S)
            log.error("worker %d ended with status %s; starting another", worker.pid, status)
            worker = await self._start_next(wait_s)

    async def _start_next(self, wait_s: float) -> StartedWorker:
        """Start a worker after a while, and try again where the system has no room for one."""
        while True:
            await asyncio.sleep(wait_s)
            try:
                return await self._start_one()
            except OSError as error:
                wait_s = min(wait_s * 2, RESTART_AT_MOST_S)
                log.error("no worker can be started, which is tried again: %s", error)

    async def _make_ready(self, worker: StartedWorker) -> None:
        try:
            await self._complete(worker)
        except Exception as error:  # whatever it is, the next worker may become ready
            if worker.is_alive and not self._stopping:
                why = error.message if isinstance(error, SlipwayError) else f"{type(error).__name__}: {error}"
                log.error("worker %d is given up, as it did not become ready: %s", worker.pid, why)
                worker.kill()


def _kept(counts: Snapshot) -> Snapshot:
    """Return what stays of a worker that has ended: what it counted, and nothing of what it was."""
    return {name: series for name, series in counts.items() if name not in GAUGES}
