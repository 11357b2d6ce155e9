"""Processes of `slipway up`: each in a session of its own, so that it can be ended with all that it started."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from slipway.registry.addresses import family_of, without_brackets
from slipway.registry.errors import Conflict
from slipway.registry.programs import SAFE_PATH, program
from slipway.serving.local.up import Service
from slipway.serving.stop_signals import stop_signals

STOP_WITHIN_S = 10.0
LOG_TAIL_BYTES = 2000
ASK_WITHIN_S = 60.0


class StartedProcess:
    """The `Running` of a process and its group."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    def is_alive(self) -> bool:
        """Return whether the process still runs."""
        return self._process.poll() is None

    def last_lines(self) -> str:
        """Return the end of its log, and where the whole is."""
        tail = self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return f"see {self._log}\n{tail}"

    def stop(self) -> None:
        """Ask the group to end, and after ten seconds make it."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_WITHIN_S)
        deadline = time.monotonic() + STOP_WITHIN_S
        while self._group_lives() and time.monotonic() < deadline:
            time.sleep(0.05)
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _group_lives(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


class ProcessLauncher:
    """The `Launcher` of real processes; as a context it listens for Ctrl-C, SIGTERM and a closed terminal."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stop = threading.Event()

    def __enter__(self) -> "ProcessLauncher":
        """Take over the signals that ask to stop."""
        for number in stop_signals():
            signal.signal(number, lambda *_: self._stop.set())
        return self

    def __exit__(self, *_: object) -> None:
        """Ignore further requests to stop: the process ends now."""

    def require_free(self, host: str, port: int) -> None:
        """Refuse a port that somebody listens on."""
        bare = without_brackets(host)
        with socket.socket(family_of(bare)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((bare, port))
            except OSError as error:
                raise Conflict(
                    f"port {port} on {host} cannot be used: {error.strerror}; nothing was started",
                    code="port-taken",
                    hint="stop what listens there, or choose others: --port, --scoring-port, --grpc-port",
                ) from error

    def start(self, service: Service) -> StartedProcess:
        """Start `python -m mlflow …`, or of another module, with its output in a log file."""
        self._logs.mkdir(parents=True, exist_ok=True)
        path = self._logs / f"{service.name}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                program(service.module, *service.arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**_environment(), **SAFE_PATH, **service.environment},
            )
        return StartedProcess(process, path)

    def answers(self, url: str) -> bool:
        """Return whether the URL answers 200 within a second, or 401: who is there to ask for a name is there."""
        try:
            with urllib.request.urlopen(url, timeout=1) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 401
        except OSError:
            return False

    def refreshed(self, engine: Service) -> Sequence[Mapping[str, object]] | None:
        """Have an engine poll the registry, and return what it says of each model."""
        return _models_at(engine, "/admin/refresh", b"")

    def models(self, engine: Service) -> Sequence[Mapping[str, object]] | None:
        """Return what an engine says of each model."""
        return _models_at(engine, "/models", None)

    def stop_asked(self, *, within_s: float) -> bool:
        """Wait for a signal, at most so long."""
        return self._stop.wait(within_s)


def _models_at(engine: Service, path: str, body: bytes | None) -> Sequence[Mapping[str, object]] | None:
    host = engine.ready_urls[0].removesuffix("/live")
    try:
        with urllib.request.urlopen(f"{host}{path}", data=body, timeout=ASK_WITHIN_S) as response:
            found: Sequence[Mapping[str, object]] = json.load(response)["models"]
            return found
    except (OSError, ValueError, KeyError):  # it is asked again in a moment
        return None


def _environment() -> dict[str, str]:
    """Return this environment, with the programs beside this Python first, and without MLflow's job runners."""
    beside = str(Path(sys.executable).parent)
    path = f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ, "PATH": path}
