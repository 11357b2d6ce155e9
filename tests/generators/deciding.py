"""Whole decisions in processes of their own, which can be stopped before any write of any port."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from slipway.registry.decisions.carry_out import carry_out, settled
from slipway.registry.decisions.command_context import CommandContext
from slipway.registry.decisions.gate_commands import grounds_for
from slipway.registry.decisions.ledger_decisions import LedgerDecisions, deciding, going_back
from slipway.registry.decisions.who import say_why
from slipway.registry.decisions.wiring import open_decisions, open_ledger
from slipway.registry.errors import SlipwayError
from slipway.registry.gate.check_runner import run_here
from slipway.registry.gate.check_server import CONTEXT, warm_up
from slipway.registry.gate.gate import Gate
from slipway.registry.gate.gate_wiring import open_gate
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.history import History
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.model_state import fold
from slipway.registry.ledger.situation import look
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.policy.roles import anybody
from slipway.registry.version import parse_ref
from tests.servers.postgres import PostgresServer

MODEL = "cancer"
VERSIONS = 22
WRITE_VERBS = ("append", "create_", "delete_", "log_", "set_")
POLICY = """
stages:
  staging: {enter_from: any, checks: {lineage: {require: [run]}}}
  production: {checks: {lineage: {require: [run]}}}
"""
LABELS = {"staging": "Staging", "production": "Production"}


def write_calls() -> frozenset[str]:
    """Return the names of the ports' calls that write, read from the ports themselves."""
    calls = [name for port in (ModelRegistry, History) for name in vars(port) if not name.startswith("_")]
    return frozenset(name for name in calls if name.startswith(WRITE_VERBS))


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a registry and its history are: a folder with the policy, and MLflow's database or server."""

    folder: Path
    uri: str
    history: str | None = None

    def enter(self) -> None:
        """Make this process work there."""
        os.chdir(self.folder)
        os.environ["MLFLOW_TRACKING_URI"] = self.uri
        if self.history:
            os.environ["SLIPWAY_REGISTRY__HISTORY_URI"] = self.history

    def ledger(self) -> Ledger:
        """Return the ledger there."""
        self.enter()
        return open_ledger(os.environ, self.folder)


@dataclass
class Fuse:
    """Counts writes, and does something before one of them."""

    before: int | None = None
    act: Callable[[], None] = lambda: None
    writes: list[str] = field(default_factory=list)

    def burn(self, call: str) -> None:
        """Note a write that is about to be made."""
        if len(self.writes) == self.before:
            self.act()
        self.writes.append(call)


class Fused:
    """A port whose writes burn a fuse first."""

    def __init__(self, port: Any, fuse: Fuse) -> None:
        self._port, self._fuse = port, fuse

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)
        if name not in write_calls():
            return call

        def fused(*given: Any, **named: Any) -> Any:
            self._fuse.burn(name)
            return call(*given, **named)

        return fused


def fused(ledger: Ledger, fuse: Fuse) -> Ledger:
    """Return a ledger whose writes burn a fuse first."""
    return replace(ledger, registry=Fused(ledger.registry, fuse), history=Fused(ledger.history, fuse))


def _nothing(*_: object, **__: object) -> Any:
    raise AssertionError("no check of this policy needs that")


NO_CONTEXT = CommandContext(**dict.fromkeys((each.name for each in fields(CommandContext)), _nothing))


def promote(ledger: Ledger, version: str, to: str, *, ready: Callable[[], object] = lambda: None) -> None:
    """Do what `slipway promote` does; `ready` is called between the verdict and the decision."""
    found = ledger.registry.version(parse_ref(version))
    opened = open_gate(ledger, NO_CONTEXT)
    gate = Gate(ledger=ledger, tools=opened.tools, read_rows=opened.read_rows, run_checks=run_here)
    why = say_why(f"promoter of {found.number}", authenticated=False, at=datetime.now(UTC), reason="test")
    decisions = LedgerDecisions(ledger=ledger, who=lambda _: why, may=anybody)
    grounds = grounds_for(found, to, settled(found.model, ledger), gate, why, decisions=decisions)
    ready()
    carry_out(found.model, deciding(found, to, why, grounds, ledger), ledger)


def rollback(ledger: Ledger) -> None:
    """Do what `slipway rollback` does."""
    why = say_why("somebody", authenticated=False, at=datetime.now(UTC), reason="test")
    carry_out(MODEL, going_back("production", why, ledger, from_version=2), ledger)


def prepare(place: Place, versions: int) -> None:
    """Register versions; the first is in production, the second in staging."""
    place.folder.joinpath("promotion.yaml").write_text(POLICY)
    place.enter()
    client = MlflowClient()
    client.create_registered_model(MODEL)
    for _ in range(versions):
        run = client.create_run("0")
        client.log_text(run.info.run_id, "flavors: {}", "model/MLmodel")
        client.set_terminated(run.info.run_id)
        client.create_model_version(MODEL, f"{run.info.artifact_uri}/model", run.info.run_id)
    ledger = place.ledger()
    for version, stage in ((1, "staging"), (1, "production"), (2, "staging")):
        promote(ledger, f"{MODEL}/{version}", stage)


def promote_second(place: Place) -> None:
    """Put the second version into production."""
    promote(place.ledger(), f"{MODEL}/2", "production")


@dataclass
class Copies:
    """Copies of a prepared registry: before a promotion, and after it, where a rollback can be decided."""

    folder: Path
    postgres: PostgresServer | None
    prepared: dict[str, Place] = field(default_factory=dict)

    def prepare(self) -> None:
        """Prepare a registry for each verb once, by processes that hold no connection afterwards."""
        before = self.empty("before")
        assert do(prepare, before, VERSIONS) == 0
        self.prepared["promote"] = before
        self.prepared["rollback"] = self.copy(before, "after")
        assert do(promote_second, self.prepared["rollback"]) == 0

    def of(self, verb: str, name: str) -> Place:
        """Return a copy of what is prepared for a verb."""
        return self.copy(self.prepared[verb], f"{verb}-{name}")

    def empty(self, name: str) -> Place:
        """Return a place without anything."""
        folder = self.folder / name
        folder.mkdir()
        uri = self.postgres.create_database() if self.postgres else f"sqlite:///{folder}/mlflow.db"
        return Place(folder=folder, uri=uri)

    def copy(self, of: Place, name: str) -> Place:
        """Return a copy of a place that no process is connected to."""
        folder = self.folder / name
        shutil.copytree(of.folder, folder)
        template = of.uri.rpartition("/")[2]
        uri = self.postgres.create_database(template) if self.postgres else f"sqlite:///{folder}/mlflow.db"
        return Place(folder=folder, uri=uri)


def stop_at(place: Place, verb: str, before: int, how: signal.Signals) -> None:
    """Decide, and have this process killed or paused before a write."""
    fuse = Fuse(before=before, act=lambda: os.kill(os.getpid(), how))
    _report(place, lambda: VERBS[verb](fused(place.ledger(), fuse)))


def sleep_on_verdict(place: Place) -> None:
    """Promote the second version to production, pausing between the verdict and the decision."""
    _report(place, lambda: promote(place.ledger(), f"{MODEL}/2", "production", ready=_pause))


def _pause() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def promote_when(place: Place, number: int, at_once: Any) -> None:
    """Promote one of many versions to staging, everybody deciding at the same moment."""
    _report(place, lambda: promote(place.ledger(), f"{MODEL}/{number}", "staging", ready=at_once.wait), number)


def promote_at_server_when(place: Place, model: str, number: int, at_once: Any) -> None:
    """Promote one of many versions to staging at a server, everybody deciding at the same moment."""

    def decide() -> None:
        place.enter()
        with _together(at_once):
            ledger, decisions = open_ledger(os.environ, place.folder), open_decisions()
            found = ledger.registry.version(parse_ref(f"{model}/{number}"))
            gate = replace(open_gate(ledger, NO_CONTEXT), run_checks=run_here)
            why = say_why("anybody", authenticated=False, at=datetime.now(UTC), reason="test")
            situation = decisions.situation(model, ledger)
            grounds = grounds_for(found, "staging", situation, gate, why, decisions=decisions)
        decisions.promote(found, "staging", "test", grounds=grounds, dry_run=False)

    _report(place, decide, number)


def roll_back_when(place: Place, number: int, at_once: Any) -> None:
    """Roll back without saying from where, everybody deciding at the same moment."""
    ledger = place.ledger()
    why = say_why(f"operator {number}", authenticated=False, at=datetime.now(UTC), reason="test")
    at_once.wait()
    _report(place, lambda: carry_out(MODEL, going_back("production", why, ledger), ledger), number)


@contextmanager
def _together(at_once: Any) -> Iterator[None]:
    """Go on with all others once everybody is ready; whoever fails before lets nobody wait for it."""
    try:
        yield
    except BaseException:
        at_once.abort()
        raise
    at_once.wait()


def all_at_once(decide: Callable[..., None], place: Place, *given: Any, numbers: Sequence[int]) -> dict[int, str]:
    """Decide in as many processes as there are numbers, and return what each said: nothing, or the error."""
    at_once = CONTEXT.Barrier(len(numbers), timeout=240)
    processes = [start(decide, place, *given, number, at_once) for number in numbers]
    for process in processes:
        process.join(300)
    ended = {number: process.exitcode for number, process in zip(numbers, processes, strict=True)}
    said = {number: file.read_text() for number in numbers if (file := place.folder / f"said-{number}").exists()}
    assert set(ended.values()) == {0}, (ended, said)
    return said


def _report(place: Place, decide: Callable[[], object], number: int = 0) -> None:
    """Write down how it ended: an empty file, or the error."""
    said = place.folder / f"said-{number}"
    try:
        decide()
        said.write_text("")
    except SlipwayError as error:
        said.write_text(f"{type(error).__name__}: {error.message}")


VERBS: dict[str, Callable[[Ledger], None]] = {
    "promote": lambda ledger: promote(ledger, f"{MODEL}/2", "production"),
    "rollback": rollback,
}


def start(target: Callable[..., None], *given: Any) -> ForkServerProcess:
    """Call a function in a process of its own."""
    warm_up()
    process = CONTEXT.Process(target=target, args=given)
    process.start()
    return process


def do(target: Callable[..., None], *given: Any) -> int | None:
    """Call a function in a process of its own, and return how that ended."""
    process = start(target, *given)
    process.join(300)
    if process.exitcode is None:
        process.kill()
    return process.exitcode


def require_agreement(place: Place) -> dict[str, int]:
    """Require that alias, MLflow stage, tags and ledger say the same, and return stage → version."""
    ledger = place.ledger()
    situation = look(MODEL, ledger)
    records = ledger.history.records(situation.model_uid)
    assert verify(situation.model_uid, records, ledger.history.anchors(situation.model_uid)) == ()
    assert ledger.history.applied(situation.model_uid) >= situation.moves[-1].seq
    said = {stage: there.version for stage, there in fold(records).stages.items()}
    client = MlflowClient()
    versions = client.search_model_versions(f"name='{MODEL}'")
    assert {alias: int(number) for alias, number in client.get_registered_model(MODEL).aliases.items()} == said
    for stage, label in LABELS.items():
        assert [int(v.version) for v in versions if v.current_stage == label] == [said[s] for s in said if s == stage]
    tags = [(v.tags["slipway.stage"], int(v.version)) for v in versions if v.tags.get("slipway.stage")]
    assert sorted(tags) == sorted(said.items())
    return said
