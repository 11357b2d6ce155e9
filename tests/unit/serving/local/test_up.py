"""`slipway up` starts what is in production, follows the alias, and leaves nothing running."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from slipway.registry.errors import Conflict, Unavailable
from slipway.registry.version import Version
from slipway.serving.local.up import Plan, Scored, scoring_service, scoring_url, tracking_service, up

TRACKING = tracking_service(host="127.0.0.1", port=5000, database_uri="sqlite:///m.db", artifact_root=Path("/a"))
PLAN = Plan(host="127.0.0.1", scoring_port=5001, tracking=TRACKING)


def version(model: str, number: int) -> Version:
    """Return a version in production."""
    return Version(
        model=model,
        number=number,
        run_id=None,
        source="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        mlflow_stage=None,
        aliases=frozenset({"production"}),
        tags={},
    )


class FakeRunning:
    """A process that lives until stopped, or until told otherwise."""

    def __init__(self) -> None:
        self.alive = True
        self.stopped = False

    def is_alive(self) -> bool:
        return self.alive and not self.stopped

    def last_lines(self) -> str:
        return "last words"

    def stop(self) -> None:
        self.stopped = True


class FakeLauncher:
    """Starts nothing, answers everything, and asks to stop after some looks."""

    def __init__(self, *, looks: int = 1, taken: int | None = None, dead: str | None = None) -> None:
        self.looks = looks
        self.taken = taken
        self.dead = dead
        self.started: list[tuple[str, str, FakeRunning]] = []

    def require_free(self, host: str, port: int) -> None:
        if port == self.taken:
            raise Conflict(f"port {port} is taken", code="port-taken", hint=None)

    def start(self, service):
        running = FakeRunning()
        running.alive = service.name != self.dead
        self.started.append((service.name, " ".join(service.arguments), running))
        return running

    def answers(self, url: str) -> bool:
        return self.dead is None or not url.endswith("/ping")

    def stop_asked(self, *, within_s: float) -> bool:
        self.looks -= 1
        return self.looks < 0


def run(launcher: FakeLauncher, *looks: Sequence[Version]) -> tuple[list[Sequence[Scored]], list[str]]:
    """Run `up` over what production holds at each look; return what was ready and what was said."""
    remaining = list(looks)
    ready: list[Sequence[Scored]] = []
    said: list[str] = []

    def in_production() -> Sequence[Version]:
        return remaining.pop(0) if len(remaining) > 1 else remaining[0]

    up(PLAN, in_production=in_production, launcher=launcher, ready=ready.append, say=said.append)
    return ready, said


def test_the_server_keeps_artifacts_where_runs_without_it_do():
    """Otherwise its experiments could not be used without it."""
    words = " ".join(TRACKING.arguments)
    assert "--backend-store-uri sqlite:///m.db --default-artifact-root /a" in words


def test_a_scoring_server_serves_one_version_by_number():
    """What was announced is what answers, wherever the alias goes meanwhile."""
    assert "-m models:/iris/3 --env-manager local" in " ".join(
        scoring_service(PLAN, version("iris", 3), 5001).arguments
    )


def test_everything_is_started_and_everything_is_stopped():
    """The tracking server and one scoring server per model, on ports in order."""
    launcher = FakeLauncher()
    ready, _ = run(launcher, [version("a", 1), version("b", 2)])
    assert [name for name, _, _ in launcher.started] == ["tracking", "scoring-a", "scoring-b"]
    assert [each.service.port for each in ready[0]] == [5001, 5002]
    assert all(running.stopped for _, _, running in launcher.started)


def test_a_moved_alias_restarts_its_scoring_server_on_the_same_port():
    """And stops the old one."""
    launcher = FakeLauncher(looks=3)
    _, said = run(launcher, [version("a", 1)], [version("a", 1)], [version("a", 2)])
    assert [words for name, words, _ in launcher.started if name == "scoring-a"][1].endswith("--port 5001")
    assert "a/2 is in production now: its scoring server starts, with a gap of some seconds" in said
    assert all(running.stopped for _, _, running in launcher.started)


def test_models_come_and_go():
    """A new model gets the next port, one that left is stopped."""
    launcher = FakeLauncher(looks=3)
    _, said = run(launcher, [version("a", 1)], [version("a", 1), version("b", 1)], [version("b", 1)])
    assert "b/1: http://127.0.0.1:5002/invocations" in said
    assert "a is in production no more: its scoring server stops" in said


def test_a_taken_port_is_found_before_anything_is_started():
    """Nothing is half done."""
    launcher = FakeLauncher(taken=5001)
    with pytest.raises(Conflict):
        run(launcher, [version("a", 1)])
    assert launcher.started == []


def test_a_process_that_dies_at_the_start_takes_all_with_it():
    """Its last words are in the message."""
    launcher = FakeLauncher(dead="scoring-a", looks=9)
    with pytest.raises(Unavailable, match="scoring-a ended by itself: last words"):
        run(launcher, [version("a", 1)])
    assert all(running.stopped for _, _, running in launcher.started)


def test_a_process_that_never_answers_is_waited_for_two_minutes():
    """And its last words are in the message."""

    class Silent(FakeLauncher):
        def answers(self, url: str) -> bool:
            return False

    launcher = Silent(looks=10_000)
    with pytest.raises(Unavailable, match=r"tracking does not answer at http\S+ after 120 s: last words"):
        run(launcher, [version("a", 1)])
    assert launcher.looks == 10_000 - 480
    assert all(running.stopped for _, _, running in launcher.started)


def test_a_process_that_dies_later_takes_all_with_it():
    """Half of it running would look like all of it."""

    class Dying(FakeLauncher):
        def stop_asked(self, *, within_s: float) -> bool:
            self.started[-1][2].alive = False
            return False

    launcher = Dying()
    with pytest.raises(Unavailable, match="scoring-a ended by itself"):
        run(launcher, [version("a", 1)])
    assert all(running.stopped for _, _, running in launcher.started)


def test_addresses_of_ipv6_are_written_in_brackets():
    """To be asked and to be shown; MLflow's own argument has none."""
    tracking = tracking_service(host="[::1]", port=5000, database_uri="sqlite:///m.db", artifact_root=Path("/a"))
    plan = Plan(host="::1", scoring_port=5001, tracking=tracking)
    scoring = scoring_service(plan, version("m", 1), 5001)
    assert (*tracking.ready_urls, *scoring.ready_urls) == ("http://[::1]:5000/health", "http://[::1]:5001/ping")
    assert scoring_url(plan, 5001) == "http://[::1]:5001/invocations"
    assert [each.arguments[each.arguments.index("--host") + 1] for each in (tracking, scoring)] == ["::1", "::1"]
