"""A worker process: an engine behind HTTP, told by the supervisor what to open and what to put in place.

Started by `slipway.serving.supervision.worker_pool` with a listening socket and one end of a line to the supervisor,
both by file descriptor.
"""

import asyncio
import contextlib
import gc
import json
import logging
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
import uvloop

from slipway.registry.errors import NotFound, Unavailable
from slipway.serving.engine.engine import Engine, Loaded, Slot
from slipway.serving.engine.loading import load
from slipway.serving.engine.metrics import Snapshot, added
from slipway.serving.logs import set_up_logs
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.slow_lane.lane import Lane
from slipway.serving.supervision.control import Peer
from slipway.serving.supervision.worker_plan import WorkerPlan
from slipway.serving.target import Target, parse_target
from slipway.serving.transports.http.app import app_of
from slipway.serving.transports.http.connections import close_idle, protocol_of
from slipway.serving.transports.http.door import Door

log = logging.getLogger("slipway.serve")

ASK_WITHIN_S = 5.0
REFRESH_WITHIN_S = 900.0
SWEEP_EVERY_S = 5.0


class Worker:
    """An engine, its HTTP server, and its end of the line."""

    def __init__(self, plan: WorkerPlan) -> None:
        self._plan = plan
        self._lane = Lane()
        self._peer = Peer(self._answer)
        self._opened: dict[tuple[Target, str, int], Loaded] = {}
        self._words: dict[str, Callable[..., Any]] = {
            "open": self._open,
            "put": self._put,
            "targets": self._targets,
            "problem": self._problem,
            "metrics": self._metrics,
        }
        self.engine = Engine(self._lane, named=tuple(map(parse_target, plan.targets)))
        self.door = Door(
            engine=self.engine,
            max_body_bytes=plan.max_body_bytes,
            refresh=self._refresh,
            metrics=self._all_metrics,
        )
        config = uvicorn.Config(
            app_of(self.door),
            http=protocol_of(self.door),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=int(plan.idle_s),
            timeout_graceful_shutdown=int(plan.stop_within_s),
        )
        self._server = uvicorn.Server(config)
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]

    async def run(self) -> None:
        """Serve until the supervisor is gone or asks to stop, then let requests that are under way end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(self._stop()))
        loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C reaches the supervisor too, which asks to stop
        await self._lane.start()
        self._targets(list(self._plan.targets))
        line = asyncio.create_task(self._peer.talk(socket.socket(fileno=self._plan.line)))
        line.add_done_callback(lambda _: loop.create_task(self._stop()))
        sweep = asyncio.create_task(self._sweep())
        await self._server.serve(sockets=[socket.socket(fileno=self._plan.listener)])
        sweep.cancel()
        line.cancel()
        self.engine.close()
        await self._lane.close()

    async def _stop(self) -> None:
        if self.door.is_draining:
            return
        self.door.is_draining = True
        await asyncio.sleep(self._plan.drain_s)
        self._server.should_exit = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now = asyncio.get_running_loop().time()
            close_idle(self._server.server_state.connections, now=now, after_s=self._plan.idle_s)

    async def _answer(self, word: str, fields: dict[str, Any]) -> Any:
        result = self._words[word](**fields)
        return await result if asyncio.iscoroutine(result) else result

    async def _open(self, target: str, prepared: dict[str, Any]) -> None:
        """Open a version beside the one that is serving; nothing is asked of it yet."""
        wanted, found = parse_target(target), Prepared(**prepared)
        key = _key(wanted, found)
        slot = self.engine.slots.get(wanted)
        at_hand = [each for each in (slot.current, slot.warm) if each] if slot else []
        same = [each for each in at_hand if (wanted, each.digest, each.number) == key]
        self._opened[key] = same[0] if same else await asyncio.to_thread(load, wanted, found)
        gc.collect()
        gc.freeze()  # what a version is made of lives long: the collector need not look at it at each turn

    def _put(self, target: str, prepared: dict[str, Any], is_recorded: bool) -> None:
        """Put an opened version in place."""
        loaded = self._opened.pop(_key(parse_target(target), Prepared(**prepared)), None)
        if loaded is None:
            raise NotFound("that version was not opened here", code="not-opened", hint=None)
        self.engine.put_in_place(loaded, is_recorded=is_recorded)
        self._bound_warm()
        self.door.renew()

    def _bound_warm(self) -> None:
        """Give up warm versions, the largest first, until the rest is within its bound."""
        warm = [slot for slot in self.engine.slots.values() if slot.warm is not None]
        held = sum(_resident(slot) for slot in warm)
        for slot in sorted(warm, key=_resident, reverse=True):
            if held <= self._plan.warm_bytes:
                return
            held -= _resident(slot)
            self.engine.drop_warm(slot)

    def _targets(self, targets: list[str]) -> None:
        for target in map(parse_target, targets):
            self.engine.slots.setdefault(target, Slot(target))
        self.door.renew()

    def _problem(self, target: str, problem: str | None, is_recorded: bool) -> None:
        self.engine.say(self.engine.slots[parse_target(target)], problem, is_recorded=is_recorded)

    def _metrics(self) -> Snapshot:
        return self.engine.snapshot()

    async def _all_metrics(self) -> Snapshot:
        """Return the counts of all workers; of this one alone where the supervisor does not answer."""
        try:
            return added(await self._peer.ask("metrics", {}, within_s=ASK_WITHIN_S))
        except Unavailable as error:
            log.warning("the metrics are this worker's alone: %s", error.message)
            return self.engine.snapshot()

    async def _refresh(self) -> Any:
        return await self._peer.ask("refresh", {}, within_s=REFRESH_WITHIN_S)


def _key(target: Target, prepared: Prepared) -> tuple[Target, str, int]:
    return target, prepared.digest, prepared.number


def _resident(slot: Slot) -> int:
    return slot.warm.runner.report.resident_bytes if slot.warm else 0


def main() -> None:
    """Run a worker on the plan in the first argument."""
    plan = WorkerPlan(**json.loads(sys.argv[1]))
    set_up_logs(as_json=plan.log_json)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a closed terminal reaches the supervisor too, which asks to stop
    sys.setswitchinterval(0.001)
    uvloop.run(Worker(plan).run())


if __name__ == "__main__":
    main()
