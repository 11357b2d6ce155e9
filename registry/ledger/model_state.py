"""What a model's events add up to: which version is in which stage. A version is in one, a stage holds one.

State is a fold over the events in the order of their sequence numbers; no clock decides anything.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import Event, EventKind

MOVES_IN = frozenset({EventKind.VERSION_PROMOTED, EventKind.VERSION_ADOPTED, EventKind.VERSION_ROLLED_BACK})
MOVES_OUT = frozenset({EventKind.VERSION_DEMOTED, EventKind.VERSION_ARCHIVED})
MOVES = MOVES_IN | MOVES_OUT


@dataclass(frozen=True, kw_only=True, slots=True)
class Occupancy:
    """A version in a stage: which, since when, by which event, who decided it and why.

    `verdict` is the outcome that the decision rests on, and `manifest` the digest of the files that it chose, where
    there were any.
    """

    version: int
    since: datetime
    seq: int
    by: str
    reason: str
    verdict: str | None
    manifest: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelState:
    """What the events add up to.

    `stages` is stage → who is in it. `stacks` is stage → versions that were in it and are good to go back to, and at
    the end who is in it. `moved` has the versions that the last move took in, out or along.
    """

    moved: frozenset[int] = frozenset()
    stages: Mapping[str, Occupancy] = field(default_factory=lambda: MappingProxyType({}))
    stacks: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def stage_of(self, version: int) -> str | None:
        """Return the stage that a version is in."""
        return next((stage for stage, there in self.stages.items() if there.version == version), None)

    def earlier(self, stage: str) -> tuple[int, ...]:
        """Return the versions to go back to, the last one last: who is in the stage is none of them."""
        stack = self.stacks.get(stage, ())
        return stack[:-1] if stage in self.stages else stack

    def before(self, stage: str) -> int | None:
        """Return the version to go back to: the last that was in the stage and was not itself rolled back."""
        earlier = self.earlier(stage)
        return earlier[-1] if earlier else None


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


def chosen_files(records: Sequence[Record], version: int) -> str | None:
    """Return the digest of the files that the last decision for a version named; `None` where none named any."""
    named = (record.event.digests.get("manifest") for record in reversed(records) if record.version == version)
    return next(filter(None, named), None)


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
    left = _moved_out(state, event.version, everywhere=event.kind == EventKind.VERSION_ARCHIVED)
    if event.stage is None:
        return left
    chosen = next((there.manifest for there in state.stages.values() if there.version == event.version), None)
    return _moved_in(left, event.stage, event, seq, chosen=chosen)


def _moved_in(state: ModelState, stage: str, event: Event, seq: int, *, chosen: str | None = None) -> ModelState:
    """Put a version into a stage; of one that only goes on to another, the files are those that were `chosen`."""
    stages = {name: there for name, there in state.stages.items() if there.version != event.version}
    stages[stage] = Occupancy(
        version=event.version,
        since=event.at,
        seq=seq,
        by=event.actor,
        reason=event.reason,
        verdict=event.details.get("verdict"),
        manifest=event.digests.get("manifest", chosen),
    )
    stack = [version for version in state.stacks.get(stage, ()) if version != event.version]
    if event.kind == EventKind.VERSION_ROLLED_BACK:
        stack = list(state.stacks.get(stage, ()))
        stack = stack[: stack.index(event.version)] if event.version in stack else list(state.earlier(stage))
    return replace(state, stages=stages, stacks={**state.stacks, stage: (*stack, event.version)})


def _moved_out(state: ModelState, version: int, *, everywhere: bool) -> ModelState:
    left = {stage for stage, there in state.stages.items() if there.version == version}
    stages = {stage: there for stage, there in state.stages.items() if stage not in left}
    stacks = {
        stage: tuple(v for v in stack if v != version) if everywhere or stage in left else stack
        for stage, stack in state.stacks.items()
    }
    return replace(state, stages=stages, stacks=stacks)
