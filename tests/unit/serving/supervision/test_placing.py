"""Whatever happens to workers meanwhile, in the end each serves what should serve."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from slipway.registry.errors import NotApproved, Unavailable
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.supervision.placing import Note, Placing
from slipway.serving.target import Target, Variant
from tests.doubles.fake_workers import FakePool, FakeWorker

CHURN, IRIS = Target("churn", "production"), Target("iris", "production")
STABLE, OTHER = Variant(CHURN), Variant(IRIS)


def version(number: int) -> Prepared:
    """Return a version that is prepared."""
    return Prepared(
        identity=f"d/{number}", number=number, digest=f"d{number}", folder="f", runner="r", runner_digest=""
    )


def placing_of(*workers: FakeWorker, prove: Callable[..., Any] | None = None, **options: Any) -> Placing:
    """Return what places versions in these workers."""

    async def proved(variant: Variant, prepared: Prepared) -> Prepared:
        if prove is not None:
            prove(prepared.number)
        return replace(prepared, runner="made anew")

    placing = Placing(proved, **options)
    placing.pool = FakePool(*workers)  # type: ignore[assignment]
    return placing


def run(scenario: Coroutine[Any, Any, Any]) -> Any:
    """Run a scenario, for seconds at most."""

    async def bounded() -> Any:
        async with asyncio.timeout(10):
            return await scenario

    return asyncio.run(bounded())


async def have(placing: Placing, variant: Variant, number: int) -> None:
    """Put a version in place that a decision chose."""
    await placing.move(variant, version(number), is_recorded=True, placed=lambda prepared: None)


async def settle(placing: Placing) -> None:
    """Poll once, and wait for what is mended."""
    await placing.reconcile()
    await placing.settled()


def dies(*numbers: int) -> Callable[[FakeWorker, int], None]:
    """Return what lets a worker die when one of these versions is opened."""
    return lambda worker, number: worker.die() if number in numbers else None


def test_a_version_is_opened_in_one_worker_before_any_other_and_served_when_all_have_it():
    """One that cannot be opened troubles one worker only."""
    order: list[str] = []
    workers = [FakeWorker(lambda worker, number: order.append("open")) for _ in range(3)]
    placing = placing_of(*workers)
    run(have(placing, STABLE, 1))
    assert [worker.serves for worker in workers] == [{"churn": 1}] * 3
    words = [[word for word, _ in worker.told] for worker in workers]
    assert words == [["open", "put"]] * 3


def test_a_worker_that_cannot_open_it_keeps_the_move_from_being_made():
    """In all of them: what served goes on."""

    def refuses(worker: FakeWorker, number: int) -> None:
        if number == 2:
            raise Unavailable("no memory", code="process-refused", hint=None)

    workers = [FakeWorker(), FakeWorker(refuses)]
    placing = placing_of(*workers)

    async def scenario() -> None:
        await have(placing, STABLE, 1)
        with pytest.raises(Unavailable, match="no memory"):
            await have(placing, STABLE, 2)
        await settle(placing)

    run(scenario())
    assert [worker.serves for worker in workers] == [{"churn": 1}] * 2


def test_a_version_that_ends_the_worker_that_opens_it_is_not_in_place():
    """And ends no second one; before it is tried again, a child has to open it."""
    proved: list[int] = []

    def prove(number: int) -> None:
        proved.append(number)
        raise NotApproved("the child ended", code="prepare-failed", hint=None)

    workers = [FakeWorker(dies(2)), FakeWorker(dies(2))]
    placing = placing_of(*workers, prove=prove)

    async def scenario() -> None:
        await have(placing, STABLE, 1)
        with pytest.raises(Unavailable, match="ended while it opened"):
            await have(placing, STABLE, 2)
        with pytest.raises(NotApproved, match="the child ended"):
            await have(placing, STABLE, 2)

    run(scenario())
    assert sorted(worker.is_alive for worker in workers) == [False, True]
    assert [worker.serves for worker in workers if worker.is_alive] == [{"churn": 1}]
    assert proved == [2]


def test_without_a_worker_nothing_is_moved():
    """It is tried again when there is one; that is no fault of the version's."""
    with pytest.raises(Unavailable) as raised:
        run(have(placing_of(), STABLE, 1))
    assert raised.value.code == "no-worker"


def test_a_new_worker_accepts_connections_only_when_it_serves_all():
    """In the versions that should serve by then, though one was moved while it was opening another."""
    old, moved = FakeWorker(), []
    placing = placing_of(old)

    async def moves_meanwhile(worker: FakeWorker, number: int) -> None:
        assert not worker.is_accepting
        if not moved:
            moved.append(number)
            await have(placing, STABLE, 1)  # a rollback

    new = FakeWorker(moves_meanwhile)

    async def scenario() -> None:
        await placing.expect([CHURN, IRIS])
        for variant, number in ((STABLE, 1), (OTHER, 5), (STABLE, 2)):
            await have(placing, variant, number)
        placing.pool.workers.append(new)
        await placing.complete(new)

    run(scenario())
    assert moved == [2]
    assert old.serves == new.serves == {"churn": 1, "iris": 5}
    assert new.is_accepting
    assert new.told[-1][0] == "accept"


def test_a_worker_that_missed_a_move_is_mended_at_the_next_poll():
    """Whatever it missed: the move, what is said of a target, a target that went, a variant that was taken out."""
    worker, candidate = FakeWorker(), Variant(CHURN, "candidate")
    placing = placing_of(FakeWorker(), worker)

    async def scenario() -> None:
        await placing.expect([CHURN, IRIS])
        await have(placing, STABLE, 1)
        await have(placing, OTHER, 5)
        await have(placing, candidate, 9)
        worker.deaf = {"put", "note", "targets", "take_out"}
        await have(placing, STABLE, 2)
        await placing.note(CHURN, Note(problem="odd", preparing=3))
        await placing.take_out(candidate)
        await placing.expect([CHURN])
        assert worker.serves == {"churn": 1, "iris": 5, "churn:candidate": 9}
        worker.deaf = set()
        await settle(placing)

    run(scenario())
    assert worker.serves == {"churn": 2}
    assert worker._notes == {("churn", "production"): ("odd", 3)}


def test_a_new_worker_that_cannot_open_one_version_serves_the_others():
    """And that one as soon as its cause is gone; what is wrong is told meanwhile."""
    broken, now = [True], [0.0]

    def refuses(worker: FakeWorker, number: int) -> None:
        if number == 1 and broken:
            raise Unavailable("a file is gone", code="process-refused", hint=None)

    new = FakeWorker(refuses)
    placing = placing_of(FakeWorker(), clock=lambda: now[0])

    async def scenario() -> None:
        await placing.expect([CHURN, IRIS])
        await have(placing, STABLE, 1)
        await have(placing, OTHER, 5)
        placing.pool.workers.append(new)
        await placing.complete(new)
        assert new.is_accepting
        assert new.serves == {"iris": 5}
        assert placing.trouble(CHURN) == "not every worker serves version 1: a file is gone"
        assert placing.trouble(IRIS) is None
        broken.clear()
        await settle(placing)
        assert new.serves == {"iris": 5}  # it is not tried at each poll
        now[0] = 60.0
        await settle(placing)

    run(scenario())
    assert [fields["prepared"]["runner"] for word, fields in new.told if word == "open"] == ["r", "r", "made anew"]
    assert new.serves == {"churn": 1, "iris": 5}
    assert placing.trouble(CHURN) is None


def test_a_version_that_ends_each_new_worker_keeps_them_from_no_other():
    """The second death in a row is put down to it; a child has to open it before a worker is asked again."""
    now, proved = [0.0], []
    placing = placing_of(FakeWorker(), clock=lambda: now[0], prove=proved.append)

    async def scenario() -> FakeWorker:
        await placing.expect([CHURN, IRIS])
        await have(placing, STABLE, 1)
        await have(placing, OTHER, 5)
        placing.pool.workers[0].die()
        for _ in range(2):
            new = FakeWorker(dies(1))
            placing.pool.workers.append(new)
            with pytest.raises(Unavailable, match="gone"):
                await placing.complete(new)
            assert not new.is_accepting
        third = FakeWorker()
        placing.pool.workers.append(third)
        await placing.complete(third)
        assert third.is_accepting
        assert third.serves == {"iris": 5}
        assert proved == []
        now[0] = 60.0
        await settle(placing)
        return third

    assert run(scenario()).serves == {"churn": 1, "iris": 5}
    assert proved == [1]


def test_a_version_that_hangs_while_it_is_opened_keeps_a_new_worker_from_no_other():
    """For longer than some time; it serves when it is open."""
    goes_on = asyncio.Event()

    async def hangs(worker: FakeWorker, number: int) -> None:
        if number == 1:
            await goes_on.wait()

    new = FakeWorker(hangs)
    placing = placing_of(FakeWorker(), awaited_s=0.01)

    async def scenario() -> None:
        await placing.expect([CHURN, IRIS])
        await have(placing, STABLE, 1)
        await have(placing, OTHER, 5)
        placing.pool.workers.append(new)
        await placing.complete(new)
        assert new.serves == {"iris": 5}
        goes_on.set()
        await settle(placing)

    run(scenario())
    assert new.serves == {"churn": 1, "iris": 5}


def test_a_worker_that_is_silent_for_long_is_ended():
    """Its loop is held by something: what it would still answer, nobody knows."""
    worker = FakeWorker()
    placing = placing_of(worker, FakeWorker())

    async def scenario() -> None:
        await have(placing, STABLE, 1)
        worker.deaf = {"state"}
        worker.heard_at = asyncio.get_running_loop().time()
        await settle(placing)
        assert worker.is_alive
        worker.heard_at -= 100
        await settle(placing)

    run(scenario())
    assert not worker.is_alive
