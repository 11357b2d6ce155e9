"""The port of the check servable: start MLflow's scoring server on a stored model, ask it, and stop it."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.registry.gate.evidence import Served

HOST = "127.0.0.1"
LOOK_EVERY_S = 0.1
ANSWER_WITHIN_S = 60.0
STOP_WITHIN_S = 5.0
SAID_CHARACTERS = 600


def serve_once(folder: Path, body: str, *, requests: int, load_within_s: float) -> Served:
    """Serve the model in a folder, send the body some times, and return what came back.

    The server runs in this environment, in a process group of its own, and is stopped whatever happens; it stays in the
    session of whoever asks, so that it ends with that. A server that does not start, or answers with an error, is told
    of in `problem`.
    """
    with tempfile.TemporaryFile() as log:
        started = time.monotonic()
        with _server(folder, log.fileno()) as (process, port):
            while not _answers(port):
                if process.poll() is not None:
                    return _failed(f"the scoring server ended by itself: {_tail(log.fileno())}")
                if time.monotonic() - started > load_within_s:
                    return _failed(f"the scoring server did not answer within {load_within_s:g} s")
                time.sleep(LOOK_EVERY_S)
            load_s = time.monotonic() - started
            return _ask(process.pid, port, body, requests=requests, load_s=load_s)


def _ask(pid: int, port: int, body: str, *, requests: int, load_s: float) -> Served:
    bodies, latencies = [], []
    for _ in range(requests):
        before = time.monotonic()
        status, text = _post(port, body)
        latencies.append(time.monotonic() - before)
        if status != 200:
            return _failed(f"the scoring server answers the input example with {status}: {text[:SAID_CHARACTERS]}")
        bodies.append(json.loads(text))
    return Served(
        load_s=load_s, latencies_s=tuple(latencies), bodies=tuple(bodies), peak_memory_bytes=_peak_memory(pid)
    )


def _failed(problem: str) -> Served:
    return Served(load_s=0.0, latencies_s=(), bodies=(), peak_memory_bytes=None, problem=problem)


@contextmanager
def _server(folder: Path, log: int) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    words = ["models", "serve", "-m", str(folder), "--env-manager", "local", "--host", HOST, "--port", str(port)]
    beside = str(Path(sys.executable).parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *words],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        process_group=0,
        env={**os.environ, "PATH": f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"},
    )
    try:
        yield process, port
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_WITHIN_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


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
    """Return the sum of the peak resident sizes of the group's processes; `None` where /proc does not tell."""
    found = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (status.parent / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == leader:
                found += _peak_of(status.read_text())
    return found or None


def _peak_of(status: str) -> int:
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def _tail(log: int) -> str:
    size = os.fstat(log).st_size
    return " ".join(os.pread(log, SAID_CHARACTERS, max(0, size - SAID_CHARACTERS)).decode(errors="replace").split())
