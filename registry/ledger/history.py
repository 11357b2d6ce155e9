"""The history of a model: what its events say is in which stage, and whether they are as they were written.

State is a fold over the events in the order of their sequence numbers; no clock decides anything.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Protocol

from registry.errors import InvalidInput
from registry.ledger.events import Event, EventKind, event_from_text, first_hash, next_hash
from registry.text import cleaned

HEAD_TAG = "slipway.head"
MOVES_IN = frozenset({EventKind.VERSION_PROMOTED, EventKind.VERSION_ADOPTED, EventKind.VERSION_ROLLED_BACK})
MOVES_OUT = frozenset({EventKind.VERSION_DEMOTED, EventKind.VERSION_ARCHIVED})
MOVES = MOVES_IN | MOVES_OUT


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """An event as it is stored: its place in the model's chain, its exact text and its hash.

    `model`, `kind` and `version` are stored beside the text, so that events can be selected; they say the same.
    """

    seq: int
    text: str
    hash: str
    model: str
    kind: str
    version: int

    @property
    def event(self) -> Event:
        """Return what the text says."""
        return event_from_text(self.text)

    @property
    def head(self) -> "Head":
        """Return the end of the chain that ends here."""
        return Head(seq=self.seq, hash=self.hash)


def record_of(event: Event, *, seq: int, before: str) -> Record:
    """Return an event as number `seq`, after the hash of the one before."""
    text = event.to_text()
    return Record(
        seq=seq,
        text=text,
        hash=next_hash(before, text),
        model=event.model,
        kind=str(event.kind),
        version=event.version,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The end of a model's chain: with it, a cut tail is seen."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


NO_HEAD = Head(seq=0, hash="0" * 64)
"""What stands for a head that was noted and is not one any more: no chain leads to it."""


def parse_head(text: str) -> Head:
    """Return a head that was noted as `SEQ:HASH`.

    Raises
    ------
    InvalidInput
        The text is no head.
    """
    seq, _, digest = text.partition(":")
    if not re.fullmatch("[0-9]{1,18}", seq) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidInput(
            f"'{cleaned(text, 100)}' is no head; write SEQ:HASH as history prints it", code="not-a-head", hint=None
        )
    return Head(seq=int(seq), hash=digest)


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupancy:
    """A version in a stage: which, since when, by which event, who decided it and why.

    `verdict` is the outcome that the decision rests on, where there was one.
    """

    version: int
    since: datetime
    seq: int
    by: str
    reason: str
    verdict: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelState:
    """What the events add up to.

    `stages` is stage → who is in it. `stacks` is stage → versions that were in it and are good to go back to, the
    current one last. `moved` has the versions that the last move took in, out or along.
    """

    moved: frozenset[int] = frozenset()
    stages: Mapping[str, Occupancy] = field(default_factory=lambda: MappingProxyType({}))
    stacks: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def stage_of(self, version: int) -> str | None:
        """Return the stage that a version is in."""
        return next((stage for stage, there in self.stages.items() if there.version == version), None)

    def before(self, stage: str) -> int | None:
        """Return the version to go back to: the last that was in the stage and was not itself rolled back."""
        stack = self.stacks.get(stage, ())
        return stack[-2] if len(stack) > 1 else None


def fold(records: Iterable[Record]) -> ModelState:
    """Return the state after the records, which come in the order of their sequence numbers.

    Only those of a kind in `MOVES` matter; others may be left out.
    """
    state = ModelState()
    for record in records:
        state = after(state, record)
    return state


def last_out_of(records: Iterable[Record], stage: str) -> tuple[int, str | None] | None:
    """Return the version by whose leaving a stage became empty, and into which stage it went, if into any."""
    state, out = ModelState(), None
    for record in records:
        was, state = state.stages.get(stage), after(state, record)
        if stage in state.stages:
            out = None
        elif was is not None:
            out = was.version, state.stage_of(was.version)
    return out


def after(state: ModelState, record: Record) -> ModelState:
    """Return the state after one more record."""
    if record.kind not in MOVES:
        return state
    then = _moved(state, record.event, record.seq)
    return replace(then, moved=(_occupants(state) - _occupants(then)) | {record.event.version})


def _occupants(state: ModelState) -> frozenset[int]:
    return frozenset(there.version for there in state.stages.values())


def _moved(state: ModelState, event: Event, seq: int) -> ModelState:
    if event.kind in MOVES_IN and event.stage is not None:
        return _moved_in(state, event.stage, event, seq)
    state = _moved_out(state, event.version, everywhere=event.kind == EventKind.VERSION_ARCHIVED)
    return state if event.stage is None else _moved_in(state, event.stage, event, seq)


def _moved_in(state: ModelState, stage: str, event: Event, seq: int) -> ModelState:
    stages = {name: there for name, there in state.stages.items() if there.version != event.version}
    stages[stage] = Occupancy(
        version=event.version,
        since=event.at,
        seq=seq,
        by=event.actor,
        reason=event.reason,
        verdict=event.details.get("verdict"),
    )
    stack = [version for version in state.stacks.get(stage, ()) if version != event.version]
    if event.kind == EventKind.VERSION_ROLLED_BACK:
        stack = list(state.stacks.get(stage, ()))
        stack = stack[: stack.index(event.version)] if event.version in stack else stack[:-1]
    return replace(state, stages=stages, stacks={**state.stacks, stage: (*stack, event.version)})


def _moved_out(state: ModelState, version: int, *, everywhere: bool) -> ModelState:
    left = {stage for stage, there in state.stages.items() if there.version == version}
    stages = {stage: there for stage, there in state.stages.items() if stage not in left}
    stacks = {
        stage: tuple(v for v in stack if v != version) if everywhere or stage in left else stack
        for stage, stack in state.stacks.items()
    }
    return replace(state, stages=stages, stacks=stacks)


def until(records: Sequence[Record], moment: datetime) -> list[Record]:
    """Return the records up to the last one that was written at or before a moment.

    By the sequence numbers: what was decided before it counts, whatever its clock said.
    """
    last = max((i for i, record in enumerate(records) if record.event.at <= moment), default=-1)
    return list(records[: last + 1])


def verify(model_uid: str, records: Iterable[Record], anchors: Collection[Head] = ()) -> tuple[str, ...]:
    """Return one line for each thing that is not as it was written; nothing when all is well.

    A changed text, a removed, repeated or reordered record breaks the chain; a cut tail or a chain written anew
    does not lead to a head that was noted elsewhere (`anchors`). The records are gone through once.
    """
    defects: list[str] = []
    noted = {anchor.seq for anchor in anchors}
    hashes: dict[int, str] = {}
    before = first_hash(model_uid)
    for place, record in enumerate(records, start=1):
        if record.seq != place:
            defects.append(f"event {place}: stored with number {record.seq}; an event was removed, repeated or moved")
        if record.hash != next_hash(before, record.text):
            defects.append(f"event {record.seq}: its text or the event before it was changed")
        elif not _columns_agree(record):
            defects.append(f"event {record.seq}: its model, kind or version is stored as another than its text says")
        before = record.hash
        if record.seq in noted:
            hashes[record.seq] = record.hash
    for anchor in anchors:
        if anchor == NO_HEAD:
            defects.append("the head that was noted in the registry was written over; the next decision notes it anew")
        elif hashes.get(anchor.seq) != anchor.hash:
            found = "is another one" if anchor.seq in hashes else "is missing: the end was cut off"
            defects.append(f"event {anchor.seq}: noted elsewhere as {anchor.hash[:12]}…, and {found}")
    return tuple(defects)


def _columns_agree(record: Record) -> bool:
    event = record.event
    return (event.model, event.kind, event.version) == (record.model, record.kind, record.version)


class History(Protocol):
    """The ledger. Records are only ever added; what was added is there after a crash."""

    def append(self, event: Event, *, after_seq: int) -> Record:
        """Add an event as number `after_seq + 1` of its model.

        Raises Conflict, saying what is there, when that number is taken.
        """

    def records(self, model_uid: str) -> tuple[Record, ...]:
        """Return all of a model's records in order."""

    def walk(self, model_uid: str, *, after_seq: int = 0) -> Iterator[Record]:
        """Yield a model's records after a number, in order, without holding all of them."""

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        """Return those that move a version, in order: what `fold` needs."""

    def about(self, model_uid: str, version: int) -> tuple[Record, ...]:
        """Return those about one version, in order."""

    def head(self, model_uid: str) -> Head | None:
        """Return the end of a model's chain; `None` before the first record."""

    def anchors(self, model_uid: str) -> tuple[Head, ...]:
        """Return the heads that are noted beside the ledger, in the registry itself."""

    def model_uids(self, *, prefix: str = "", model: str | None = None) -> tuple[str, ...]:
        """Return the identities that begin with a text and were once known by a name, in their order."""

    def name_of(self, model_uid: str) -> str | None:
        """Return the name by which a model was last known; `None` before the first record."""

    def applied(self, model_uid: str) -> int:
        """Return the last number whose consequences are known to be applied; 0 before any."""

    def set_applied(self, model_uid: str, seq: int) -> None:
        """Note that everything up to a number is applied."""

    def lock(self, model_uid: str) -> AbstractContextManager[None]:
        """Hold a model alone; the lock is free again when its holder dies.

        Raises Unavailable when somebody else holds it for half a minute.
        """
