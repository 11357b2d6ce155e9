"""Two models exchange their names at every moment of every decision: none rests on what was read of the other one.

Whoever may rename two models of their own chooses the moment. While the model's lock is held, a guarded server renames
neither.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import pytest

from slipway.registry.decisions.ledger_decisions import LedgerDecisions
from slipway.registry.decisions.who import say_why
from slipway.registry.errors import SlipwayError
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Finding, Outcome, Verdict
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import look
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.policy.roles import anybody
from slipway.registry.version import VersionRef
from slipway.registry.versions.file_integrity import recorded_location, recorded_manifest
from tests.doubles.fakes import FakeHistory, FakeModelRegistry, logged_model
from tests.unit.registry.decisions.test_promote import NOW

MINE, THEIRS = "solo", "evil"
POLICY = {"stages": {"production": {"checks": {"lineage": {}}, "enter_from": "any"}}}


class Exchanging:
    """A port of the ledger that counts its calls, and exchanges the names before some of them."""

    def __init__(self, port: object, place: "Place") -> None:
        self._port, self._place = port, place

    def __getattr__(self, name: str) -> Any:
        called = getattr(self._port, name)
        if not callable(called):
            return called

        def counted(*given: Any, **named: Any) -> Any:
            self._place.count()
            return called(*given, **named)

        return counted


class Place:
    """A ledger with two models of one version each, whose files differ, and of which only one was found good."""

    def __init__(self, folder: Path, *, registered: bool, assessed: bool) -> None:
        self.registry, self.history = FakeModelRegistry(folder=folder / "runs"), FakeHistory()
        self.calls, self.moments = 0, ()
        for name in (MINE, THEIRS):
            files = folder / name
            files.mkdir(exist_ok=True)
            (files / "MLmodel").write_text(name)
            location = f"models:/{name}-files"
            self.registry.folders[location] = files
            logged = logged_model(model_uri=location, run_id=f"run-of-{name}")
            self.registry.create_version(logged, model=name, description="", tags={})
        self.ledger = self._ledger(self.registry, self.history)
        self.uids = {name: look(name, self.ledger).model_uid for name in (MINE, THEIRS)}
        for name in (MINE, THEIRS):
            if registered:
                self.decisions(self.ledger).register(VersionRef(model=name, number=1), "made")
            if registered and assessed:
                outcome = Outcome.PASS if name == MINE else Outcome.FAIL
                self.decisions(self.ledger).record(self.verdict(name, outcome), self.version(name))
        self.begun = {uid: len(chain) for uid, chain in self.history.chains.items()}

    def _ledger(self, registry: Any, history: Any) -> Ledger:
        policies = PolicyBook(POLICY, source="test")
        return Ledger(registry=registry, history=history, policies=lambda: policies, mirror_stages=False)

    def watched(self) -> LedgerDecisions:
        """Return decisions whose calls are counted."""
        ledger = self._ledger(Exchanging(self.registry, self), Exchanging(self.history, self))
        return self.decisions(ledger, actor="bob")

    @staticmethod
    def decisions(ledger: Ledger, actor: str = "ann") -> LedgerDecisions:
        """Return somebody's decisions on a ledger."""
        return LedgerDecisions(
            ledger=ledger, who=lambda why: say_why(actor, authenticated=True, at=NOW, reason=why), may=anybody
        )

    def version(self, name: str) -> Any:
        """Return the version that a name means now."""
        return self.registry.version(VersionRef(model=name, number=1))

    def verdict(self, name: str, outcome: Outcome = Outcome.PASS) -> Verdict:
        """Return a verdict on the version that a name means now."""
        found = look(name, self.ledger)
        manifest = recorded_manifest(self.history.about(found.model_uid, 1))
        return Verdict(
            model=name,
            version=1,
            stage="production",
            at=NOW,
            findings=(Finding(check="lineage", outcome=outcome, reason="looked at"),),
            digests={"policy": found.policy.digest, "manifest": manifest.digest if manifest else ""},
            champion=None,
        )

    def count(self) -> None:
        """Exchange the names where it is time for it, as often as it is named."""
        if self.history.locked:
            return
        for _ in range(self.moments.count(self.calls)):
            self.exchange()
        self.calls += 1

    def exchange(self) -> None:
        """Give each model the name of the other one."""
        for old, new in ((MINE, "between"), (THEIRS, MINE), ("between", THEIRS)):
            self.registry.rename(old, new)
        for name, versions in self.registry.known.items():
            self.registry.known[name] = {n: replace(each, model=name) for n, each in versions.items()}

    def require_sound(self) -> None:
        """Refuse an event that rests on what was of the other model."""
        for name, uid in self.uids.items():
            chain = self.history.chains.get(uid, [])
            for record in chain[self.begun.get(uid, 0) :]:
                self._require_sound(record, chain, name)

    def _require_sound(self, record: Record, chain: list[Record], name: str) -> None:
        event = record.event
        before = chain[: record.seq - 1]
        manifest = recorded_manifest(chain)
        if event.kind in (EventKind.VERSION_REGISTERED, EventKind.VERSION_ADOPTED):
            assert recorded_location([record]) == f"models:/{name}-files"
            assert event.digests["run"] == f"run-of-{name}"
        elif event.kind == EventKind.VERSION_DEMOTED:  # undone, since its files seemed to be changed
            assert before[-1].kind == EventKind.VERSION_PROMOTED
        else:
            assert manifest is not None
            assert event.digests["manifest"] == manifest.digest
        if event.kind == EventKind.VERSION_PROMOTED:
            (verdict,) = [each.event for each in before if each.seq == event.details["verdict_seq"]]
            assert (verdict.kind, verdict.details["outcome"]) == (EventKind.GATE_ASSESSED, "PASS")


def register(place: Place) -> None:
    """Have the version recorded."""
    place.watched().register(VersionRef(model=MINE, number=1), "made")


def approve(place: Place) -> None:
    """Have it approved."""
    place.watched().approve(VersionRef(model=MINE, number=1), "production", "good")


def adopt(place: Place) -> None:
    """Take it over where it is."""
    for name in (MINE, THEIRS):
        place.registry.set_alias(name, "production", 1)
    place.watched().adopt(VersionRef(model=MINE, alias="production"), "was there", dry_run=False)


def assess_and_promote(place: Place) -> None:
    """Judge it, have that recorded, and promote on it: as the command line does."""
    decisions = place.watched()
    version = decisions.ledger.registry.version(VersionRef(model=MINE, number=1))
    verdict = place.verdict(MINE)
    noted = decisions.record(verdict, version)
    grounds = Grounds(verdict=verdict, seq=noted.seq, by="ann")
    decisions.promote(version, "production", "good", grounds=grounds, dry_run=False)


def promote_recorded(place: Place, seq: int | None = None) -> None:
    """Promote on a verdict that is on record: as a server does."""
    place.watched().promote_recorded(
        VersionRef(model=MINE, number=1), "production", "good", seq=seq, override=None, dry_run=False
    )


def promote_recorded_by_number(place: Place) -> None:
    """Name the verdict; the other model has one of that number, too."""
    promote_recorded(place, seq=2)


@pytest.mark.parametrize(
    ("decide", "registered", "assessed"),
    [
        (register, False, False),
        (approve, True, False),
        (adopt, False, False),
        (adopt, True, False),
        (promote_recorded, True, True),
        (promote_recorded_by_number, True, True),
        (assess_and_promote, True, True),
        (assess_and_promote, True, False),
    ],
)
def test_no_decision_rests_on_a_model_that_had_the_name_for_a_while(
    tmp_path: Path, decide: Callable[[Place], None], registered: bool, assessed: bool
) -> None:
    """Once and for good, or back again: before each call of the registry and the history."""
    quiet = Place(tmp_path, registered=registered, assessed=assessed)
    decide(quiet)
    quiet.require_sound()
    assert sum(map(len, quiet.history.chains.values())) > sum(quiet.begun.values())
    for moments in [(k,) for k in range(quiet.calls)] + list(combinations_with_replacement(range(quiet.calls), 2)):
        place = Place(tmp_path, registered=registered, assessed=assessed)
        place.moments = moments
        with suppress(SlipwayError):
            decide(place)
        place.require_sound()
