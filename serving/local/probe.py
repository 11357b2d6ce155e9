"""The port of the check servable: start a server on a stored model, ask it, and stop it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from slipway.registry.gate.evidence import Served
from slipway.registry.late import call
from slipway.registry.process_table import living_processes, peak_bytes, waited_s

# Each has `started`, which takes the model's folder and the file descriptor of a log, and stops the server in the end.
SERVERS = {"engine": "slipway.serving.local.engine_probed", "mlflow": "slipway.serving.local.mlflow_probed"}
HOST = "127.0.0.1"
LOOK_EVERY_S = 0.02
ANSWER_WITHIN_S = 60.0
STOP_WITHIN_S = 5.0
SAID_CHARACTERS = 600
WARM_UP = 5  # the first requests pay for what is made once
ENOUGH = 100  # of fewer the 0.99 quantile is the slowest one
MORE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Started:
    """A server that was started: its port, the first process of its group, and whether that has ended."""

    port: int
    leader: int
    has_ended: Callable[[], bool]


def serve_once(folder: Path, body: str, *, server: str, requests: int, load_within_s: float) -> Served:
    """Serve the model in a folder by a server of `SERVERS`, send the body some times, and return what came back.

    After a few requests to warm up so many are timed, and more until there are enough for a quantile of 0.99, or some
    seconds have passed.

    The server runs in this environment, in a process group of its own, and is stopped whatever happens; it stays in the
    session of whoever asks, so that it ends with that. A server that does not start, or answers with an error, is told
    of in `problem`.
    """
    with tempfile.TemporaryFile() as log:
        started = time.monotonic()
        with _started(server, folder, log.fileno()) as there:
            while not _answers(there.port):
                if there.has_ended():
                    return _failed(f"the scoring server ended by itself: {_tail(log.fileno())}")
                if time.monotonic() - started > load_within_s:
                    return _failed(f"the scoring server did not answer within {load_within_s:g} s")
                time.sleep(LOOK_EVERY_S)
            return _ask(there, body, requests=requests, started=started)


def _started(server: str, folder: Path, log: int) -> AbstractContextManager[Started]:
    found: AbstractContextManager[Started] = call(SERVERS[server], "started", folder, log)
    return found


@contextmanager
def free_port() -> Iterator[socket.socket]:
    """Yield a socket that is bound to a free port and not listening yet."""
    with socket.socket() as bound:
        bound.bind((HOST, 0))
        yield bound


def stop_group(leader: int, wait: Callable[[float], bool]) -> None:
    """End the processes of a server's group; `wait` waits so many seconds for the first of them, and tells of its end.

    It is told to stop, and made to after a while, with all that it has left.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGTERM)
        wait(STOP_WITHIN_S)
        os.killpg(leader, signal.SIGKILL)


def _ask(server: Started, body: str, *, requests: int, started: float) -> Served:
    """Ask some times to warm up, and then as often as is measured: the first answer ends the loading.

    A request that is not plain, such as one with a missing value, waits once for the process that reads it.
    """
    bodies: list[Any] = []
    answered_at, waited_at = list[float](), list[float]()
    while len(bodies) < WARM_UP + requests or (
        len(bodies) < WARM_UP + ENOUGH and time.monotonic() - answered_at[0] < MORE_WITHIN_S
    ):
        status, text = _post(server.port, body)
        answered_at.append(time.monotonic())
        if status != 200:
            return _failed(f"the scoring server answers the input example with {status}: {text[:SAID_CHARACTERS]}")
        if not bodies:
            waiting = _waiting(server.leader)
        waited_at.append(_waited(waiting))
        bodies.append(json.loads(text))
    return Served(
        load_s=answered_at[0] - started,
        load_waited_s=waited_at[0],
        latencies_s=_between(answered_at[WARM_UP - 1 :]),
        waited_s=_between(waited_at[WARM_UP - 1 :]),
        bodies=tuple(bodies),
        peak_memory_bytes=_peak_memory(server.leader),
    )


def _between(moments: list[float]) -> tuple[float, ...]:
    return tuple(after - before for before, after in pairwise(moments))


def _failed(problem: str) -> Served:
    return Served(load_s=0.0, latencies_s=(), bodies=(), peak_memory_bytes=None, problem=problem)


def _waiting(leader: int) -> set[int]:
    """Return the processes that an answer is waited for from: the server's group, and this one."""
    return {os.getpid(), *(each.id for each in living_processes() if each.group == leader)}


def _waited(processes: Iterable[int]) -> float:
    """Return how long processes have waited for a processor so far."""
    return sum(map(waited_s, processes))


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _post(port: int, body: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_WITHIN_S)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def _peak_memory(leader: int) -> int | None:
    """Return the sum of the peak resident sizes of the group's processes; `None` where the system does not tell."""
    return sum(peak_bytes(each.id) for each in living_processes() if each.group == leader) or None


def _tail(log: int) -> str:
    size = os.fstat(log).st_size
    return " ".join(os.pread(log, SAID_CHARACTERS, max(0, size - SAID_CHARACTERS)).decode(errors="replace").split())
