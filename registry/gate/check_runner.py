"""How checks are made: each in a process of its own with a time limit, as many at once as there are processors.

The processes come from a server of their own (`slipway.registry.gate.check_server`). Each is confined
(`slipway.registry.gate.confinement`) before it reads what it is to check, and answers in JSON: to unpickle what came
out of a process that loaded a model would be to load it here. A check that raises, dies, takes too long, too much
memory or too many processes is an ERROR. Both ends of the pipe are in this module, since each relies on how the other
ends.
"""

import contextlib
import json
import os
import pickle
import resource
import select
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from slipway.registry.errors import SlipwayError
from slipway.registry.gate.check_server import CONTEXT, warm_up
from slipway.registry.gate.confinement import (
    begin_processes_anew,
    bound_files,
    bound_memory,
    environment_for_checks,
    leave_the_network,
    let_go_of_pipes,
    take_environment,
    write_below,
)
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.process_family import (
    Family,
    adopt_orphans,
    exact_bytes,
    hold_network,
    kill,
    own_network,
    size_of,
)
from slipway.registry.gate.verdict import Finding, Outcome, finding_from
from slipway.registry.policy.policy import Rule

STOP_WITHIN_S = 15.0
LOOK_EVERY_S = 0.1
MEGABYTE = 1_000_000
ANSWER_AT_MOST_BYTES = 64 * MEGABYTE
SAID_CHARACTERS = 500
GO_ON = b"go on"
SIGNALS_AT_ONCE = 100

Check = Callable[[Evidence, Any], Sequence[Finding]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckJob:
    """A check to make."""

    name: str
    check: Check
    evidence: Evidence
    rule: Rule


@dataclass(frozen=True, slots=True)
class Confined:
    """What the process of a check says of itself before it begins.

    `network` names its own network, `None` where it shares that of others; `why_open` says why it could reach more than
    it should, where it can.
    """

    network: str | None
    why_open: str | None


@dataclass(slots=True)
class RunningCheck:
    """A check that is being made; `over` says which bound it has passed, `handle` keeps its network's name its own."""

    job: CheckJob
    process: ForkServerProcess
    answers: Connection
    home: Path
    confined: Confined
    handle: int | None
    deadline: float
    over: str | None = None

    @property
    def family(self) -> Family:
        """Return its processes."""
        network = self.confined.network if self.handle is not None else None
        return Family(leader=self.process.pid or 0, network=network)

    @property
    def said(self) -> Path:
        """Return the file with what it prints."""
        return _said(self.home)


def quietly(line: str) -> None:
    """Tell nobody."""


def run_checks(jobs: Sequence[CheckJob], *, tell: Callable[[str], None] = quietly) -> list[Finding]:
    """Make the checks and return what they found, in the order of the jobs; `tell` is told of each that ends."""
    warm_up()
    began = time.monotonic()
    waiting = list(enumerate(jobs))
    running: dict[int, RunningCheck] = {}
    found: dict[int, Sequence[Finding]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < max(2, os.cpu_count() or 1):
                place, job = waiting.pop(0)
                running[place] = _start(job)
            for place in _ended(running):
                name = running[place].job.name
                found[place] = _collect(running.pop(place))
                tell(
                    f"{name}: {max(each.outcome for each in found[place]).name}, after {time.monotonic() - began:.1f} s"
                )
    finally:
        for left in running.values():
            _stop(left)
            shutil.rmtree(left.home, ignore_errors=True)
    return [finding for place in sorted(found) for finding in found[place]]


def run_here(jobs: Sequence[CheckJob]) -> list[Finding]:
    """Make checks that only compare values, one after the other in this process."""
    return [finding for job in jobs for finding in made(job)]


def made(job: CheckJob) -> Sequence[Finding]:
    """Make a check; whatever it raises is an ERROR that says so."""
    try:
        return job.check(job.evidence, job.rule)
    except SlipwayError as error:
        return [_error(job, error.message)]
    except Exception as error:
        return [_error(job, f"it crashed: {type(error).__name__}: {' '.join(str(error).split())[:SAID_CHARACTERS]}")]


def _start(job: CheckJob) -> RunningCheck:
    """Start a check, and wait until its process is confined; one that dies before has closed its end."""
    ours, theirs = CONTEXT.Pipe()
    home = Path(tempfile.mkdtemp(prefix="slipway-check-"))
    environment = environment_for_checks(os.environ, job.rule.environment, home)
    process = CONTEXT.Process(target=_child, args=(theirs, pickle.dumps(job), job.rule, environment, home))
    process.start()
    theirs.close()
    confined, handle = Confined(network=None, why_open=None), None
    with contextlib.suppress(EOFError, OSError):
        if ours.poll(job.rule.timeout_s):
            confined = Confined(**json.loads(ours.recv_bytes()))  # said before anything of a model is loaded
            handle = hold_network(process.pid or 0, confined.network) if confined.network else None
            ours.send_bytes(GO_ON)
    deadline = time.monotonic() + job.rule.timeout_s  # from here on, since the first one waits for the server's imports
    return RunningCheck(
        job=job, process=process, answers=ours, home=home, confined=confined, handle=handle, deadline=deadline
    )


def _child(answers: Connection, job: bytes, rule: Rule, environment: dict[str, str], home: Path) -> None:
    """Make a check in a session of its own, what it prints going into a file, watched over by who began it."""
    os.setsid()
    signal.signal(signal.SIGTERM, _leave)
    with _said(home).open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    confined = _confine(rule, environment)
    family = Family(leader=os.getpid(), network=confined.network)
    check = os.fork()
    if check:
        _watch_over(check, answers, family, home)
    most_bytes = int(rule.max_memory_mb * MEGABYTE)
    if not rule.writes_files:
        if confined.network:
            let_go_of_pipes(answers.fileno())
            refused = write_below(home, most_bytes)
            confined = replace(confined, why_open=confined.why_open or refused)
        bound_files(most_bytes)
    bound_memory(most_bytes)
    answers.send_bytes(json.dumps(asdict(confined)).encode())
    answers.recv_bytes()
    found = [finding.to_document() for finding in made(pickle.loads(job))]
    answers.send_bytes(json.dumps(found).encode())


def _confine(rule: Rule, environment: dict[str, str]) -> Confined:
    """Confine this process and what it forks; a program of the policy's author may do what its user may but connect."""
    take_environment(environment)
    tempfile.tempdir = None  # the server that this process comes from may have asked for it already
    adopt_orphans()
    why_open = None if rule.network else leave_the_network()
    network = None if rule.network or why_open else own_network()
    if network and not rule.writes_files:
        why_open = begin_processes_anew()
    return Confined(network=network, why_open=why_open)


def _watch_over(check: int, answers: Connection, family: Family, home: Path) -> NoReturn:
    """Wait for the process of a check, end all that it has left, and end as it did; without a reader, end it at once.

    Whoever is in a process namespace cannot stop this one. It has one thread, since whose children are in another
    namespace can start none.
    """
    signals, noted = os.pipe()
    os.set_blocking(noted, False)
    signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, partial(_pass_on, check))
    signal.signal(signal.SIGCHLD, lambda number, frame: None)  # one that is ignored would not be noted
    events = select.poll()
    events.register(signals, select.POLLIN)
    events.register(answers, 0)  # that the other end was closed is always told
    while not (ended := os.waitpid(check, os.WNOHANG))[0]:
        if answers.fileno() in dict(events.poll()):
            kill(family, but=family.leader)
            shutil.rmtree(home, ignore_errors=True)
            os._exit(1)
        os.read(signals, SIGNALS_AT_ONCE)
    kill(family, but=family.leader)
    _end_as(ended[1])


def _end_as(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _pass_on(check: int, number: int, frame: FrameType | None) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(check, number)


def _said(home: Path) -> Path:
    return home / "said"


def _leave(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that whatever the check has started is stopped."""
    raise SystemExit(number)


def _ended(running: dict[int, RunningCheck]) -> list[int]:
    """Wait a moment, or until a check has answered or died; return which have, or have passed a bound."""
    next_deadline = min(each.deadline for each in running.values())
    wait_s = min(LOOK_EVERY_S, max(0.0, next_deadline - time.monotonic()))
    ready = wait([each.answers for each in running.values()], wait_s)
    for each in running.values():
        each.over = None if each.answers in ready else _over(each)
    return [place for place, each in running.items() if each.answers in ready or each.over]


def _over(running: RunningCheck) -> str | None:
    """Return which bound a check has passed, in words."""
    rule = running.job.rule
    if time.monotonic() >= running.deadline:
        return f"it took longer than {rule.timeout_s:g} s"
    processes, resident_bytes = size_of(running.family)
    if processes > rule.max_processes:
        return f"it ran more than {rule.max_processes} processes at once; max_processes in its rule allows more"
    most_bytes = rule.max_memory_mb * MEGABYTE
    if resident_bytes > most_bytes and exact_bytes(running.family) > most_bytes:
        return f"it took more than {rule.max_memory_mb:g} MB of memory; max_memory_mb in its rule allows more"
    return None


def _collect(ended: RunningCheck) -> Sequence[Finding]:
    try:
        if ended.over:
            _stop(ended) if time.monotonic() >= ended.deadline else _kill(ended)
            return [_error(ended.job, ended.over)]
        answer = _answer(ended)
        _stop(ended)
        return [with_what_was_open(finding, ended.confined) for finding in _understood(answer, ended.job)]
    except (EOFError, OSError):
        _stop(ended)
        code = ended.process.exitcode
        said = ended.said.read_text(errors="replace").strip()[-SAID_CHARACTERS:] if ended.said.is_file() else ""
        return [_error(ended.job, f"it died with status {code}{f': {said}' if said else ''}")]
    finally:
        shutil.rmtree(ended.home, ignore_errors=True)


def _answer(ended: RunningCheck) -> bytes:
    """Read what a check has begun to say; one that does not come to an end in its time is killed, which closes it."""
    left_s = max(LOOK_EVERY_S, ended.deadline - time.monotonic())
    too_late = threading.Timer(left_s, kill, (ended.family,))
    too_late.start()
    try:
        return ended.answers.recv_bytes(ANSWER_AT_MOST_BYTES)
    finally:
        too_late.cancel()


def _understood(answer: bytes, job: CheckJob) -> Sequence[Finding]:
    """Return the findings of a check; another shape than its own code gives comes from what it loaded."""
    try:
        return [replace(finding_from(document), check=job.name) for document in json.loads(answer)]
    except (ValueError, TypeError, KeyError, SlipwayError) as error:
        return [_error(job, f"its process answered what is no finding: {type(error).__name__}")]


def with_what_was_open(finding: Finding, confined: Confined) -> Finding:
    """Say in a finding that its process could reach the network, or write files, where it should not have."""
    if confined.why_open is None:
        return finding
    said = f"checked in a process that could reach more than it should: {confined.why_open}"
    return replace(finding, details={**finding.details, "not_isolated": said})


def _stop(running: RunningCheck) -> None:
    """Let the process end what it has started, then end all that came from it."""
    process = running.process
    if process.is_alive() and not running.answers.poll():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid or 0, signal.SIGTERM)
    process.join(STOP_WITHIN_S)
    _kill(running)


def _kill(running: RunningCheck) -> None:
    """End a check and all that came from it at once: one that takes too much would take more meanwhile."""
    kill(running.family)
    running.process.join()
    running.answers.close()
    if running.handle is not None:
        os.close(running.handle)


def _error(job: CheckJob, reason: str) -> Finding:
    return Finding(check=job.name, outcome=Outcome.ERROR, reason=reason)
