"""How a decision is carried out: look, decide, append, apply. Every verb that moves a version goes this way.

The appended event is the only commit point. What follows from it (alias, MLflow stage, tags) is applied after it, under
the model's lock; if the process dies in between, the next command applies it. No transaction of the ledger is open
while the registry is called.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from registry.errors import Conflict
from registry.events import Event
from registry.history import Head, History, ModelState, Record, after, fold
from registry.identity import uid_of
from registry.model_registry import ModelRegistry
from registry.projection import Change, changes_for, project
from registry.settings import RegistrySettings
from registry.version import Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Ledger:
    """What a decision needs: the registry, the history, and the settings of both."""

    registry: ModelRegistry
    history: History
    settings: RegistrySettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """A model as a decision finds it: what the ledger says, and what the registry shows."""

    model: str
    model_uid: str
    records: tuple[Record, ...]
    state: ModelState
    versions: tuple[Version, ...]

    def holder(self, stage: str) -> int | None:
        """Return the version that has the stage's alias in the registry."""
        return next((version.number for version in self.versions if stage in version.aliases), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A decision and its consequences: `event` is `None` where all was so already."""

    event: Event | None
    seq: int
    previous: int | None
    changes: tuple[Change, ...]


Decision = Callable[[Situation], Event | None]


def look(model: str, ledger: Ledger) -> Situation:
    """Return how a model stands, changing nothing."""
    found = ledger.registry.model(model)
    model_uid = uid_of(found, ledger.history)
    records = ledger.history.records(model_uid)
    return Situation(
        model=model,
        model_uid=model_uid,
        records=records,
        state=fold(records),
        versions=ledger.registry.versions(model),
    )


def carry_out(model: str, decision: Decision, ledger: Ledger) -> Decided:
    """Decide under the model's lock, record the decision, and apply what follows from it.

    Consequences of earlier decisions that were not applied are applied first. Where the decision is `None`, what the
    ledger says is applied once more: that puts back what was moved behind it.
    """
    model_uid = look(model, ledger).model_uid
    with ledger.history.lock(model_uid):
        situation = repaired(look(model, ledger), ledger)
        event = decision(situation)
        if event is None:
            return Decided(event=None, seq=situation.state.seq, previous=None, changes=apply_state(situation, ledger))
        record = ledger.history.append(event, after_seq=situation.state.seq)
        return _decided(situation, event, record, apply=lambda then: apply_state(then, ledger))


def propose(model: str, decision: Decision, ledger: Ledger) -> Decided:
    """Return what `carry_out` would do, and change nothing."""
    situation = look(model, ledger)
    event = decision(situation)
    if event is None:
        changes = changes_for(situation.state, situation.versions, ledger.settings)
        return Decided(event=None, seq=situation.state.seq, previous=None, changes=changes)
    record = Record(seq=situation.state.seq + 1, text=event.to_text(), hash="")
    return _decided(
        situation, event, record, apply=lambda then: changes_for(then.state, then.versions, ledger.settings)
    )


def _decided(
    situation: Situation, event: Event, record: Record, *, apply: Callable[[Situation], tuple[Change, ...]]
) -> Decided:
    before = situation.state.stages.get(event.stage or "")
    then = replace(situation, state=after(situation.state, record), records=(*situation.records, record))
    previous = before.version if before and before.version != event.version else None
    return Decided(event=event, seq=record.seq, previous=previous, changes=apply(then))


def repaired(situation: Situation, ledger: Ledger) -> Situation:
    """Apply decisions that were recorded and not applied; the caller holds the model's lock."""
    if ledger.history.applied(situation.model_uid) >= situation.state.seq:
        return situation
    apply_state(situation, ledger)
    return replace(situation, versions=ledger.registry.versions(situation.model))


def apply_state(situation: Situation, ledger: Ledger) -> tuple[Change, ...]:
    """Bring the registry to what the ledger says, and note it as applied."""
    if not situation.records:
        return ()
    last = situation.records[-1]
    return project(
        situation.model,
        situation.model_uid,
        state=situation.state,
        head=Head(seq=last.seq, hash=last.hash),
        registry=ledger.registry,
        history=ledger.history,
        settings=ledger.settings,
    )


def require_ours(situation: Situation, stage: str) -> None:
    """Refuse to decide about a stage whose alias is not where the ledger says.

    Raises
    ------
    Conflict
        The alias was set before Slipway came, or moved behind its back.
    """
    holder, there = situation.holder(stage), situation.state.stages.get(stage)
    occupant = there.version if there else None
    if holder == occupant:
        return
    adopt = f'slipway adopt {situation.model}@{stage} --reason "…"'
    if occupant is None:
        raise Conflict(
            f"{situation.model}/{holder} is in {stage} by an alias that the history knows nothing of",
            code="not-adopted",
            hint=f"take it over first: {adopt}",
        )
    found = f"points at {holder}" if holder else "is gone"
    put_back = f'slipway promote {situation.model}/{occupant} --to {stage} --reason "…"'
    raise Conflict(
        f"alias {stage} of {situation.model} {found}, and the history has {occupant} there: it was moved behind its back",
        code="moved-behind-history",
        hint=f"put it back: {put_back}; or accept it: {adopt}" if holder else f"put it back: {put_back}",
    )
