"""An engine says what it serves, and serving does not depend on whether anybody lets it."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slipway.registry.errors import NotApproved, Unavailable
from slipway.registry.versions.aliases import AliasHolder
from slipway.registry.versions.occupants import StageView
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.following import Followed
from slipway.serving.supervision.supervisor import Supervisor
from slipway.serving.target import Sighting, Target, Variant
from tests.doubles.fake_workers import FakePool, FakeWorker
from tests.doubles.fakes import FakeHeartbeats


class Refusing(FakeHeartbeats):
    """A place that takes no word, and counts who tried."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error, self.tried = error, 0

    def beat(self, beats: object) -> None:
        self.tried += 1
        raise self.error


def supervisor_of(
    targets: tuple[Target, ...], cache: Path, *, stage_views: Any, heartbeats: Any = None, **more: Any
) -> Supervisor:
    """Return a supervisor of an engine at a server, with its cache in a folder."""
    return Supervisor(
        targets,
        ServingSettings(cache=cache, **more),
        engine="e",
        address="http://e",
        registry="a digest",
        stage_views=stage_views,
        heartbeats=heartbeats,
        decided_at_server=True,
    )


def employ(supervisor: Supervisor) -> FakeWorker:
    """Give a supervisor one worker."""
    worker = FakeWorker()
    supervisor.employ(FakePool(worker))  # type: ignore[arg-type]
    return worker


async def poll(supervisor: Supervisor) -> None:
    """Poll once, and wait for all that follows."""
    await supervisor._placing.expect(supervisor._targets())
    await supervisor.poll(within_s=10)


ROLE = {"code": "not-your-role", "hint": "have the policy list you"}
SAID = "not your role (have the policy list you)"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NotApproved("not your role", **ROLE), SAID),
        (Unavailable("not your role", **ROLE), SAID),
        (RecursionError("odd"), "RecursionError: odd"),
    ],
)
def test_an_engine_that_may_not_speak_goes_on_and_says_why_once(
    error: Exception, told: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """It tries again, since a role may be given to it."""
    refusing = Refusing(error)
    supervisor = supervisor_of(
        (Target("m", "production"),), tmp_path, stage_views=None, heartbeats=refusing, beat_s=0.01
    )

    async def beat_for_a_while() -> None:
        beating = asyncio.create_task(supervisor._beating.run())
        async with asyncio.timeout(10):
            while refusing.tried < 3:
                assert not beating.done()
                await asyncio.sleep(0.01)
        beating.cancel()

    with caplog.at_level(logging.WARNING):
        asyncio.run(beat_for_a_while())
    (said,) = [record.getMessage() for record in caplog.records if "heartbeats" in record.getMessage()]
    assert said.endswith(told)


class Looked:
    """StageViews of two models, one of which has its own trouble."""

    has_history = True

    def look(self, wanted: object) -> dict:
        held = AliasHolder(number=2, identity="default/2")
        there = StageView(holder=held, occupant=held, number=2, is_recorded=True)
        return {("denied", "production"): StageView(holder=None, trouble="403"), ("m", "production"): there}


def test_one_models_trouble_stops_no_other_and_leaves_its_own_in_place(tmp_path: Path):
    """The other one moves on; the one that is refused keeps what it has, and says so."""
    targets = (Target("denied", "production"), Target("m", "production"))
    supervisor = supervisor_of(targets, tmp_path, stage_views=Looked())
    employ(supervisor)
    moved = []

    async def move(variant: Variant, seen: Sighting, *, is_recorded: bool) -> None:
        moved.append((variant.target.model, seen.number))

    supervisor._move = move
    before = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor._followed[Variant(targets[0])] = Followed(variant=Variant(targets[0]), in_place=before)
    asyncio.run(poll(supervisor))
    assert moved == [("m", 2)]
    described = {each["name"]: each for each in map(supervisor._described, supervisor._targets())}
    assert described["denied"]["version"] == 1
    assert described["denied"]["problem"] == "denied cannot be read: 403; keeping 1"
    assert described["m"]["problem"] is None


class Odd:
    """StageViews that answer with something that nobody foresaw."""

    has_history = True

    def look(self, wanted: object) -> dict:
        raise RecursionError("a thousand\nbrackets")


def test_whatever_comes_back_from_the_registry_leaves_all_in_place(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """An engine that ends because of what a registry answers is no engine."""
    target = Target("m", "production")
    supervisor = supervisor_of((target,), tmp_path, stage_views=Odd())
    employ(supervisor)
    before = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor._followed[Variant(target)] = Followed(variant=Variant(target), in_place=before)
    with caplog.at_level(logging.WARNING):
        asyncio.run(poll(supervisor))
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.endswith("what is serving goes on: RecursionError: a thousand brackets")
    assert supervisor._described(target)["version"] == 1


class NoLocks:
    """A cache on a disk that takes no change."""

    @contextmanager
    def hold(self, folder: Path) -> Iterator[Path]:
        raise OSError(28, "No space left on device")
        yield folder


def test_a_disk_that_is_full_keeps_no_version_from_serving(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """What is prepared is served, and that nobody could note it is said; the engine goes on."""
    target = Target("m", "production")
    supervisor = supervisor_of((target,), tmp_path, stage_views=Looked())
    worker, supervisor._files = employ(supervisor), NoLocks()
    (tmp_path / "index").write_text("no folder")
    then = Prepared(identity="default/2", number=2, digest="d", folder="f", runner="r", runner_digest="d")

    async def prepared(variant: Variant, seen: Sighting) -> Prepared:
        return then

    supervisor._preparations.prepared = prepared
    with caplog.at_level(logging.ERROR):
        asyncio.run(poll(supervisor))
    described = supervisor._described(target)
    assert (described["version"], described["problem"]) == (2, None)
    said = [record.getMessage() for record in caplog.records]
    assert [text for text in said if "f cannot be held in the cache" in text]
    assert [text for text in said if "what serves m@production cannot be noted" in text]
    assert "put" in [word for word, _ in worker.told]


def test_one_targets_fault_ends_no_engine(tmp_path: Path):
    """Whatever it is; the next one is followed."""
    targets = (Target("broken", "production"), Target("m", "production"))
    supervisor = supervisor_of(targets, tmp_path, stage_views=Looked())
    employ(supervisor)
    followed = []

    async def follow(variant: Variant, seen: object) -> None:
        followed.append(variant.target.model)
        if variant.target.model == "broken":
            raise ZeroDivisionError("oh")

    supervisor._follow = follow
    asyncio.run(poll(supervisor))
    assert followed[:2] == ["broken", "m"]
    assert "ZeroDivisionError: oh" in supervisor._described(targets[0])["problem"]


@pytest.mark.parametrize(("settings", "starts"), [({}, False), ({"require_history": False}, True)])
def test_what_no_decision_chose_is_not_started_from_memory(tmp_path: Path, settings: dict[str, bool], starts: bool):
    """A server that is away may guard its stages; where it is allowed, it is marked."""
    target = Target("m", "production")
    supervisor = supervisor_of((target,), tmp_path, stage_views=Odd(), **settings)
    worker, supervisor._files = employ(supervisor), NoLocks()
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor._index.remember(target, then.sighting, is_recorded=False)
    supervisor._index.find = lambda sighting: then if sighting == then.sighting else None
    asyncio.run(poll(supervisor))
    put = [fields["is_recorded"] for word, fields in worker.told if word == "put"]
    assert put == ([False] if starts else [])
    assert supervisor._described(target)["version"] == (1 if starts else None)


class Refused:
    """StageViews of a model that this engine's user may not read any more, or of whom nothing is known."""

    has_history = True

    def __init__(self, code: str) -> None:
        self.code = code

    def look(self, wanted: object) -> dict:
        raise NotApproved("403", code=self.code, hint=None)


@pytest.mark.parametrize(("code", "starts"), [("mlflow-permission-denied", False), ("not-authenticated", True)])
def test_who_may_not_read_a_model_starts_none_from_memory(tmp_path: Path, code: str, starts: bool):
    """A password that has ended is an outage; a permission that was taken away is none."""
    target = Target("m", "production")
    supervisor = supervisor_of((target,), tmp_path, stage_views=Refused(code))
    employ(supervisor)
    supervisor._files = NoLocks()
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor._index.remember(target, then.sighting)
    supervisor._index.find = lambda sighting: then
    asyncio.run(poll(supervisor))
    described = supervisor._described(target)
    assert described["version"] == (1 if starts else None)
    assert "the registry cannot be read: 403" in described["problem"]


class Blinking:
    """A registry that shows what a test says, or cannot be read."""

    has_history = True

    def __init__(self) -> None:
        self.shows: StageView | Exception = EMPTY

    def look(self, wanted: set) -> dict:
        if isinstance(self.shows, Exception):
            raise self.shows
        return dict.fromkeys(wanted, self.shows)


EMPTY = StageView(holder=None, is_recorded=True)
DENIED = StageView(holder=None, trouble="403", is_denied=True)
ALL_DENIED = NotApproved("403", code="mlflow-permission-denied", hint=None)


@pytest.mark.parametrize("shown", [EMPTY, DENIED, ALL_DENIED])
def test_an_engine_that_has_read_the_registry_starts_nothing_from_memory_any_more(shown: Any, tmp_path: Path):
    """What it read is newer: the stage is empty, or it may not know; then the registry is away for a moment."""
    target, registry = Target("m", "production"), Blinking()
    registry.shows = shown
    supervisor = supervisor_of((target,), tmp_path, stage_views=registry)
    worker = employ(supervisor)
    supervisor._files = NoLocks()
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor._index.remember(target, then.sighting)
    supervisor._index.find = lambda sighting: then
    asyncio.run(poll(supervisor))
    registry.shows = ConnectionError("away")
    for _ in range(2):
        asyncio.run(poll(supervisor))
    assert worker.serves == {}
    assert supervisor._described(target)["version"] is None


def test_what_the_history_took_out_is_forgotten(tmp_path: Path):
    """The next engine, which may start while the registry is away, does not begin with it either."""
    target = Target("m", "production")
    supervisor = supervisor_of((target,), tmp_path, stage_views=Blinking())
    employ(supervisor)
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor._index.remember(target, then.sighting)
    asyncio.run(poll(supervisor))
    assert supervisor._index.remembered(target) is None


def test_a_server_that_had_a_history_and_answers_as_if_it_had_none_is_away(tmp_path: Path):
    """A proxy that says 404 for a moment would make a guarded server a plain one, also for an engine that starts."""
    target, registry = Target("m", "production"), Blinking()
    supervisor = supervisor_of((target,), tmp_path, stage_views=registry)
    employ(supervisor)
    asyncio.run(poll(supervisor))
    registry.has_history = False
    holder = AliasHolder(number=2, identity="default/2")
    registry.shows = StageView(holder=holder)
    for each in (supervisor, supervisor_of((target,), tmp_path, stage_views=registry)):
        worker = employ(each)
        asyncio.run(poll(each))
        assert "answers as if it had none" in str(each._polled.outage)
        assert worker.serves == {}


def test_what_is_undecided_goes_when_decisions_are_asked_for(tmp_path: Path):
    """It serves only while nobody knew that they are; what a decision put there stays."""
    for is_recorded, left in ((False, {}), (True, {"m": 2})):
        target, registry = Target("m", "production"), Blinking()
        holder = AliasHolder(number=2, identity="default/2")
        registry.shows = StageView(holder=holder, occupant=holder, number=2, is_recorded=is_recorded)
        supervisor = supervisor_of((target,), tmp_path / str(is_recorded), stage_views=registry)
        worker, supervisor._files = employ(supervisor), NoLocks()
        then = Prepared(identity="default/2", number=2, digest="d", folder="f", runner="r", runner_digest="d")
        supervisor._index.find = lambda sighting, then=then: then
        registry.has_history = False
        asyncio.run(poll(supervisor))
        assert worker.serves == {"m": 2}
        registry.has_history = True
        registry.shows = StageView(holder=holder)
        asyncio.run(poll(supervisor))
        assert worker.serves == left


def test_an_outage_brings_back_no_model_that_is_in_the_stage_no_more(tmp_path: Path):
    """An engine for a whole stage remembers all that ever served from its cache; it has read the registry since."""
    registry = Blinking()
    registry.models_with = lambda alias: ()
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor = supervisor_of((), tmp_path, stage_views=registry)
    supervisor._index.remember(Target("gone", "production"), then.sighting)
    worker = employ(supervisor)
    supervisor._index.find = lambda sighting: then
    asyncio.run(poll(supervisor))
    registry.shows = ConnectionError("away")
    registry.models_with = lambda alias: registry.look({1})
    asyncio.run(poll(supervisor))
    assert worker.serves == {}
    assert supervisor._index.targets("production") == ()


class Meddling(FakeWorker):
    """A worker that takes a while over each word, and while it is asked for the nth time, something happens."""

    def __init__(self) -> None:
        super().__init__()
        self.n_asked, self.at, self.meddle = 0, -1, lambda: None

    async def ask(self, word: str, fields: dict[str, Any], *, within_s: float) -> Any:
        self.n_asked += 1
        if self.n_asked == self.at:
            self.meddle()
        for _ in range(20):
            await asyncio.sleep(0)
        return await super().ask(word, fields, within_s=within_s)


def shown(number: int | None, *, is_recorded: bool = True) -> StageView:
    """Return a stage with a version in it; one that no decision put there has an alias alone."""
    held = AliasHolder(number=number, identity=f"default/{number}") if number is not None else None
    if not is_recorded:
        return StageView(holder=held)
    return StageView(holder=held, occupant=held, number=number, is_recorded=True)


AWAY = ConnectionError("away")
TURNS = {
    "a promotion that is taken back": (shown(1), shown(2), shown(1)),
    "a promotion, and another": (shown(1), shown(2), shown(3)),
    "one that no decision chose is taken out, and promoted": (
        shown(2, is_recorded=False),
        shown(3, is_recorded=False),
        shown(3),
    ),
    "a start from memory, and a decision": (None, AWAY, shown(2)),
    "a start from memory, and a stage that is empty": (None, AWAY, shown(None)),
}


@pytest.mark.parametrize("at", range(1, 13))
@pytest.mark.parametrize("case", TURNS)
def test_a_turn_may_be_broken_off_at_any_moment(case: str, at: int, tmp_path: Path):
    """Then what it had begun is done or undone: what is said to serve does, and it is what the registry shows."""
    before, first, then = TURNS[case]
    target, registry, worker = Target("m", "production"), Blinking(), Meddling()
    supervisor = supervisor_of((target,), tmp_path, stage_views=registry, require_history=None)
    supervisor.employ(FakePool(worker))  # type: ignore[arg-type]
    supervisor._files = NoLocks()
    made = {
        number: Prepared(
            identity=f"default/{number}", number=number, digest=f"d{number}", folder="f", runner="r", runner_digest="d"
        )
        for number in (1, 2, 3)
    }
    supervisor._index.find = lambda sighting: made[sighting.number]
    supervisor._index.remember(target, made[1].sighting)
    polls: set[asyncio.Task[None]] = set()

    def meddle() -> None:
        registry.shows = then
        polls.add(asyncio.create_task(supervisor.poll(within_s=10)))

    async def run() -> None:
        await supervisor._placing.expect([target])
        if before is not None:
            registry.shows = before
            registry.has_history = before.is_recorded
            await supervisor.poll(within_s=10)
        registry.has_history = True
        registry.shows = first
        worker.at, worker.n_asked, worker.meddle = at, 0, meddle
        await supervisor.poll(within_s=10)
        registry.shows = then
        await asyncio.gather(*polls)
        for _ in range(3):
            await supervisor.poll(within_s=10)
            await supervisor._placing.settled()

    asyncio.run(run())
    in_place = supervisor._described(target)["version"]
    assert worker.serves == ({} if in_place is None else {"m": in_place})
    if then.number is not None:
        assert in_place == then.number
    assert supervisor._index.remembered(target) == (made[in_place].sighting if in_place else None)


def test_what_the_history_took_out_does_not_come_back_from_memory(tmp_path: Path):
    """An engine keeps what it has; the next one, which may start while the registry is away, does not begin with it."""
    target, registry = Target("m", "production"), Blinking()
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")

    def engine() -> tuple[Supervisor, FakeWorker]:
        supervisor = supervisor_of((target,), tmp_path, stage_views=registry)
        supervisor._index.find, supervisor._files = lambda sighting: then, NoLocks()
        return supervisor, employ(supervisor)

    first, worker = engine()
    registry.shows = shown(1)
    asyncio.run(poll(first))
    registry.shows = shown(None)
    asyncio.run(poll(first))
    assert worker.serves == {"m": 1}
    registry.shows = AWAY
    second, worker = engine()
    asyncio.run(poll(second))
    assert worker.serves == {}


@pytest.mark.parametrize("then_shown", [EMPTY, DENIED, ALL_DENIED], ids=["empty", "denied", "all denied"])
def test_what_memory_alone_had_goes_when_the_registry_is_back_and_shows_none_of_it(then_shown: Any, tmp_path: Path):
    """It was taken out while no engine ran, or this one may not read it: whether that or an outage came first."""
    target, registry = Target("m", "production"), Blinking()
    then = Prepared(identity="default/1", number=1, digest="d", folder="f", runner="r", runner_digest="d")
    supervisor = supervisor_of((target,), tmp_path, stage_views=registry)
    supervisor._index.find, supervisor._files = lambda sighting: then, NoLocks()
    supervisor._index.remember(target, then.sighting)
    worker = employ(supervisor)
    registry.shows = AWAY
    asyncio.run(poll(supervisor))
    assert worker.serves == {"m": 1}
    registry.shows = then_shown
    asyncio.run(poll(supervisor))
    assert worker.serves == {}
    assert supervisor._index.remembered(target) is None
