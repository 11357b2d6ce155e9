"""The runner `isolated`: a model that ships code, in a process of its own.

Its modules may have the names of ours, or of another version's, and a name means one module per process. The child
loads the model as MLflow does and answers one call at a time over a pair of sockets. Calls are pickled. What comes back
is not: the model has it in hand, and it is read in a process that answers for other models too
(`slipway.serving.runtimes.replies`). The child ends when this process does, since it then reads the end of its standard
input.
"""

import contextlib
import itertools
import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import msgspec

from slipway.registry.errors import SlipwayError, error_from
from slipway.registry.programs import program
from slipway.serving.runtimes.replies import FAILED, MOST_REPLY_BYTES, REFUSED, REPLIES, unpacked
from slipway.serving.runtimes.runner import RunnerReport
from slipway.serving.runtimes.stored import StoredRunner
from slipway.serving.table import Table

ENDS_WITHIN_S = 5.0
PROGRAM = program("slipway.serving.runtimes.isolated_child")


class ModelProcessError(RuntimeError):
    """The model failed in its process, or the process ended; the message names what the model raised."""


class ModelProcess:
    """A running child and the connection to it."""

    def __init__(self, model_folder: Path) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [*PROGRAM, str(theirs.fileno()), str(model_folder)],
                stdin=subprocess.PIPE,
                stdout=sys.__stderr__,
                pass_fds=[theirs.fileno()],
            )
        RUNNING.add(self)
        self._connection = Connection(ours.detach())
        self._numbers = itertools.count(1)

    @property
    def is_alive(self) -> bool:
        """Return whether the child still runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Return the child's process id."""
        return self._process.pid

    def ask(self, *call: Any) -> Any:
        """Send a call and return its answer.

        Raises
        ------
        SlipwayError
            The model, or its schema, refuses the request.
        ModelProcessError
            The model raised, answered what is no answer to this call, or the process ended.
        """
        number = next(self._numbers)
        try:
            self._connection.send_bytes(pickle.dumps((number, *call), protocol=5))
            reply = self._connection.recv_bytes(MOST_REPLY_BYTES)
        except (EOFError, OSError) as error:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ENDS_WITHIN_S)  # who ended by itself says with what
            self.stop()
            raise ModelProcessError(f"the model's process ended with {self._process.returncode}") from error
        try:
            kind, value = _read(reply, number)
        except ValueError as error:  # what it says next may belong to no call either
            self.kill()
            self.stop()
            raise ModelProcessError(f"the model's process sent what is no answer: {error}") from error
        if isinstance(value, SlipwayError):
            raise value
        if kind == FAILED:
            raise ModelProcessError(str(value))
        return value

    def kill(self) -> None:
        """End the child at once, from any thread: who waits for its answer hears that it ended."""
        self._process.kill()

    def wait(self) -> None:
        """Wait for a child that was killed; whoever waits for its answer closes the connection."""
        self._process.wait()

    def stop(self) -> None:
        """End the child and wait for it; a second call does nothing.

        It is not asked: whoever loads a large library hears nothing for seconds, and has nothing to keep.
        """
        self._connection.close()
        self._process.kill()
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._process.wait()
        RUNNING.discard(self)


RUNNING = set[ModelProcess]()


def end_model_processes() -> None:
    """End every child of this process, also those that are loading their model: nobody asks them any more."""
    running = tuple(RUNNING)
    for child in running:
        child.kill()
    for child in running:
        child.wait()


def _read(reply: bytes, number: int) -> tuple[str, Any]:
    """Return of which kind a reply to a call is, and what it says; raises ValueError where it is none."""
    said = unpacked(reply)
    if not isinstance(said, list) or len(said) != 3 or said[0] != number or said[1] not in REPLIES:
        raise ValueError("it is none to this call")
    _, kind, value = said
    return kind, _refusal(value) if kind == REFUSED else value


def _refusal(document: Any) -> SlipwayError:
    error = error_from(document)
    if not all(isinstance(said, str) for said in (error.message, error.code, error.hint or "")):
        raise ValueError("no document of an error")
    return error


class IsolatedRunner:
    """A model in a child process; threads may share it, and take turns.

    A child that ended is started anew by the next call, once: a model that ends its process with every request costs a
    start for each, and answers none.
    """

    def __init__(self, report: RunnerReport, model_folder: Path) -> None:
        self._report, self._folder = report, model_folder
        self._turn = threading.Lock()
        self._closed = False
        self._process: ModelProcess | None = None
        self.start()

    @property
    def report(self) -> RunnerReport:
        """Return which runner this is."""
        return self._report

    @property
    def pid(self) -> int | None:
        """Return the child's process id while there is one."""
        return self._process.pid if self._process else None

    def start(self) -> tuple[str, ...]:
        """Start the child where none runs, wait until it has loaded the model, and return the model's methods."""
        if self._process is None or not self._process.is_alive:
            if self._process:
                self._process.stop()
            self._process = ModelProcess(self._folder)
        return tuple(map(str, self._process.ask("methods")))

    def resident_bytes(self) -> int:
        """Return the resident memory of the child."""
        with self._turn:
            assert self._process is not None
            return int(self._process.ask("resident_bytes"))

    def predict(self, table: Table, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return what the model answers to the table."""
        return self._ask("predict", msgspec.structs.astuple(table), method, params)

    def predict_parsed(self, parsed: Any, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return what the model answers to what MLflow parsed."""
        if isinstance(parsed, Table):
            return self.predict(parsed, method, params)
        return self._ask("predict_parsed", parsed, method, params)

    def break_off(self) -> None:
        """End the child, and with it the call that is under way; the next call starts another."""
        if self._process:
            self._process.kill()

    def close(self) -> None:
        """End the child; a second call does nothing."""
        with self._turn:
            self._closed = True
            if self._process:
                self._process.stop()
                self._process = None

    def __enter__(self) -> "IsolatedRunner":
        return self

    def __exit__(self, *_: object) -> Literal[False]:
        self.close()
        return False

    def _ask(self, call: str, given: Any, method: str, params: Mapping[str, Any] | None) -> Any:
        with self._turn:
            if self._closed:
                raise ModelProcessError("the runner is closed")
            if self._process is None or not self._process.is_alive:
                self.start()
            assert self._process is not None
            return self._process.ask(call, given, method, dict(params) if params is not None else None)


def open_isolated(stored: StoredRunner, model_folder: Path) -> IsolatedRunner:
    """Start the model's process and wait until it answers."""
    return IsolatedRunner(stored.report, model_folder)
