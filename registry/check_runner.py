"""How checks are made: each in a process of its own with a time limit, as many at once as there are processors.

The processes come from a server that has imported the heavy libraries once and has no threads, so that starting one
is cheap and native code is safe after the fork. A check that raises, dies or takes too long is an ERROR.
"""

import contextlib
import multiprocessing
import os
import select
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from multiprocessing.forkserver import ensure_running
from pathlib import Path
from types import FrameType
from typing import IO, Any

from registry.errors import SlipwayError
from registry.evidence import Evidence
from registry.policy import Rule
from registry.verdict import Finding, Outcome

PRELOADED = ["registry.mlflow_model", "registry.checks.champion", "registry.checks.slices", "sklearn.ensemble"]
STOP_WITHIN_S = 15.0
SAID_CHARACTERS = 500
CONTEXT = multiprocessing.get_context("forkserver")

Check = Callable[[Evidence, Any], Sequence[Finding]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A check to make."""

    name: str
    check: Check
    evidence: Evidence
    rule: Rule


@dataclass(slots=True)
class Running:
    """A check that is being made."""

    job: Job
    process: ForkServerProcess
    answers: Connection
    said: IO[bytes]
    deadline: float


def warm_up() -> None:
    """Start the server that checks come from, so that it imports while the evidence is gathered."""
    CONTEXT.set_forkserver_preload(PRELOADED)
    ensure_running()


def run_checks(jobs: Sequence[Job]) -> list[Finding]:
    """Make the checks and return what they found, in the order of the jobs."""
    warm_up()
    waiting = list(enumerate(jobs))
    running: dict[int, Running] = {}
    found: dict[int, Sequence[Finding]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < max(2, os.cpu_count() or 1):
                place, job = waiting.pop(0)
                running[place] = _start(job)
            for place in _ended(running):
                found[place] = _collect(running.pop(place))
    finally:
        for left in running.values():
            _stop(left)
    return [finding for place in sorted(found) for finding in found[place]]


def run_here(jobs: Sequence[Job]) -> list[Finding]:
    """Make checks that only compare values, one after the other in this process."""
    return [finding for job in jobs for finding in made(job)]


def made(job: Job) -> Sequence[Finding]:
    """Make a check; whatever it raises is an ERROR that says so."""
    try:
        return job.check(job.evidence, job.rule)
    except SlipwayError as error:
        return [_error(job, error.message)]
    except Exception as error:
        return [_error(job, f"it crashed: {type(error).__name__}: {' '.join(str(error).split())[:SAID_CHARACTERS]}")]


def _start(job: Job) -> Running:
    ours, theirs = CONTEXT.Pipe(duplex=False)
    said = tempfile.NamedTemporaryFile(prefix="slipway-check-")  # noqa: SIM115 (closed when the check has ended)
    process = CONTEXT.Process(target=_child, args=(theirs, job, Path(said.name)))
    process.start()
    theirs.close()
    deadline = time.monotonic() + job.rule.timeout_s
    return Running(job=job, process=process, answers=ours, said=said, deadline=deadline)


def _child(answers: Connection, job: Job, said: Path) -> None:
    """Make a check in a session of its own, what it prints going into a file; it ends with whoever waits for it."""
    os.setsid()
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_end_unheard, args=(answers.fileno(),), daemon=True).start()
    with said.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        answers.send(list(made(job)))
    finally:
        _kill_others(os.getpid())


def _end_unheard(answers: int) -> None:
    """Ask this process to end when nobody is left who reads its answer."""
    reader = select.poll()
    reader.register(answers, 0)  # that the other end was closed is always told
    reader.poll()
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that whatever the check has started is stopped."""
    raise SystemExit(number)


def _ended(running: dict[int, Running]) -> list[int]:
    """Wait until a check has answered, died or is out of time; return which."""
    next_deadline = min(each.deadline for each in running.values())
    ready = wait([each.answers for each in running.values()], max(0.0, next_deadline - time.monotonic()))
    now = time.monotonic()
    return [place for place, each in running.items() if each.answers in ready or now >= each.deadline]


def _collect(ended: Running) -> Sequence[Finding]:
    try:
        if not ended.answers.poll():
            _stop(ended)
            return [_error(ended.job, f"it took longer than {ended.job.rule.timeout_s:g} s")]
        answer: Sequence[Finding] = ended.answers.recv()
        _stop(ended)
        return answer
    except (EOFError, OSError):
        _stop(ended)
        code = ended.process.exitcode
        said = Path(ended.said.name).read_text(errors="replace").strip()[-SAID_CHARACTERS:]
        return [_error(ended.job, f"it died with status {code}{f': {said}' if said else ''}")]
    finally:
        ended.said.close()


def _stop(running: Running) -> None:
    """Let the process end what it has started, then end its whole session."""
    process = running.process
    if process.is_alive() and not running.answers.poll():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGTERM)
    process.join(STOP_WITHIN_S)
    _kill_session(process.pid or 0)
    process.join()
    running.answers.close()


def _kill_session(session: int) -> None:
    """Kill every process of a session: its leader's group and, where /proc tells, whoever made a group of its own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(session, signal.SIGKILL)
    _kill_others(session)


def _kill_others(session: int) -> None:
    """Kill the processes of a session but this one, until none is left: one may start another meanwhile."""
    deadline = time.monotonic() + STOP_WITHIN_S
    while (others := set(_members(session)) - {os.getpid()}) and time.monotonic() < deadline:
        for member in others:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)


def _members(session: int) -> list[int]:
    """Return the living processes of a session; none where the system has no /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, of, *_ = stat.read_text().rpartition(")")[2].split()
            if int(of) == session and state not in "ZX":
                found.append(int(stat.parent.name))
    return found


def _error(job: Job, reason: str) -> Finding:
    return Finding(check=job.name, outcome=Outcome.ERROR, reason=reason)
