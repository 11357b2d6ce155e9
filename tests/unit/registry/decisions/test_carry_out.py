"""The decision is the commit point: whenever the process dies, the next command finishes what was decided."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from slipway.registry.decisions.carry_out import carry_out, note
from slipway.registry.decisions.status import status_of
from slipway.registry.errors import Conflict, SlipwayError
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.situation import look
from slipway.registry.version import VersionRef
from tests.doubles.fakes import logged_model
from tests.unit.registry.decisions.test_promote import Desk


class Killed(BaseException):
    """The process ends here."""


class DyingPort:
    """A port that dies before its k-th call; calls are counted over all ports that share the counter."""

    def __init__(self, inner: object, calls: list[str], die_at: int | None) -> None:
        self._inner, self._calls, self._die_at = inner, calls, die_at

    def __getattr__(self, name: str):
        method = getattr(self._inner, name)

        def counted(*args, **kwargs):
            self._calls.append(name)
            if len(self._calls) - 1 == self._die_at:
                raise Killed(name)
            return method(*args, **kwargs)

        return counted


def prepared(verb: str):
    """Return a desk where 2 is in production after 1, and what the verb then does with it, under a deadly ledger."""
    desk = Desk()
    desk.promote(1, "production")
    desk.promote(2, "production")
    desk.promote(3, "staging")
    ledger = desk.ledger

    def act(die_at: int | None) -> list[str]:
        calls: list[str] = []
        decision = desk.promotion(3, "production")
        desk.ledger = type(ledger)(
            registry=DyingPort(desk.registry, calls, die_at),
            history=DyingPort(desk.history, calls, die_at),
            policies=ledger.policies,
            mirror_stages=True,
        )
        try:
            carry_out("m", decision, desk.ledger) if verb == "promote" else desk.rollback()
        except Killed:
            desk.history.locked.clear()  # the lock dies with its holder
        desk.ledger = ledger
        return calls

    return desk, act


@pytest.mark.parametrize("verb", ["promote", "rollback"])
def test_whatever_call_it_dies_before_the_next_command_finishes(verb: str):
    """Every call of a port is a point to die at; afterwards alias, label, tag and ledger agree and the chain holds."""
    desk, act = prepared(verb)
    points = len(act(None))
    assert points > 15
    decided = 0
    for point in range(points):
        desk, act = prepared(verb)
        before = look("m", desk.ledger).seq
        act(point)
        rows = {row.stage: row for row in status_of(desk.registry.model("m"), desk.ledger).stages}
        situation = look("m", desk.ledger)
        decided += situation.seq > before
        wanted = {"promote": 3, "rollback": 1}[verb] if situation.seq > before else 2
        assert rows["production"].version == str(wanted)
        assert all(row.wrong is None for row in rows.values())
        assert desk.shown()[wanted] == (["production"], "Production")
        assert [n for n, (_, label) in desk.shown().items() if label == "Production"] == [wanted]
        assert verify(situation.model_uid, desk.history.records(situation.model_uid)) == ()
    assert 0 < decided < points


class SleepyPort(DyingPort):
    """A port that sleeps before its k-th call, until somebody else has decided."""

    def __init__(self, inner: object, calls: list[str], sleep_at: int | None, meanwhile: Callable[[], object]) -> None:
        super().__init__(inner, calls, None)
        self._sleep_at, self._meanwhile = sleep_at, meanwhile

    def __getattr__(self, name: str):
        if len(self._calls) == self._sleep_at:
            self._meanwhile()
        return super().__getattr__(name)


def asleep_at(point: int | None) -> tuple[Desk, list[str]]:
    """Promote 1 on a port that sleeps before a call, its lock lost, until 2 was promoted; return the calls."""
    desk = Desk()
    decision = desk.promotion(1, "production")
    calls: list[str] = []

    def meanwhile() -> None:
        calls.append("sleep")
        desk.history.locked.clear()
        desk.promote(2, "production", verdict=desk.verdict(2, "production"))

    sleepy = replace(
        desk.ledger,
        registry=SleepyPort(desk.registry, calls, point, meanwhile),
        history=SleepyPort(desk.history, calls, point, meanwhile),
    )
    carry_out("m", decision, sleepy)
    return desk, calls


def test_a_paused_promoter_that_wakes_after_another_decision_changes_nothing():
    """Its lock was lost while it slept; at most the one write that was on its way is made, and is put right."""
    _, calls = asleep_at(None)
    points = range(calls.index("append") + 1, len(calls))
    assert len(points) > 10
    for point in points:
        desk, calls = asleep_at(point)
        awake = calls[calls.index("sleep") + 2 :]
        until_locked = awake[: awake.index("lock")] if "lock" in awake else awake
        assert not [call for call in until_locked if call.startswith(("set_", "delete_")) and call != "set_applied"]
        assert desk.shown() == {3: ([], None), 2: (["production"], "Production"), 1: desk.shown()[1]}, calls
        assert desk.shown()[1] in (([], None), ([], "Archived"))
        assert desk.registry.model_tags["m"]["slipway.head"] == str(look("m", desk.ledger).head)
        assert status_of(desk.registry.model("m"), desk.ledger).stages[0].wrong is None


def test_of_two_decisions_on_one_head_one_is_overtaken():
    """The number in the chain is taken once; the loser learns by what, and nothing of it is left."""
    desk = Desk()
    desk.promote(1, "staging")
    situation = look("m", desk.ledger)
    event = desk.promotion(2, "production")(situation)
    desk.promote(3, "production")
    with pytest.raises(Conflict, match="overtaken: VersionPromoted of m/3"):
        desk.history.append(event, after_seq=situation.seq)


def test_a_registry_that_does_not_keep_what_is_written_is_said():
    """And is not written to for ever."""

    class Forgetful(DyingPort):
        def __getattr__(self, name: str):
            return (lambda *_: None) if name == "set_alias" else super().__getattr__(name)

    desk = Desk()
    decision = desk.promotion(1, "production")
    ledger = type(desk.ledger)(
        registry=Forgetful(desk.registry, [], None),
        history=desk.history,
        policies=desk.ledger.policies,
        mirror_stages=True,
    )
    with pytest.raises(SlipwayError, match="does not keep"):
        carry_out("m", decision, ledger)


class Waiting:
    """A history whose lock is had only after something else has happened."""

    def __init__(self, inner: object, meanwhile: Callable[[], object]) -> None:
        self._inner, self._meanwhile = inner, meanwhile

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def lock(self, model_uid: str):
        self._meanwhile()
        return self._inner.lock(model_uid)


@pytest.mark.parametrize("verb", [carry_out, note])
def test_a_model_that_gets_the_name_while_a_decision_waits_is_not_moved(verb: Callable[..., object]):
    """The lock is that of the model which had it: another's aliases are nobody's to move by that."""
    desk = Desk()
    decision = desk.promotion(1, "production")
    desk.registry.create_version(logged_model(), model="other", description="", tags={})

    def exchange() -> None:
        desk.registry.rename("m", "away")
        desk.registry.rename("other", "m")

    waiting = replace(desk.ledger, history=Waiting(desk.history, exchange))
    with pytest.raises(Conflict, match="another model was renamed to 'm' just now"):
        verb("m", decision, waiting)
    assert desk.registry.version(VersionRef(model="m", number=1)).aliases == frozenset()
