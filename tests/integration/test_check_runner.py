"""Checks in processes of their own: what they answer, and what happens when they do not."""

import contextlib
import ctypes
import errno
import fcntl
import gc
import json
import multiprocessing
import os
import platform
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.models import infer_signature

from slipway.registry.gate.check_runner import CheckJob, Confined, run_checks, with_what_was_open
from slipway.registry.gate.checks import servable
from slipway.registry.gate.confinement import leave_the_network
from slipway.registry.gate.evidence import NO_TOOLS, Evidence
from slipway.registry.gate.mlflow_model import input_example, load_as_served
from slipway.registry.gate.process_family import hold_network, own_network
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import OwnRule, Rule, ServableRule
from slipway.serving.local.probe import serve_once
from tests.generators.hostile_models import payload
from tests.servers.processes import wait_for
from tests.unit.registry.gate.checks.test_checks import subject


class NotingServable(ServableRule):
    """A rule whose check may write files, as one's own may: the model notes which processes it has started."""

    writes_files = True


LIMIT_S = 8  # enough to start a process on a busy machine


def passes(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Pass, and tell which process it was."""
    print("words that belong nowhere")
    return (Finding(check="passes", outcome=Outcome.PASS, reason=str(os.getpid())),)


def raises(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Crash."""
    raise RuntimeError("no such luck")


def dies(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """End without a word of Python's."""
    os.write(2, b"out of memory")
    os._exit(9)


def hangs(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Start a child, write down which, and never end."""
    child = os.fork()
    if child:
        (Path(evidence.promoter) / "child").write_text(str(child))
        (Path(evidence.promoter) / "check").write_text(str(os.getpid()))
    time.sleep(600)
    return ()


def stubborn(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Ignore whoever asks it to end, and have a child in a group of its own that does the same."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _leave_behind(Path(evidence.promoter))
    time.sleep(600)
    return ()


def is_killed(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Start a child, and end as the system ends what takes too much memory."""
    _leave_behind(Path(evidence.promoter))
    os.kill(os.getpid(), signal.SIGKILL)
    return ()


def _leave_behind(folder: Path) -> None:
    """Start a process in a group of its own, and write down which and whose it is."""
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 600"], process_group=0)
    (folder / str(os.getpid())).touch()
    (folder / str(child.pid)).touch()


def left_in(folder: Path) -> list[int]:
    """Return the processes noted in a folder that still run."""
    return [pid for pid in map(int, os.listdir(folder)) if alive(pid)]


def untrusted(folder: Path) -> tuple[str, ...]:
    """Return nothing."""
    return ()


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Return evidence that no check looks at; `promoter` is a folder to write in."""
    return evidence_in(tmp_path)


def evidence_in(folder: Path) -> Evidence:
    """Return evidence that no check looks at, with a folder to write in."""
    return Evidence(
        stage="production",
        candidate=subject(1, None),
        champion=None,
        occupant=None,
        rows={},
        events=[],
        entered_at=None,
        policy_digest="",
        promoter=str(folder),
        now=datetime(2026, 1, 1, tzinfo=UTC),
        tools=replace(NO_TOOLS, serve=untrusted, untrusted=untrusted),
    )


def alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_each_check_answers_in_order_whatever_became_of_the_others(
    evidence: Evidence, tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    """A crash, a death and a time limit are ERRORs that say so; nothing that a check started lives on."""
    checks = {"hangs": hangs, "raises": raises, "passes": passes, "dies": dies}
    jobs = [
        CheckJob(
            name=name,
            check=check,
            evidence=evidence,
            rule=OwnRule(command=("any",), timeout_s=LIMIT_S if name == "hangs" else 60),
        )
        for name, check in checks.items()
    ]
    told: list[str] = []
    found = run_checks(jobs, tell=told.append)
    assert sorted(line.partition(" after ")[0] for line in told) == [
        "dies: ERROR,",
        "hangs: ERROR,",
        "passes: PASS,",
        "raises: ERROR,",
    ]
    assert [finding.check for finding in found] == list(checks)
    assert [finding.outcome.name for finding in found] == ["ERROR", "ERROR", "PASS", "ERROR"]
    assert found[0].reason == f"it took longer than {LIMIT_S} s"
    assert found[1].reason == "it crashed: RuntimeError: no such luck"
    assert found[3].reason == "it died with status 9: out of memory"
    assert int(found[2].reason) != os.getpid()
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: not alive(child), within_s=10)
    assert "words that belong nowhere" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("check", "said"), [(stubborn, f"it took longer than {LIMIT_S} s"), (is_killed, "it died with status -9")]
)
def test_what_a_check_started_ends_with_it_however_it_ends(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check, said: str
):
    """Also in process groups of their own, and whoever ignores being asked."""
    monkeypatch.setattr("slipway.registry.gate.check_runner.STOP_WITHIN_S", 1.0)
    (found,) = run_checks(
        [CheckJob(name="check", check=check, evidence=evidence, rule=OwnRule(command=("any",), timeout_s=LIMIT_S))]
    )
    assert (found.outcome, found.reason) == (Outcome.ERROR, said)
    assert len(os.listdir(tmp_path)) == 2
    assert left_in(tmp_path) == []


def hangs_confined(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Start a child, print that it is there, and never end."""
    if os.fork():
        print("begun", flush=True)
    time.sleep(600)
    return ()


def hang_in(folder: str, confined: bool) -> None:
    """Make a check that never ends."""
    check, rule = (hangs_confined, Rule()) if confined else (hangs, OwnRule(command=("any",), timeout_s=600))
    run_checks([CheckJob(name="hangs", check=check, evidence=evidence_in(Path(folder)), rule=rule)])


@pytest.mark.parametrize("confined", [False, True])
def test_a_check_ends_when_nobody_waits_for_it_any_more(tmp_path: Path, confined: bool):
    """Whoever kills a promotion leaves no check running."""
    program = f"from tests.integration.test_check_runner import hang_in; hang_in({str(tmp_path)!r}, {confined})"
    homes = Path(tempfile.mkdtemp(prefix="homes-"))  # a short path: a socket below it may have 107 characters
    environment = {**os.environ, "TMPDIR": str(homes)}
    waiting = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2], env=environment)
    notes = [tmp_path / name for name in ("check", "child")]
    if confined:
        wait_for(lambda: any("begun" in said.read_text() for said in homes.glob("*/said")), within_s=120)
    else:
        wait_for(lambda: all(note.is_file() and note.read_text() for note in notes), within_s=120)
    started = descendants(waiting.pid)
    assert len(started) >= 4  # the server, who watches, the check and its child
    assert confined or {int(note.read_text()) for note in notes} <= started
    waiting.kill()
    waiting.wait()
    wait_for(lambda: not any(map(alive, started)) and not list(homes.glob("slipway-check-*")), within_s=20)
    shutil.rmtree(homes)


def descendants(process: int) -> set[int]:
    """Return the processes that one has started, and those that they have."""
    parents = {}
    for told in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(told.parent.name)] = int(told.read_text().rpartition(")")[2].split()[1])
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {process}


MODEL = """
import os, subprocess
import mlflow

class Untidy(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        child = subprocess.Popen(["sleep", "600"], process_group=0)
        open(os.path.join({folder!r}, str(child.pid)), "w").close()

    def predict(self, context, model_input):
        return [1] * len(model_input)

mlflow.models.set_model(Untidy())
"""


@pytest.mark.parametrize("server", ["engine", "mlflow"])
def test_nothing_is_left_of_a_model_whose_server_leaves_children_behind(
    server: str, evidence: Evidence, tmp_path: Path
):
    """The check servable loads it, and has a scoring server load it; both leave a process."""
    left, folder = tmp_path / "left", tmp_path / "model"
    left.mkdir()
    (tmp_path / "untidy.py").write_text(MODEL.format(folder=str(left)))
    example = pd.DataFrame({"x": [0.5, 1.5]})
    signature = infer_signature(example, [1, 1])
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(tmp_path / "untidy.py"),
        signature=signature,
        input_example=example,
        pip_requirements=[],
    )
    tools = replace(evidence.tools, load_as_served=load_as_served, example=input_example, serve=serve_once)
    given = replace(evidence, candidate=subject(1, folder), tools=tools)
    rule = NotingServable(server=server, requests=2, load_s=240, p99_ms=60_000)
    found = run_checks([CheckJob(name="servable", check=servable.check, evidence=given, rule=rule)])
    assert [finding.outcome.name for finding in found] == ["PASS"] * 4, [finding.reason for finding in found]
    assert len(os.listdir(left)) >= 2
    assert left_in(left) == []


def tells(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Tell what this process has: its variables, its folders, and whose environment it can read."""
    found = {
        "environment": dict(os.environ),
        "temporary": tempfile.gettempdir(),
        "parents": [pid for pid in (os.getppid(), int(evidence.policy_digest)) if _environment_of(pid)],
    }
    return (Finding(check="tells", outcome=Outcome.PASS, reason="", details=found),)


def _environment_of(process: int) -> bytes:
    try:
        return Path(f"/proc/{process}/environ").read_bytes()
    except (PermissionError, FileNotFoundError):  # not ours to read, or no process that we see
        return b""


def test_a_check_has_no_secrets_and_a_home_that_is_thrown_away(evidence: Evidence, monkeypatch: pytest.MonkeyPatch):
    """Neither its own variables nor those of the processes that started it; a rule may name some."""
    secrets = ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "SLIPWAY_REGISTRY__HISTORY_URI", "PGPASSWORD", "X")
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    given = replace(evidence, policy_digest=str(os.getpid()))
    rules = (Rule(timeout_s=60), Rule(timeout_s=60, environment=("X", "NOT_SET")))
    found = [run_checks([CheckJob(name="tells", check=tells, evidence=given, rule=rule)])[0] for rule in rules]
    for finding, named in zip(found, (set(), {"X"}), strict=True):
        assert finding.outcome is Outcome.PASS
        environment = finding.details["environment"]
        assert {name for name in secrets if name in environment} == named
        assert environment["PATH"] == os.environ["PATH"]
        assert environment["HOME"] == environment["TMPDIR"] == finding.details["temporary"] != os.environ["HOME"]
        assert not Path(environment["HOME"]).exists()
        assert finding.details["parents"] == []


def writes(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Try to write where a user's files are, also after making everything writable again."""
    outside = Path(evidence.policy_digest)
    libc = ctypes.CDLL(None, use_errno=True)
    said = []
    for attempt in ("as it is", "mounted anew", "in other namespaces"):
        if attempt == "mounted anew":
            libc.mount(b"none", b"/", None, 0x20, None)  # MS_REMOUNT, without MS_RDONLY
        if attempt == "in other namespaces":
            libc.unshare(0x10000000 | 0x00020000)
            libc.mount(b"none", b"/", None, 0x20, None)
        try:
            (outside / attempt).write_text("x")
        except OSError:
            said.append(attempt)
    (Path(os.environ["HOME"]) / "note").write_text("x")
    multiprocessing.Lock()
    return (Finding(check="writes", outcome=Outcome.PASS, reason=", ".join(said)),)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no mount namespaces")
def test_a_check_writes_files_in_its_home_alone(evidence: Evidence, tmp_path: Path):
    """What it leaves among the packages or in the user's folder would run later, unconfined."""
    given = replace(evidence, policy_digest=str(tmp_path))
    (found,) = run_checks([CheckJob(name="writes", check=writes, evidence=given, rule=Rule(timeout_s=60))])
    assert found.reason == "as it is, mounted anew, in other namespaces"
    assert list(tmp_path.iterdir()) == []


def reads_its_block(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Tell the variables that the system keeps for this process, whatever it has forgotten itself."""
    names = [each.partition(b"=")[0].decode() for each in _environment_of(os.getpid()).split(b"\0") if each]
    return (Finding(check="reads", outcome=Outcome.PASS, reason=" ".join(names)),)


def test_the_process_that_checks_come_from_never_had_a_secret():
    """A process keeps the variables with which it was started in a place that it cannot clear: /proc/PID/environ."""
    program = (
        "from slipway.registry.gate.check_runner import CheckJob, run_checks\n"
        "from slipway.registry.policy.policy import Rule\n"
        "from tests.integration.test_check_runner import reads_its_block as check\n"
        "import os\n"
        "found = run_checks([CheckJob(name='reads', check=check, evidence=None, rule=Rule(timeout_s=60))])\n"
        "print(found[0].reason, 'and ours:', os.environ['PGPASSWORD'])\n"
    )
    environment = {**os.environ, "PGPASSWORD": "secret"}
    said = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "PATH" in said.split()
    assert "PGPASSWORD" not in said
    assert said.endswith("and ours: secret\n")


@pytest.mark.skipif(sys.platform != "linux", reason="there are no network namespaces")
def test_the_name_of_a_network_stays_with_a_check_until_all_of_it_was_ended():
    """Names are given again at once: who ends one check would else kill another that has its network's name by now."""
    names = []
    handles = []
    for keep in (True, True, True, False, False, False, False, False):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_stay_in_a_network_of_its_own, args=(theirs,))
        process.start()
        names.append(ours.recv())
        if names[-1] is None:
            pytest.skip("the system refuses a network of its own")
        if keep:
            handles.append(hold_network(process.pid, names[-1]))
        assert hold_network(process.pid, "net:[1]") is None
        ours.send("go on")
        process.join()
        assert hold_network(process.pid, names[-1]) is None
    assert len(set(names[:4])) == 4
    assert not set(names[:3]) & set(names[3:])
    for handle in handles:
        os.close(handle)


def _stay_in_a_network_of_its_own(answers: Connection) -> None:
    answers.send(own_network() if leave_the_network() is None else None)
    answers.recv()


def connects(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Knock at a server outside, and at one of its own."""
    with socket.create_server(("127.0.0.1", 0)) as own:
        socket.create_connection(own.getsockname(), timeout=5).close()
    try:
        socket.create_connection(("127.0.0.1", int(evidence.policy_digest)), timeout=5).close()
    except OSError as error:
        return (Finding(check="connects", outcome=Outcome.FAIL, reason=str(error)),)
    return (Finding(check="connects", outcome=Outcome.PASS, reason="somebody answered"),)


def test_a_check_reaches_loopback_of_its_own_and_nothing_else(evidence: Evidence):
    """Unless its rule says so."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        given = replace(evidence, policy_digest=str(outside.getsockname()[1]))
        rules = (Rule(timeout_s=60), Rule(timeout_s=60, network=True))
        found = [
            run_checks([CheckJob(name="connects", check=connects, evidence=given, rule=rule)])[0] for rule in rules
        ]
    assert [finding.outcome.name for finding in found] == ["FAIL", "PASS"]
    assert [dict(finding.details) for finding in found] == [{}, {}]


AS_NOBODY = """
import ctypes, encodings.idna, os, socket, sys
from slipway.registry.gate.confinement import leave_the_network
os.setgid(65534), os.setuid(65534)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE, as a process is that was started by this user
print(leave_the_network(), os.getuid())
with socket.create_server(("127.0.0.1", 0)) as own:
    socket.create_connection(own.getsockname()).close()
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
except OSError as error:
    print("alone")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="whoever is no administrator is tested by the others")
def test_an_ordinary_user_leaves_the_network_too():
    """By a user namespace, where only its own number is mapped."""
    with socket.create_server(("127.0.0.1", 0)) as outside:
        words = [sys.executable, "-c", AS_NOBODY, str(outside.getsockname()[1])]
        said = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert said.stdout.splitlines() == ["None 65534", "alone"]


def test_where_the_system_refuses_a_network_of_its_own_the_finding_says_so():
    """The check is made all the same: a container may have no way."""
    confined = Confined(network=None, why_open="the system refuses a network namespace: Operation not permitted")
    said = with_what_was_open(Finding(check="c", outcome=Outcome.PASS, reason="", details={"more": 1}), confined)
    assert said.details == {
        "more": 1,
        "not_isolated": "checked in a process that could reach more than it should: "
        "the system refuses a network namespace: Operation not permitted",
    }


def grows(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Fork children that each take some memory, none of them much; their session is their own."""
    _fork_children(Path(evidence.promoter), 15, megabytes=60)
    time.sleep(600)
    return ()


def multiplies(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Fork many children."""
    _fork_children(Path(evidence.promoter), 40, megabytes=0)
    time.sleep(600)
    return ()


def _fork_children(folder: Path, count: int, *, megabytes: int) -> None:
    for _ in range(count):
        if os.fork() == 0:
            os.setsid()
            (folder / str(os.getpid())).touch()
            held = bytearray(os.urandom(1) * (megabytes * 1_000_000))
            time.sleep(600)
            os._exit(len(held))


def swallows(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Ask for more memory at once than there may be."""
    return (Finding(check="swallows", outcome=Outcome.PASS, reason=str(len(bytearray(2_000_000_000)))),)


@pytest.mark.parametrize("confined", [False, True])
@pytest.mark.parametrize(
    ("check", "bounds", "said"),
    [
        (grows, {"max_memory_mb": 700}, "it took more than 700 MB of memory; max_memory_mb in its rule allows more"),
        (multiplies, {"max_processes": 20}, "it ran more than 20 processes at once; max_processes in its rule allows"),
        (swallows, {"max_memory_mb": 1500}, "it crashed: MemoryError"),
    ],
)
def test_memory_and_processes_of_a_check_are_bounded_while_it_runs(
    evidence: Evidence, tmp_path: Path, check, bounds: dict, said: str, confined: bool
):
    """Of all that it starts together, in whatever session or namespace; nobody waits until it ends by itself."""
    rule = Rule(timeout_s=60, **bounds) if confined else OwnRule(command=("any",), timeout_s=60, **bounds)
    given = replace(evidence, promoter="/dev/shm" if confined else str(tmp_path))
    (found,) = run_checks([CheckJob(name="check", check=check, evidence=given, rule=rule)])
    assert (found.outcome, said in found.reason) == (Outcome.ERROR, True), found.reason
    wait_for(lambda: not left_in(tmp_path), within_s=10)


def counts(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Be as many processes as the rule allows for a while."""
    children = [subprocess.Popen(["sleep", "1"]) for _ in range(rule.max_processes - 1)]
    return (Finding(check="counts", outcome=Outcome.PASS, reason=str([child.wait() for child in children])),)


def test_who_watches_over_a_check_is_not_counted(evidence: Evidence):
    """A check may be as many processes as its rule says."""
    rule = Rule(timeout_s=60, max_processes=2)
    (found,) = run_checks([CheckJob(name="counts", check=counts, evidence=evidence, rule=rule)])
    assert (found.outcome, found.reason) == (Outcome.PASS, "[0]")


def answers_itself(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Write into the pipe what would run where it is unpickled, or a finding of another check."""
    connection = next(each for each in gc.get_objects() if isinstance(each, Connection) and each.writable)
    answer = Path(evidence.promoter, "answer").read_bytes()
    if answer:
        connection.send_bytes(answer)
    else:
        os.write(connection.fileno(), struct.pack("!i", 1000))  # the length of what never comes
    time.sleep(600)
    return ()


@pytest.mark.parametrize("forged", ["pickle", "other check", "no finding", "half an answer"])
def test_what_a_hostile_process_answers_runs_nothing_and_names_no_other_check(
    evidence: Evidence, tmp_path: Path, forged: str
):
    """The process of a check may be a model's by then."""
    other = {"check": "artifact", "outcome": "PASS", "reason": "all is well"}
    answers = {
        "pickle": payload(tmp_path / "canary", 4),
        "other check": json.dumps([other]).encode(),
        "no finding": b"3",
        "half an answer": b"",
    }
    (tmp_path / "answer").write_bytes(answers[forged])
    (found,) = run_checks(
        [CheckJob(name="mine", check=answers_itself, evidence=evidence, rule=Rule(timeout_s=LIMIT_S))]
    )
    assert found.check == "mine"
    assert (found.outcome is Outcome.ERROR) == (forged != "other check")
    assert not (tmp_path / "canary").exists()


def shares(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Leave shared memory of System V."""
    made = ctypes.CDLL(None).shmget(SHARED_KEY, 4096, 0o1600)
    return (Finding(check="shares", outcome=Outcome.PASS, reason=str(made)),)


SHARED_KEY = 0x51195119


@pytest.mark.skipif(sys.platform != "linux", reason="there are no namespaces for it")
def test_shared_memory_of_a_check_ends_with_it(evidence: Evidence):
    """That of System V belongs to no process: nobody but an administrator would find it afterwards."""
    rule = OwnRule(command=("any",), timeout_s=60)
    (found,) = run_checks([CheckJob(name="shares", check=shares, evidence=evidence, rule=rule)])
    assert int(found.reason) >= 0
    keys = [int(line.split()[0]) for line in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    assert SHARED_KEY not in keys


def meddles(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Try to stop and to bound a process that is outside, and tell which way was open and which processes are seen."""
    outside = int(evidence.policy_digest)
    ways = {
        "signal": lambda: os.kill(outside, signal.SIGSTOP),
        "limit": lambda: resource.prlimit(outside, resource.RLIMIT_NOFILE, (3, 3)),
        "processor": lambda: os.sched_setaffinity(outside, {0}),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, outside, 19),
    }
    found = []
    for name, way in ways.items():
        with contextlib.suppress(OSError):
            way()
            found.append(name)
    seen = [name for name in os.listdir("/proc") if name.isdigit()]
    told = {"open": found, "seen": seen, "begun by": os.getppid()}
    return (Finding(check="meddles", outcome=Outcome.PASS, reason="", details=told),)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no process namespaces")
def test_a_check_sees_and_reaches_no_process_but_its_own(evidence: Evidence):
    """Else it could stop the gate that waits for it, or bound what any program of its user may do."""
    outside = subprocess.Popen(["sleep", "600"])
    try:
        given = replace(evidence, policy_digest=str(outside.pid))
        (found,) = run_checks([CheckJob(name="meddles", check=meddles, evidence=given, rule=Rule(timeout_s=60))])
        assert found.details == {"open": [], "seen": ["1"], "begun by": 0}
    finally:
        outside.kill()
        outside.wait()


def hoards(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Fill the home and what is shared in memory, and lengthen the file with what is printed."""
    stopped = []
    block = b"x" * 10_000_000
    written = 0
    for folder in (Path(os.environ["HOME"]), Path("/dev/shm")):
        try:
            for each in range(35):
                written += (folder / str(each)).write_bytes(block)
        except OSError as error:
            stopped.append(error.errno)
    try:
        os.ftruncate(1, 2_000_000_000)
    except OSError as error:
        stopped.append(error.errno)
    return (Finding(check="hoards", outcome=Outcome.PASS, reason=str(stopped), measured=written),)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no mount namespaces")
def test_what_a_check_writes_is_bounded_by_its_memory(evidence: Evidence):
    """Home and shared memory together, since both may lie in memory, and each file that was open before."""
    rule = Rule(timeout_s=60, max_memory_mb=600)
    (found,) = run_checks([CheckJob(name="hoards", check=hoards, evidence=evidence, rule=rule)])
    assert found.reason == str([errno.ENOSPC, errno.EFBIG])
    assert 500_000_000 < found.measured <= 600_000_000


def gets_out(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Try every way to somebody outside that is no file, and tell which there are."""
    server, letters = (str(Path(evidence.policy_digest) / name) for name in ("server", "letters"))
    leased = Path(evidence.policy_digest) / "leased"
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = {"x86_64": (56, 319, 425), "aarch64": (220, 279, 425)}[platform.machine()]
    ways = {
        "UNIX socket": lambda: socket.socket(socket.AF_UNIX).connect(server),
        "UNIX datagram": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", letters),
        "pair of datagrams": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b"x", letters),
        "pair of raw": lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_RAW)[0].sendto(b"x", letters),
        "VSOCK": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM),
        "unshare": lambda: _require(libc.unshare(0x10000000)),
        "clone": lambda: _require(libc.syscall(numbers[0], 0x10000000 | signal.SIGCHLD, 0, 0, 0, 0)),
        "memory of nobody": lambda: _require(libc.syscall(numbers[1], b"x", 0)),
        "io_uring": lambda: _require(libc.syscall(numbers[2], 1, ctypes.create_string_buffer(120))),
        "device": lambda: os.open("/dev/ptmx", os.O_RDWR),
        "lease": lambda: fcntl.fcntl(os.open(leased, os.O_RDONLY), fcntl.F_SETLEASE, fcntl.F_WRLCK),
    }
    found = []
    for name, way in ways.items():
        with contextlib.suppress(OSError):
            way()
            found.append(name)
    one, other = socket.socketpair()
    one.send(b"still works")
    other.recv(100)
    Path("/dev/null").write_text("still works")
    threading.Thread(target=multiprocessing.Lock).start()
    subprocess.run(["true"], check=True)
    return (Finding(check="gets out", outcome=Outcome.PASS, reason=", ".join(found)),)


def _require(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno())
    if result == 0 and os.getpid() == 1:  # a child in namespaces of its own
        os._exit(0)


@pytest.mark.skipif(sys.platform != "linux", reason="there are no filters of system calls")
def test_a_check_has_no_way_out_of_its_namespaces(evidence: Evidence):
    """A socket in a folder is no file to write, and a virtual machine's host is in no network: neither is reached."""
    folder = Path(tempfile.mkdtemp(prefix="out-"))  # a short path: a socket below it may have 107 characters
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as letters:
        server.bind(str(folder / "server"))
        server.listen()
        letters.bind(str(folder / "letters"))
        (folder / "leased").write_text("whoever opens this would wait")
        given = replace(evidence, policy_digest=str(folder))
        (found,) = run_checks([CheckJob(name="gets out", check=gets_out, evidence=given, rule=Rule(timeout_s=60))])
        assert (found.outcome, found.reason, dict(found.details)) == (Outcome.PASS, "", {})
    shutil.rmtree(folder)


def writes_to_all(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """Write into each pipe that is open what a tracker of shared memory, or the server of checks, would act on."""
    reached = []
    for number in range(3, 100):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                os.write(number, b"REGISTER:/slipway-others:shared_memory\n")
                reached.append(number)
    return (Finding(check="writes", outcome=Outcome.PASS, reason=str(reached)),)


@pytest.mark.skipif(sys.platform != "linux", reason="the pipes are found in /proc")
def test_a_check_has_no_pipe_to_a_process_outside(evidence: Evidence):
    """Those that it inherited end the server that checks come from, or remove shared memory of other programs."""
    (found,) = run_checks([CheckJob(name="writes", check=writes_to_all, evidence=evidence, rule=Rule(timeout_s=60))])
    assert found.reason == "[]"


def falls(evidence: Evidence, rule: Rule) -> tuple[Finding, ...]:
    """End as native code does that reads where nothing is."""
    ctypes.string_at(0)
    return ()


@pytest.mark.parametrize(("check", "said"), [(dies, "9: out of memory"), (falls, "-11")])
def test_who_watches_over_a_check_ends_as_it_did(evidence: Evidence, check, said: str):
    """What a confined process died of is told as that of any other."""
    (found,) = run_checks([CheckJob(name="check", check=check, evidence=evidence, rule=Rule(timeout_s=60))])
    assert (found.outcome, found.reason) == (Outcome.ERROR, f"it died with status {said}")


IN_A_CONTAINER = """
import ctypes, os, sys
from slipway.registry.gate.check_runner import CheckJob, run_checks
from slipway.registry.gate.confinement import leave_the_network
from slipway.registry.policy.policy import Rule
from tests.integration.test_check_runner import passes
libc = ctypes.CDLL(None)
assert leave_the_network() is None
assert libc.unshare(0x00020000) == 0
assert libc.mount(b"none", b"/", None, 0x44000, None) == 0
if sys.argv[1] == "parts of /proc hidden":
    assert libc.mount(b"tmpfs", b"/proc/sys", b"tmpfs", 0, None) == 0
else:  # from another root no users are left, and without this right nothing else
    assert libc.mount(b"/", sys.argv[2].encode(), None, 0x5000, None) == 0
    os.chroot(sys.argv[2])
    libc.prctl(24, 21, 0, 0, 0)
found = run_checks([CheckJob(name="passes", check=passes, evidence=None, rule=Rule(timeout_s=60))])
print(found[0].outcome.name, found[0].details["not_isolated"])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="there are no namespaces")
@pytest.mark.parametrize(
    ("container", "said"),
    [
        ("parts of /proc hidden", "the system refuses a process namespace with its /proc: /proc/sys is hidden"),
        ("no networks", "the system refuses a network namespace: Operation not permitted"),
    ],
)
def test_a_check_is_made_where_a_container_refuses_namespaces(tmp_path: Path, container: str, said: str):
    """As before, and the finding says what could be reached."""
    words = [sys.executable, "-c", IN_A_CONTAINER, container, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.stdout == f"PASS checked in a process that could reach more than it should: {said}\n", done.stderr
