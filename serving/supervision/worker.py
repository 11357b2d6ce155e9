"""A worker process: an engine behind its transports, told by the supervisor what to open and what to put in place.

Started by `slipway.serving.supervision.worker_pool` with a listening socket for each transport and one end of a line to
the supervisor, all by file descriptor. It accepts connections only when it is told that it has all that it should.
"""

import asyncio
import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import uvloop

from slipway.registry.errors import NotFound, Unavailable
from slipway.registry.late import call
from slipway.serving.engine.engine import Engine
from slipway.serving.engine.exchange import Recorder
from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.metrics import Snapshot
from slipway.serving.engine.routing import Chooser, stable_only
from slipway.serving.logs import set_up_logs
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.runtimes.isolated import end_model_processes
from slipway.serving.scoring.loading import load_prepared
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.slow_lane.lane import Lane
from slipway.serving.supervision.control import Peer
from slipway.serving.supervision.worker_plan import WorkerPlan
from slipway.serving.target import Target, Variant
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.families import families_of
from slipway.serving.transports.http.transport import HttpTransport
from slipway.serving.transports.names import GRPC
from slipway.serving.transports.transport import Transport, WorkerServices

log = logging.getLogger("slipway.serve")

ASK_WITHIN_S = 5.0
REFRESH_WITHIN_S = 900.0
OPENING_THREADS = 16
SETTLE_AFTER_S = 1.0
Opener = Callable[..., Loaded]
Key = tuple[str, int]
Transports = Callable[[WorkerPlan, WorkerServices], Sequence[Transport]]


def http_alone(plan: WorkerPlan, services: WorkerServices) -> Sequence[Transport]:
    """Return the transports that an engine has by itself."""
    door = Door(
        engine=services.engine,
        protocols=protocols_of(services.lane),
        max_body_bytes=plan.max_body_bytes,
        refresh=services.refresh,
        metrics=services.metrics,
    )
    door.families = families_of(door, services.lane)
    return [HttpTransport(door, idle_s=plan.idle_s, stop_within_s=plan.stop_within_s)]


def as_planned(plan: WorkerPlan, services: WorkerServices) -> Sequence[Transport]:
    """Return the transports for which there are sockets: gRPC is imported where it is asked for, after which nothing
    may fork; what this process starts it starts anew.
    """
    found = [*http_alone(plan, services)]
    if GRPC in plan.listeners:
        found.append(
            call(
                "slipway.serving.transports.grpc.wiring",
                "grpc_transport",
                services,
                max_bytes=plan.max_body_bytes,
                age_s=plan.grpc_connection_age_s,
                idle_s=plan.idle_s,
                stop_within_s=plan.stop_within_s,
            )
        )
    return found


class Worker:
    """An engine, its transports, and its end of the line.

    `choose` says which variant answers a request, and `recorder` sees what became of it; `open_version` opens what was
    prepared.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        *,
        choose: Chooser = stable_only,
        recorder: Recorder | None = None,
        open_version: Opener = load_prepared,
        transports: Transports = as_planned,
    ) -> None:
        self._plan = plan
        self._open_version = open_version
        self._lane = Lane()
        self._peer = Peer(self._answer)
        self._opening: dict[tuple[Variant, Key], asyncio.Future[Loaded]] = {}
        self._opened: dict[Variant, Loaded] = {}
        self._threads = ThreadPoolExecutor(OPENING_THREADS, thread_name_prefix="open")
        self._may_accept = asyncio.Event()
        self._settling: asyncio.TimerHandle | None = None
        self._words: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "put": self._put,
            "take_out": self._take_out,
            "targets": self._targets,
            "note": self._note,
            "accept": self.accept,
            "state": self._state,
            "metrics": self._metrics,
        }
        named = tuple(Target(*each) for each in plan.targets)
        self.engine = Engine(choose=choose, recorder=recorder, named=named, predict_within_s=plan.predict_within_s)
        self._expect(named)
        services = WorkerServices(self.engine, self._lane, refresh=self._refresh, metrics=self._all_metrics)
        self._transports = transports(plan, services)
        self._is_stopping = False

    async def run(self) -> None:
        """Serve until the supervisor is gone or asks to stop, then let requests that are under way end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(self._stop()))
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the supervisor too, which asks to stop
        await self._lane.start()
        line = asyncio.create_task(self._peer.talk(socket.socket(fileno=self._plan.line)))
        line.add_done_callback(lambda _: loop.create_task(self._stop()))
        await self._may_accept.wait()
        async with asyncio.TaskGroup() as serving:  # where one transport fails, this worker ends, and another one comes
            for transport in self._transports:
                listener = socket.socket(fileno=self._plan.listeners[transport.name])
                serving.create_task(transport.serve(listener))
        line.cancel()
        self.engine.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        end_model_processes()
        await self._lane.close()

    def accept(self, was_ready: bool = False) -> None:
        """Accept connections from now on; `was_ready` tells that this engine was ready before this process was."""
        if was_ready:
            self.engine.was_ready()
        self._renew()
        self._may_accept.set()

    async def _stop(self) -> None:
        if self._is_stopping:
            return
        self._is_stopping = True
        for transport in self._transports:
            transport.drain()
        await asyncio.sleep(self._plan.drain_s)
        for transport in self._transports:
            transport.stop()
        self._may_accept.set()

    def _renew(self) -> None:
        for transport in self._transports:
            transport.renew()

    async def _answer(self, word: str, fields: dict[str, Any]) -> Any:
        result = self._words[word](**fields)
        return await result if asyncio.iscoroutine(result) else result

    async def _open(self, target: Sequence[str], variant: str, prepared: dict[str, Any]) -> None:
        """Open a version beside what is serving; nothing is asked of it yet.

        One that is being opened is not opened a second time: what hangs there takes one thread.
        """
        wanted, found = Variant(Target(*target), variant), Prepared(**prepared)
        key = found.digest, found.number
        if self._at_hand(wanted, key) is not None:
            return
        case = wanted, key
        if case not in self._opening:
            opening = partial(self._open_version, wanted.target, found, variant=variant)
            self._opening[case] = asyncio.ensure_future(
                asyncio.get_running_loop().run_in_executor(self._threads, opening)
            )
            self._opening[case].add_done_callback(partial(self._keep_opened, case))
        await asyncio.shield(self._opening[case])

    def _keep_opened(self, case: tuple[Variant, Key], opening: "asyncio.Future[Loaded]") -> None:
        """Keep a version that was opened until it is put in place, or another one is opened for the same."""
        del self._opening[case]
        if opening.cancelled() or opening.exception() is not None:
            return
        before = self._opened.pop(case[0], None)
        self._opened[case[0]] = opening.result()
        if before is not None:
            before.close()

    def _at_hand(self, variant: Variant, key: Key) -> Loaded | None:
        """Return a version that is open here for a variant."""
        placement = self.engine.expect(variant.target)
        possible = (placement.variants.get(variant.name), placement.warm.get(variant.name), self._opened.get(variant))
        return next((each for each in possible if each is not None and (each.digest, each.number) == key), None)

    def _put(self, target: Sequence[str], variant: str, key: Sequence[Any], is_recorded: bool) -> None:
        """Put an opened version in place."""
        wanted = Variant(Target(*target), variant)
        loaded = self._at_hand(wanted, (key[0], key[1]))
        if loaded is None:
            raise NotFound("that version was not opened here", code="not-opened", hint=None)
        if self._opened.get(wanted) is loaded:
            del self._opened[wanted]
        self.engine.put_in_place(loaded, is_recorded=is_recorded)
        self._bound_warm()
        self._renew()
        self._settle_soon()

    def _take_out(self, target: Sequence[str], variant: str) -> None:
        self.engine.take_out(Target(*target), variant)
        self._settle_soon()

    def _settle_soon(self) -> None:
        """Settle once when what was given up is closed, and requests that came with the move are answered."""
        if self._settling is not None:
            self._settling.cancel()
        self._settling = asyncio.get_running_loop().call_later(SETTLE_AFTER_S, _settle)

    def _bound_warm(self) -> None:
        """Give up warm versions, the largest first, until the rest is within its bound."""
        warm = [
            (loaded.runner.report.resident_bytes, placement, variant)
            for placement in self.engine.placements.values()
            for variant, loaded in placement.warm.items()
        ]
        held = sum(size for size, *_ in warm)
        for size, placement, variant in sorted(warm, key=lambda each: each[0], reverse=True):
            if held <= self._plan.warm_bytes:
                return
            held -= size
            self.engine.drop_warm(placement, variant)

    def _targets(self, targets: Sequence[Sequence[str]]) -> None:
        """Know these targets, and no others."""
        wanted = [Target(*each) for each in targets]
        for target in self.engine.placements.keys() - set(wanted):
            self.engine.forget(target)
        self._expect(wanted)
        self._renew()

    def _expect(self, targets: Sequence[Target]) -> None:
        for target in targets:
            self.engine.expect(target)

    def _note(self, target: Sequence[str], problem: str | None, preparing: int | None) -> None:
        placement = self.engine.expect(Target(*target))
        placement.problem, placement.preparing = problem, preparing

    def _state(self) -> dict[str, Any]:
        """Return what this process really has, for the supervisor to compare."""
        placements = self.engine.placements.values()
        return {
            "variants": [
                [[each.target.model, each.target.stage], name, loaded.digest, loaded.number, loaded.is_recorded]
                for each in placements
                for name, loaded in each.variants.items()
            ],
            "notes": [[[each.target.model, each.target.stage], each.problem, each.preparing] for each in placements],
            "ready": self.engine.is_ready(),
            "counts": self.engine.snapshot(),
        }

    def _metrics(self) -> Snapshot:
        return self.engine.snapshot()

    async def _all_metrics(self) -> Snapshot:
        """Return the counts of all workers; of this one alone where the supervisor does not answer."""
        try:
            found: Snapshot = await self._peer.ask("metrics", {}, within_s=ASK_WITHIN_S)
            return found
        except Unavailable as error:
            log.warning("the metrics are this worker's alone: %s", error.message)
            return self.engine.snapshot()

    async def _refresh(self) -> Any:
        return await self._peer.ask("refresh", {}, within_s=REFRESH_WITHIN_S)


def _settle() -> None:
    """Free what versions that were given up leave behind, and have the collector not look at those that serve.

    What a version is made of lives long, and is much; objects that refer to each other are freed by the collector
    alone, which never looks again at what was frozen. So all is thawed before.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def planned() -> WorkerPlan:
    """Return the plan in the first argument of this process, which is set up for it."""
    plan = WorkerPlan(**json.loads(sys.argv[1]))
    set_up_logs(as_json=plan.log_json)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal reaches the supervisor too, which asks to stop
    sys.setswitchinterval(0.001)
    return plan


def run(worker: Worker) -> None:
    """Be a worker, and end; a model that hangs in a thread of this process does not keep it."""
    status = 0
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(worker.run())
        except Exception:  # the edge: another worker comes
            log.exception("a transport failed, which ends this worker")
            status = 1
        logging.shutdown()
        os._exit(status)


def main() -> None:
    """Run a worker on the plan in the first argument."""
    run(Worker(planned()))


if __name__ == "__main__":
    main()
