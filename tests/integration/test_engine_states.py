"""Troubles that meet: whatever dies, hangs, is slow or away, in the end every living worker serves what it should."""

import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from slipway.serving.preparation.prepared import Prepared
from tests.servers.engine_on_loop import EngineOnLoop, Scored, make_version
from tests.servers.processes import wait_for

MODELS = {"churn": (1, 2, 3), "iris@x": (11, 12, 13)}
ALL = [number for numbers in MODELS.values() for number in numbers]
NAMED = st.sampled_from(list(MODELS))
WAYS = st.sampled_from(["slow", "hangs", "fails", "dies"])
SECONDS = st.sampled_from([0.05, 0.7, 1.5, 3.0])
# A version that ends what opens it: one worker over a move, or two new ones over what serves.
DEATHS_OVER_ONE = 3
SETTLES_WITHIN_S = 45


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Prepared]:
    """Return versions that are prepared, by number."""
    folder = tmp_path_factory.mktemp("versions")
    return {number: make_version(number, folder) for number in ALL}


class Callers:
    """Somebody who asks all the time, and compares each answer with what it says of itself."""

    def __init__(self, engine: EngineOnLoop) -> None:
        self._engine = engine
        self._ends = threading.Event()
        self.answers: dict[str, list[Scored]] = {model: [] for model in MODELS}
        self.broken = 0
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        while not self._ends.wait(0.01):
            for model in MODELS:
                try:
                    self.answers[model].append(self._engine.score(model))
                except (OSError, ConnectionError, ValueError):
                    self.broken += 1  # the worker that was asked died

    def end(self) -> None:
        """Ask no more."""
        self._ends.set()
        self._thread.join(60)


class Troubled(RuleBasedStateMachine):
    """An engine with two workers, its registry, and all that may happen to them."""

    versions: Mapping[int, Prepared]

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.engine = EngineOnLoop(Path(self.folder.name), self.versions, workers=2)
        self.put: dict[str, set[int]] = {model: set() for model in MODELS}
        self.killed, self.may_end = 0, 0
        self.may_lack: set[str] = set()
        self.engine.__enter__()
        self.callers = Callers(self.engine)

    @initialize()
    def begin(self) -> None:
        """Have a version of one model serve."""
        self.move("churn", 0)
        wait_for(self._is_as_decided, within_s=SETTLES_WITHIN_S)

    @rule(model=NAMED, which=st.integers(0, 2))
    def move(self, model: str, which: int) -> None:
        """Put a version into production, forward or back."""
        number = MODELS[model][which]
        self.put[model].add(number)
        self.engine.registry.holds[model] = number

    @rule(model=NAMED, which=st.integers(0, 2), way=WAYS)
    def move_to_broken(self, model: str, which: int, way: str) -> None:
        """Put a version into production that does not open, or badly."""
        if not self.put[model]:
            self.may_lack.add(model)  # it never had another one
        self._break(MODELS[model][which], way)
        self.move(model, which)

    @rule(model=NAMED, way=WAYS, worker=st.integers(0, 1), seconds=SECONDS)
    def kill_over_broken(self, model: str, way: str, worker: int, seconds: float) -> None:
        """Kill a worker, and have its successor not open a version that serves, or badly."""
        self._break(self.engine.registry.holds.get(model, ALL[0]), way)
        if way != "slow":
            self.may_lack.add(model)
        self.engine.kill(worker)
        self.killed += 1
        time.sleep(seconds)

    @rule(model=NAMED, worker=st.integers(0, 1))
    def kill_over_passing_trouble(self, model: str, worker: int) -> None:
        """Kill a worker whose successor cannot open a version that serves; once it does without, the cause is gone."""
        before = {each.pid for each in self.engine.workers()}
        self.kill_over_broken(model, "fails", worker, 0.0)
        deadline = time.monotonic() + 5
        while {each.pid for each in self.engine.workers()} <= before and time.monotonic() < deadline:
            time.sleep(0.05)
        self.engine.heal()

    @rule(model=NAMED, which=st.integers(0, 2), worker=st.integers(0, 1), seconds=SECONDS)
    def kill_and_move(self, model: str, which: int, worker: int, seconds: float) -> None:
        """Move a version while a new worker opens the one that was there, which takes its time."""
        self.kill_over_broken(model, "slow", worker, seconds)
        self.move(model, which)

    @rule(model=NAMED, which=st.integers(0, 2), back=st.integers(0, 2), seconds=st.sampled_from([0.1, 0.15, 0.2]))
    def move_and_back(self, model: str, which: int, back: int, seconds: float) -> None:
        """Move a version that takes a while to begin to serve, and another one meanwhile."""
        self._break(MODELS[model][which], "lingers")
        self.move(model, which)
        time.sleep(seconds)
        self.move(model, back)

    def _break(self, number: int, way: str) -> None:
        self.may_end += DEATHS_OVER_ONE if way == "dies" else 0
        self.engine.fault(**{f"v{number}": way})

    @rule()
    def heal(self) -> None:
        """Have every version open."""
        self.engine.heal()

    @rule(away=st.booleans())
    def outage(self, away: bool) -> None:
        """Let the registry be away, or come back."""
        self.engine.registry.away = away

    @rule(full=st.booleans())
    def full_disk(self, full: bool) -> None:
        """Let nothing be noted in the cache, or again."""
        noted = self.engine.cache / "index" / "targets"
        if full and noted.is_dir():
            noted.rename(noted.with_name("noted"))
            noted.write_text("no folder")
        elif not full and noted.is_file():
            noted.unlink()
            noted.with_name("noted").rename(noted)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        """Let some time pass."""
        time.sleep(seconds)

    def _is_as_decided(self) -> bool:
        served = self.engine.served()
        return len(served) == 2 and all(each == self.engine.registry.holds for each in served)

    def teardown(self) -> None:
        """End all troubles, and see that every worker serves what was decided last, and never served anything else."""
        try:
            self.outage(False)
            self.full_disk(False)
            self.heal()
            for case, trouble in list(self.engine.supervisor._placing._troubles.items()):
                self.engine.supervisor._placing._troubles[case] = _due(trouble)
            for variant, followed in list(self.engine.supervisor._followed.items()):
                self.engine.supervisor._followed[variant] = _due(followed)
            try:
                wait_for(self._is_as_decided, within_s=SETTLES_WITHIN_S)
            except AssertionError:
                served, decided = self.engine.served(), self.engine.registry.holds
                raise AssertionError(f"workers serve {served}, decided was {decided}") from None
            self.callers.end()
            self._require_honest()
            ended = self.engine.n_started() - 2
            assert ended <= self.killed + self.may_end, f"{ended} workers ended; {self.killed} were killed"
        finally:
            self.callers.end()
            self.engine.__exit__()
            self.folder.cleanup()

    def _require_honest(self) -> None:
        """Every answer was of the version that it names, and that one had been decided."""
        for model, answers in self.callers.answers.items():
            assert {each.status for each in answers} <= {200, 404, 503}
            statuses = [each.status for each in answers]
            assert model in self.may_lack or 503 not in statuses[statuses.index(200) if 200 in statuses else 0 :]
            told = {(each.version, each.label) for each in answers if each.status == 200}
            assert told <= {(number, number) for number in self.put[model]}


def _due(waiting: Any) -> Any:
    """Return something that waits to be tried again as due now: its cause has gone."""
    return replace(waiting, retry_at=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("examples", "steps"), [(10, 10), pytest.param(150, 25, marks=pytest.mark.long)], ids=["short", "long"]
)
def test_after_any_troubles_every_worker_serves_what_was_decided(
    versions: Mapping[int, Prepared], examples: int, steps: int
):
    """Deaths, slow and broken openings, moves forward and back, outages and a full disk, in every order."""
    machine = type("Machine", (Troubled,), {"versions": versions})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 100,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate] if examples < 100 else list(Phase),
            database=None,
        ),
    )
