"""How a decision is carried out: look, decide, append, apply. Every verb that moves a version goes this way.

The appended event is the only commit point. What follows from it (alias, MLflow stage, tags) is applied after it, under
the model's lock; if the process dies in between, the next command applies it. No transaction of the ledger is open
while the registry is called. What the registry does not take is reported and keeps nobody from deciding; whose own
alias was not moved learns it as an error.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from slipway.registry.decisions.keep_copy import keep_copy
from slipway.registry.decisions.projection import (
    Change,
    NotWritten,
    Projected,
    changes_for,
    note_head,
    numbers_of_interest,
    project,
)
from slipway.registry.decisions.undone_promotion import undoing_what_was_changed
from slipway.registry.errors import Conflict, Unavailable
from slipway.registry.ledger.chain import HEAD_TAG, Record, record_of
from slipway.registry.ledger.events import Event, first_hash
from slipway.registry.ledger.identity import uid_of
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.model_state import after
from slipway.registry.ledger.situation import Situation, look
from slipway.registry.text import require_storable


@dataclass(frozen=True, kw_only=True, slots=True)
class Decided:
    """A decision and its consequences: `event` is `None` where all was so already.

    `unapplied` says what the registry did not take of them.
    """

    event: Event | None
    seq: int
    previous: int | None
    changes: tuple[Change, ...]
    unapplied: tuple[str, ...] = ()


Decision = Callable[[Situation], Event | None]


@contextmanager
def held(model: str, ledger: Ledger) -> Iterator[Situation]:
    """Hold the lock of the model that has a name, and give how it stands.

    It is read again when the lock is held: until then somebody may have decided, or another model may have got the
    name, whose aliases would be moved by what was decided about this one.

    Raises
    ------
    Conflict
        Another model has the name now.
    """
    model_uid = uid_of(ledger.registry.model(model), ledger.history, ledger.registry.model)
    with ledger.history.lock(model_uid):
        situation = look(model, ledger)
        if situation.model_uid != model_uid:
            raise Conflict(
                f"another model was renamed to '{model}' just now", code="model-renamed", hint="slipway status"
            )
        yield situation


def settled(model: str, ledger: Ledger) -> Situation:
    """Return how a model stands, after finishing what somebody decided and did not live to apply."""
    return settle(look(model, ledger), ledger)


def settle(situation: Situation, ledger: Ledger) -> Situation:
    """Finish what somebody decided and did not live to apply, and return how the model stands then."""
    if is_applied(situation, ledger):
        return situation
    with held(situation.name, ledger) as found:
        return repaired(found, ledger)


def carry_out(model: str, decision: Decision, ledger: Ledger) -> Decided:
    """Decide under the model's lock, record the decision, and apply what follows from it.

    Consequences of earlier decisions that were not applied are applied first. Where the decision is `None`, what the
    ledger says is applied once more: that puts back what was moved behind it, and has copies made that were lost.
    """
    with held(model, ledger) as found:
        situation = repaired(found, ledger)
        event = decision(situation)
        if event is None:
            done = _as_it_was(situation, apply_state(situation, ledger))
            for there in situation.state.stages.values():
                keep_copy(there.version, situation, ledger)
        else:
            require_recordable(event)
            if event.stage is not None:
                keep_copy(event.version, situation, ledger, event.digests.get("manifest"))
            record = ledger.history.append(event, after_seq=situation.seq)
            done = _decided(situation, event, record, apply=lambda then: apply_state(then, ledger))
    head = ledger.history.head(situation.model_uid)
    if head is not None and head.seq != done.seq:
        # Somebody decided although the lock was ours: it was lost in a pause, with a write of ours maybe on its way.
        with held(model, ledger) as found:
            apply_state(found, ledger)
    return done


def propose(model: str, decision: Decision, ledger: Ledger) -> Decided:
    """Return what `carry_out` would do, and change nothing."""
    situation = look(model, ledger)
    event = decision(situation)
    if event is None:
        return _as_it_was(situation, _changes(situation, ledger))
    require_recordable(event)
    before = situation.head.hash if situation.head else first_hash(situation.model_uid)
    record = record_of(event, seq=situation.seq + 1, before=before)
    return _decided(situation, event, record, apply=lambda then: _changes(then, ledger))


def require_recordable(event: Event) -> None:
    """Refuse an event that could be appended and not be read, or shown, by everybody afterwards.

    Raises
    ------
    InvalidInput
        A text in it is none that every database takes.
    """
    said = {"actor": event.actor, "reason": event.reason, "stage": event.stage, "digests": event.digests}
    require_storable({**said, "details": event.details}, f"what is to be recorded of {event.model}/{event.version}")


def _as_it_was(situation: Situation, projected: Projected) -> Decided:
    """Return that nothing was to be decided; whoever asked wanted the alias where the history has it."""
    if refused := projected.refused_alias(None):
        raise _not_applied(f"what event {situation.seq} and those before it decided", refused)
    unapplied = tuple(map(str, projected.refused))
    return Decided(event=None, seq=situation.seq, previous=None, changes=projected.changes, unapplied=unapplied)


def _decided(situation: Situation, event: Event, record: Record, *, apply: Callable[[Situation], Projected]) -> Decided:
    before = situation.occupant(event.stage or "")
    left = situation.state.stage_of(event.version)
    then = replace(situation, state=after(situation.state, record), head=record.head)
    previous = before if before != event.version else None
    projected = apply(then)
    for stage in filter(None, (event.stage, left)):
        if refused := projected.refused_alias(stage):
            raise _not_applied(f"the decision is recorded as event {record.seq}, and what follows from it", refused)
    unapplied = tuple(map(str, projected.refused))
    return Decided(event=event, seq=record.seq, previous=previous, changes=projected.changes, unapplied=unapplied)


def _not_applied(what: str, refused: NotWritten) -> Unavailable:
    return Unavailable(
        f"{what} was not taken by the registry: {refused}",
        code="not-applied",
        hint="slipway status tries again, and says what is wrong",
    )


def _changes(situation: Situation, ledger: Ledger) -> Projected:
    """Return what would be applied first; the version that is moved may be one that was of no interest before."""
    numbers = numbers_of_interest(situation.model, situation.state)
    changes = changes_for(
        situation.state,
        situation.model,
        ledger.registry.numbered(situation.model, numbers),
        stages=situation.policy.names,
        mirror_stages=ledger.mirror_stages,
    )
    return Projected(changes=changes)


def repaired(situation: Situation, ledger: Ledger) -> Situation:
    """Apply decisions that were recorded and not applied; the caller holds the model's lock.

    What is to have a stage's alias, and has it not, is read first, and the decision is undone where its files are not
    as registered. Whoever decided did not live to look whether they were changed meanwhile; or the alias was moved
    behind the ledger, and the number may be another version's by now: after a deletion, or a restored database.
    """
    for stage in situation.policy.names:
        event = undoing_what_was_changed(situation, stage, ledger)
        if event is not None:
            ledger.history.append(event, after_seq=situation.seq)
            situation = look(situation.name, ledger)
    if is_applied(situation, ledger):
        return situation
    projected = apply_state(situation, ledger)
    return replace(look(situation.name, ledger), unapplied=tuple(map(str, projected.refused)))


def is_applied(situation: Situation, ledger: Ledger) -> bool:
    """Return whether all that moves a version was applied; other events have no consequences."""
    return not situation.moves or ledger.history.applied(situation.model_uid) >= situation.moves[-1].seq


def apply_state(situation: Situation, ledger: Ledger) -> Projected:
    """Bring the registry to what the ledger says, and note it as applied."""
    if situation.head is None:
        return Projected()
    return project(
        situation.model_uid,
        model=situation.model,
        state=situation.state,
        head=situation.head,
        registry=ledger.registry,
        history=ledger.history,
        stages=situation.policy.names,
        mirror_stages=ledger.mirror_stages,
    )


def note(model: str, make: Callable[[Situation], Event], ledger: Ledger) -> Record:
    """Record an event that moves nothing: a verdict, an approval, a registration.

    The first one is noted at the model, which is known by that when it is renamed. Where the registry does not take it
    now, the next one is.
    """
    return note_once(model, make, ledger)


def note_once(model: str, make: Callable[[Situation], Event | Record], ledger: Ledger) -> Record:
    """Record an event that moves nothing, unless what is to be recorded is found on record under the model's lock."""
    with held(model, ledger) as situation:
        event = make(situation)
        if isinstance(event, Record):
            return event
        require_recordable(event)
        record = ledger.history.append(event, after_seq=situation.seq)
        if HEAD_TAG not in situation.model.tags:
            note_head(situation.name, record.head, ledger.registry)
        return record
