"""Where two troubles meet on a running engine: what a living worker answers, and that others are not touched."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from slipway.serving.preparation.prepared import Prepared
from tests.servers.engine_on_loop import EngineOnLoop, make_version
from tests.servers.processes import wait_for

pytestmark = pytest.mark.slow
WITHIN_S = 30
Starts = Callable[..., EngineOnLoop]


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, Prepared]:
    """Return versions that are prepared, by number: two of churn, two of iris."""
    folder = tmp_path_factory.mktemp("versions")
    return {number: make_version(number, folder) for number in (1, 2, 11, 12)}


@pytest.fixture
def start(versions: Mapping[int, Prepared], tmp_path: Path) -> Iterator[Starts]:
    """Return what starts an engine with churn/1 and iris/11 in production."""
    running: list[EngineOnLoop] = []

    def started(*, workers: int = 2) -> EngineOnLoop:
        engine = EngineOnLoop(tmp_path, versions, workers=workers)
        engine.registry.holds |= {"churn": 1, "iris": 11}
        running.append(engine.__enter__())
        settle(engine, workers)
        return engine

    yield started
    for engine in running:
        engine.__exit__()


def settle(engine: EngineOnLoop, workers: int = 2) -> None:
    """Wait until all workers serve what is in production."""
    wait_for(lambda: engine.served() == [engine.registry.holds] * workers, within_s=WITHIN_S)


def ask_all(engine: EngineOnLoop, model: str, times: int = 30) -> set[tuple[int, int | None]]:
    """Ask on many connections, which go to all workers; return statuses and the versions that answered."""
    found = [engine.score(model) for _ in range(times)]
    assert all(each.version == each.label for each in found if each.status == 200)
    return {(each.status, each.label) for each in found}


def test_a_restarting_worker_does_not_undo_a_rollback(start: Starts):
    """It was opening the version that was in production when it was started."""
    engine = start()
    engine.registry.holds["churn"] = 2
    settle(engine)
    engine.fault(v2="slow")
    engine.kill(0)
    wait_for(lambda: len(engine.pool._workers) == 2 and len(engine.workers()) == 1, within_s=WITHIN_S)
    time.sleep(0.3)
    engine.registry.holds["churn"] = 1
    settle(engine)
    time.sleep(1.5)
    assert ask_all(engine, "churn") == {(200, 1)}


def test_a_version_that_ends_its_worker_does_not_get_in_place(start: Starts):
    """What served goes on; one worker dies over it, and no other one until a child has opened it."""
    engine = start()
    died = [worker.pid for worker in engine.workers()]
    engine.fault(v2="dies")
    engine.registry.holds["churn"] = 2
    time.sleep(3)
    left = [worker.pid for worker in engine.workers()]
    assert len(set(died) & set(left)) == 1
    assert ask_all(engine, "iris") == {(200, 11)}
    assert ask_all(engine, "churn") == {(200, 1)}
    engine.fault(v2=None)
    settle(engine)


def test_a_worker_that_cannot_reopen_one_version_serves_the_others(start: Starts):
    """And that one again when its cause is gone."""
    engine = start(workers=1)
    engine.fault(v1="fails")
    engine.kill(0)
    wait_for(lambda: engine.served() == [{"iris": 11}], within_s=WITHIN_S)
    assert ask_all(engine, "iris") == {(200, 11)}
    assert ask_all(engine, "churn") == {(503, None)}
    assert engine.get("/models/churn/ready")[0] == 503
    assert engine.get("/ready")[0] == 200
    engine.fault(v1=None)
    settle(engine, 1)
    assert ask_all(engine, "churn") == {(200, 1)}


def test_a_new_worker_takes_no_request_before_it_has_its_versions(start: Starts):
    """While it opens a slow one, the others answer."""
    engine = start()
    engine.fault(v1="slow", v11="slow")
    before, statuses = {worker.pid for worker in engine.workers()}, set()
    engine.kill(0)
    until = time.monotonic() + WITHIN_S
    while {worker.pid for worker in engine.workers()} <= before and time.monotonic() < until:
        try:
            statuses.add(engine.score("churn").status)
        except OSError:  # the connection was in the hands of the worker that died
            continue
    settle(engine)
    assert statuses == {200}


def test_what_hangs_while_it_is_opened_keeps_no_other_from_moving(start: Starts):
    """Nor itself from going back."""
    engine = start()
    engine.fault(v2="hangs")
    engine.registry.holds["churn"] = 2
    time.sleep(1)
    engine.registry.holds["iris"] = 12
    wait_for(lambda: engine.served() == [{"churn": 1, "iris": 12}] * 2, within_s=10)
    engine.registry.holds["churn"] = 1
    settle(engine)
    assert ask_all(engine, "churn") == {(200, 1)}


def test_a_model_that_cannot_be_served_leaves_the_engine_ready(start: Starts):
    """It came into the stage after the engine was ready; when it is gone again, nobody knows it any more."""
    engine = start()
    engine.fault(v2="fails")
    engine.registry.holds["new"] = 2
    wait_for(lambda: engine.get("/models/new")[0] == 200, within_s=10)
    wait_for(lambda: b"cannot be served" in engine.get("/models/new")[1], within_s=10)
    assert {engine.get(path)[0] for path in ("/ready", "/ping", "/health")} == {200}
    assert engine.get("/models/new/ready")[0] == 503
    del engine.registry.holds["new"]
    wait_for(lambda: {engine.get("/models/new")[0] for _ in range(10)} == {404}, within_s=10)


def test_counters_do_not_fall_when_a_worker_dies(start: Starts):
    """What it had counted when it was last asked is kept."""
    engine = start()
    ask_all(engine, "churn", 40)
    time.sleep(0.5)
    before = engine.counted("slipway_requests_total")
    assert before == 40
    engine.kill(0)
    settle(engine)
    assert engine.counted("slipway_requests_total") == before
    ask_all(engine, "churn", 5)
    assert engine.counted("slipway_requests_total") == before + 5


def test_two_variants_of_a_stage_share_its_requests_by_the_chooser(start: Starts):
    """Each says which it is; a rule that fails leaves it to the stable one; both are there again after a death.

    What the engine says of itself names both, and no candidate that is gone.
    """

    def said() -> set[tuple[str, str, int | None]]:
        return {(beat.model, beat.variant, beat.version) for beat in engine.heartbeats.all()}

    engine = start()
    engine.candidates["churn"] = 2
    wait_for(lambda: {engine.score("churn").variant for _ in range(20)} == {"stable", "candidate"}, within_s=WITHIN_S)
    found = [engine.score("churn") for _ in range(60)]
    assert {(each.status, each.variant, each.version, each.label) for each in found} == {
        (200, "stable", 1, 1),
        (200, "candidate", 2, 2),
    }
    assert {engine.score("churn", f"wrong-{i}").variant for i in range(20)} == {"stable"}
    assert {engine.score("iris").variant for _ in range(20)} == {"stable"}
    assert engine.counted("slipway_choice_failures_total") == 20
    assert b'variant="candidate"' in engine.get("/metrics")[1]
    stable = {("churn", "stable", 1), ("iris", "stable", 11)}
    wait_for(lambda: said() == {*stable, ("churn", "candidate", 2)}, within_s=2)
    engine.kill(0)
    settle(engine)
    engine.kill(1)
    settle(engine)
    assert {engine.score("churn").variant for _ in range(40)} == {"stable", "candidate"}
    engine.candidates.clear()
    wait_for(lambda: {engine.score("churn").variant for _ in range(20)} == {"stable"}, within_s=10)
    wait_for(lambda: said() == stable, within_s=2)


def test_a_rollback_while_a_promotion_takes_effect_is_no_half_one(start: Starts):
    """Workers take a while to begin to serve; what is polled meanwhile is what counts."""
    engine = start()
    engine.registry.holds["churn"] = 2
    settle(engine)
    engine.registry.holds["churn"] = 1
    settle(engine)
    engine.fault(v2="lingers")
    for polled_within_s in (0.1, 0.15, 0.2, 0.25):
        engine.registry.holds["churn"] = 2
        time.sleep(polled_within_s)
        engine.registry.holds["churn"] = 1
        time.sleep(3)
        settle(engine)
    assert ask_all(engine, "churn") == {(200, 1)}
    assert b'"version": 2' not in engine.get("/models")[1]


def test_a_runner_that_was_changed_in_the_cache_is_not_opened(start: Starts, versions: Mapping[int, Prepared]):
    """Whoever may write there: what a new worker opens is what was prepared, and it says what it lacks."""
    engine = start()
    changed = max(Path(versions[1].runner).iterdir(), key=lambda path: path.stat().st_size)
    content = changed.read_bytes()
    changed.write_bytes(bytes(each ^ 1 for each in content))
    try:
        engine.kill(0)
        wait_for(lambda: len(engine.workers()) == 2 and len(engine.served()) == 2, within_s=WITHIN_S)
        assert sorted(engine.served(), key=len) == [{"iris": 11}, engine.registry.holds]
        assert {label for _, label in ask_all(engine, "churn")} <= {1, None}
        wait_for(lambda: b"is not as it was when it was prepared" in engine.get("/ready")[1], within_s=WITHIN_S)
    finally:
        changed.write_bytes(content)
    settle(engine)
