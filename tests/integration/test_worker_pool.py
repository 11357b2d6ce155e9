"""A worker always has somebody who starts another one in its place."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.worker_plan import plan_of
from slipway.serving.supervision.worker_pool import StartedWorker, WorkerPool

IDLE = (sys.executable, "-c", "import time; time.sleep(600)")


def with_pool(complete: Callable[[StartedWorker], Coroutine], scenario: Callable[[WorkerPool], Coroutine]) -> Any:
    """Run a scenario with one worker that does nothing."""

    async def answer(word: str, fields: dict[str, Any]) -> None:
        return None

    async def run() -> Any:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            plan = plan_of(ServingSettings.model_validate({}))
            pool = WorkerPool({"http": listener}, plan, answer=answer, complete=complete, program=IDLE)
            await pool.start(1)
            try:
                async with asyncio.timeout(30):
                    return await scenario(pool)
            finally:
                await pool.stop(0.1)

    return asyncio.run(run())


async def another(pool: WorkerPool, than: int) -> int:
    """Wait for another process than one."""
    while True:
        found = [worker.pid for worker in pool._workers if worker.is_alive and worker.pid != than]
        if found:
            return found[0]
        await asyncio.sleep(0.05)


def test_whatever_goes_wrong_while_a_worker_is_made_ready_another_one_comes():
    """Nobody would start one when it dies, else."""
    made = []

    async def complete(worker: StartedWorker) -> None:
        made.append(worker.pid)
        if len(made) == 1:
            raise RuntimeError("dictionary changed size during iteration")
        worker.is_accepting = True

    async def scenario(pool: WorkerPool) -> list[StartedWorker]:
        await another(pool, next(iter(pool._workers)).pid)
        while not pool.accepting:
            await asyncio.sleep(0.05)
        return pool.accepting

    (worker,) = with_pool(complete, scenario)
    assert made[0] != worker.pid == made[1]


def test_where_no_process_can_be_started_it_is_tried_again():
    """The system may be short of memory for a while."""

    async def complete(worker: StartedWorker) -> None:
        worker.is_accepting = True

    async def scenario(pool: WorkerPool) -> tuple[int, int]:
        first = next(iter(pool._workers)).pid
        pool._program = ("/nowhere/python",)
        os.kill(first, signal.SIGKILL)
        await asyncio.sleep(2)
        assert not pool.accepting
        pool._program = IDLE
        return first, await another(pool, first)

    first, second = with_pool(complete, scenario)
    assert first != second
