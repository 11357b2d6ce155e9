"""Real processes for tests: started on free ports, waited for, and ended with all that they started."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom

PORTS = range(10_000, 32_000)  # below those that Linux gives to whoever connects, before a server binds its own
GIVEN: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nothing listens on, and that no other test on this machine is given while this one runs.

    Each is reserved by an abstract socket of its name, which ends with the process.
    """
    while True:
        port = SystemRandom().choice(PORTS)
        reserved = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            try:
                reserved.bind(f"\0slipway-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                reserved.close()
                continue
        GIVEN.append(reserved)
        return port


def environment(**more: str) -> dict[str, str]:
    """Return this environment with the programs of this Python first, and without MLflow's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    return {**kept, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}", **more}


@contextmanager
def process(*words: str, folder: Path, log: Path, **more: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program in a session of its own, its output in a file; end it and the whole session afterwards.

    It is asked first: what it started in sessions of their own it has to end itself.
    """
    with log.open("wb") as output:
        started = subprocess.Popen(
            words, cwd=folder, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, env=environment(**more)
        )
    try:
        yield started
    finally:
        started.terminate()
        with suppress(subprocess.TimeoutExpired):
            started.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def wait_for(condition: Callable[[], object], *, within_s: float, log: Path | None = None) -> None:
    """Wait until the condition holds; fail with the log's end where it does not."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {within_s} s: {log.read_text()[-3000:] if log else condition}")


def answers(url: str) -> bool:
    """Return whether the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


def post(url: str, body: bytes | str) -> str:
    """Send JSON and return what came back."""
    content = body if isinstance(body, bytes) else body.encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.read().decode()
