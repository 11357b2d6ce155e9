"""What the check servable probes: a worker of the serving engine, with a version prepared as an engine prepares it."""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import uvloop
from threadpoolctl import threadpool_limits

from slipway.registry.errors import SlipwayError
from slipway.serving.local.probe import Started, free_port, stop_group
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.runtimes.prepare import prepare_runner
from slipway.serving.scoring.loading import load
from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.worker import Worker
from slipway.serving.supervision.worker_plan import plan_of
from slipway.serving.supervision.worker_pool import ONE_THREAD
from slipway.serving.target import Target
from slipway.serving.transports.names import HTTP

FORK = multiprocessing.get_context("fork")  # what a worker imports is there already
TARGET = Target("candidate", "gate")
NOBODYS = Prepared(identity="", number=0, digest="", folder="", runner="", runner_digest="")


@contextmanager
def started(folder: Path, log: int) -> Iterator[Started]:
    """Prepare the model in a folder and serve it, in a process that is forked from this one, which has one thread."""
    ours, theirs = socket.socketpair()
    with ours, theirs, free_port() as listener, tempfile.TemporaryDirectory(prefix="slipway-probe-") as place:
        process = FORK.Process(target=_serve, args=(folder, Path(place), listener, theirs, log))
        process.start()
        leader = process.pid or 0
        _lead_group(leader)
        try:
            yield Started(listener.getsockname()[1], leader, lambda: not process.is_alive())
        finally:
            stop_group(leader, lambda seconds: _ended(process, seconds))
            process.join()


def _lead_group(process: int) -> None:
    """Give a process a group of its own; done by itself and by who started it, since nobody knows who comes first."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.setpgid(process, process)


def _ended(process: multiprocessing.process.BaseProcess, within_s: float) -> bool:
    process.join(within_s)
    return not process.is_alive()


def _serve(folder: Path, place: Path, listener: socket.socket, line: socket.socket, log: int) -> None:
    """Be a worker that serves the version, until it is told to stop."""
    _lead_group(os.getpid())
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(ONE_THREAD)
    with threadpool_limits(1):
        try:
            prepare_runner(folder, place, accelerate=True, rows=None)
            loaded = load(TARGET, replace(NOBODYS, folder=str(folder), runner=str(place)))
        except SlipwayError as error:
            os.write(log, error.message.encode())
            sys.exit(1)
        listener.listen()
        settings = ServingSettings.model_validate({})
        plan = replace(plan_of(settings), listeners={HTTP: listener.fileno()}, line=line.fileno(), drain_s=0)
        worker = Worker(plan)
        worker.engine.put_in_place(loaded)
        worker.accept()
        uvloop.run(worker.run())
