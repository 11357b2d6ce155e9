"""`slipway up` starts a tracking server and an engine, says what serves, and leaves nothing running."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.registry.errors import Conflict, Unavailable
from slipway.serving.local.up import Plan, ServedModel, Service, engine_service, tracking_service, up

TRACKING = tracking_service(host="127.0.0.1", port=5000, database_uri="sqlite:///m.db", artifact_root=Path("/a"))
PLAN = Plan(host="127.0.0.1", tracking=TRACKING, engine=engine_service(host="127.0.0.1", port=5001))


def model(name: str, version: int | None, *, preparing: int | None = None, problem: str | None = None) -> dict:
    """Return what an engine says of a model."""
    return {"name": name, "stage": "production", "version": version, "preparing": preparing, "problem": problem}


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
    """Starts nothing, answers all, and asks to stop after some looks; its engine says one thing after another."""

    def __init__(self, *said: Sequence[dict] | None, looks: int = 1, taken: int | None = None, dead: str | None = None):
        self.said = list(said) or [[]]
        self.looks = looks
        self.taken = taken
        self.dead = dead
        self.started: list[tuple[Service, FakeRunning]] = []

    def require_free(self, host: str, port: int) -> None:
        if port == self.taken:
            raise Conflict(f"port {port} is taken", code="port-taken", hint=None)

    def start(self, service: Service) -> FakeRunning:
        running = FakeRunning()
        running.alive = service.name != self.dead
        self.started.append((service, running))
        return running

    def answers(self, url: str) -> bool:
        return self.dead is None or not url.endswith("/live")

    def models(self, engine: Service) -> Sequence[Mapping[str, Any]] | None:
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]

    refreshed = models

    def stop_asked(self, *, within_s: float) -> bool:
        self.looks -= 1
        return self.looks < 0


def run(launcher: FakeLauncher, plan: Plan = PLAN) -> tuple[list[Sequence[ServedModel]], list[str]]:
    """Run `up`; return what was ready and what was said."""
    ready: list[Sequence[ServedModel]] = []
    said: list[str] = []
    up(plan, launcher=launcher, ready=ready.append, say=said.append)
    return ready, said


def test_the_server_keeps_artifacts_where_runs_without_it_do():
    """Otherwise its experiments could not be used without it."""
    words = " ".join(TRACKING.arguments)
    assert "--backend-store-uri sqlite:///m.db --default-artifact-root /a" in words


def test_everything_is_started_and_everything_is_stopped():
    """The tracking server and one engine for whatever is in production."""
    launcher = FakeLauncher([model("a", 1), model("b c", 2)])
    (served,), _ = run(launcher)
    assert [(service.module, service.name) for service, _ in launcher.started] == [
        ("mlflow", "tracking"),
        ("slipway", "engine"),
    ]
    assert [each.url for each in served] == [
        "http://127.0.0.1:5001/models/a/invocations",
        "http://127.0.0.1:5001/models/b%20c/invocations",
    ]
    assert all(running.stopped for _, running in launcher.started)


def test_addresses_of_ipv6_are_written_in_brackets():
    """To be asked and to be shown; MLflow's own argument has none."""
    tracking = tracking_service(host="[::1]", port=5000, database_uri="sqlite:///m.db", artifact_root=Path("/a"))
    engine = engine_service(host="::1", port=5001)
    assert (*tracking.ready_urls, *engine.ready_urls) == ("http://[::1]:5000/health", "http://[::1]:5001/live")
    assert tracking.arguments[tracking.arguments.index("--host") + 1] == "::1"
    (served,), _ = run(FakeLauncher([model("a", 1)]), Plan(host="::1", tracking=tracking, engine=engine))
    assert served[0].url == "http://[::1]:5001/models/a/invocations"


def test_without_scoring_there_is_the_tracking_server_alone():
    """As a team's is run."""
    launcher = FakeLauncher()
    assert run(launcher, replace(PLAN, engine=None)) == ([()], [])
    assert [service.name for service, _ in launcher.started] == ["tracking"]


def test_it_is_ready_when_every_model_serves_or_cannot():
    """What is being prepared is waited for, also while the engine does not say anything yet."""
    launcher = FakeLauncher(
        None,
        [model("a", None, preparing=1)],
        [model("a", 1), model("b", None, preparing=1)],
        [model("a", 1), model("b", None, problem="b/1 cannot be served")],
        looks=9,
    )
    (served,), _ = run(launcher)
    assert [(each.model, each.version, each.problem) for each in served] == [
        ("a", 1, None),
        ("b", None, "b/1 cannot be served"),
    ]


def test_what_changes_is_said_once():
    """A version that serves now, what is wrong, and what is served no more."""
    launcher = FakeLauncher(
        [model("a", 1)],
        [model("a", 1, preparing=2)],
        [model("a", 2)],
        None,
        [model("a", 2, problem="odd"), model("b", 1)],
        [model("b", 1)],
        looks=6,
    )
    _, said = run(launcher)
    assert said == [
        "a/2  http://127.0.0.1:5001/models/a/invocations",
        "a/2  http://127.0.0.1:5001/models/a/invocations\nwarning: odd",
        "b/1  http://127.0.0.1:5001/models/b/invocations",
        "a is served no more",
    ]


def test_a_taken_port_is_found_before_anything_is_started():
    """Nothing is half done."""
    launcher = FakeLauncher(taken=5001)
    with pytest.raises(Conflict):
        run(launcher)
    assert launcher.started == []


def test_the_engine_is_asked_for_grpc_where_there_is_a_port():
    """Which is to be free as the others are."""
    engine = engine_service(host="127.0.0.1", port=5001, grpc_port=9000)
    assert engine.arguments[engine.arguments.index("--grpc-port") + 1] == "9000"
    launcher = FakeLauncher(taken=9000)
    with pytest.raises(Conflict):
        run(launcher, replace(PLAN, engine=engine))
    assert launcher.started == []
    assert "--grpc-port" not in engine_service(host="127.0.0.1", port=5001).arguments


def test_a_process_that_dies_at_the_start_takes_all_with_it():
    """Its last words are in the message."""
    launcher = FakeLauncher(dead="engine", looks=9)
    with pytest.raises(Unavailable, match="engine ended by itself: last words"):
        run(launcher)
    assert all(running.stopped for _, running in launcher.started)


def test_a_process_that_never_answers_is_waited_for_two_minutes():
    """And its last words are in the message."""

    class Silent(FakeLauncher):
        def answers(self, url: str) -> bool:
            return False

    launcher = Silent(looks=10_000)
    with pytest.raises(Unavailable, match=r"tracking does not answer at http\S+ after 120 s: last words"):
        run(launcher)
    assert launcher.looks == 10_000 - 480
    assert all(running.stopped for _, running in launcher.started)


def test_a_process_that_dies_later_takes_all_with_it():
    """Half of it running would look like all of it."""

    class Dying(FakeLauncher):
        def stop_asked(self, *, within_s: float) -> bool:
            self.started[-1][1].alive = False
            return False

    launcher = Dying()
    with pytest.raises(Unavailable, match="engine ended by itself"):
        run(launcher)
    assert all(running.stopped for _, running in launcher.started)
