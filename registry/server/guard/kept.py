"""Where the versions lie that a stage may be given back: all that are or were in one, by the history.

Asked before each file that is stored, so what was worked out is kept until something else is recorded. A decision
counts as soon as it is: whoever made it may not live to apply it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from slipway.registry.artifacts.locations import Place
from slipway.registry.artifacts.place_index import PlaceIndex
from slipway.registry.ledger.chain import Head, Record
from slipway.registry.ledger.model_state import fold
from slipway.registry.server.guard.protection import GuardedTables, LocatedVersion, places_of

# A model's identity → the end of its chain, and its versions as they were then. A number alone names no history: after
# a restore, another event may have it.
ByModel = Mapping[str, tuple[Head, tuple[LocatedVersion, ...]]]


class LastDecided(Protocol):
    """What is asked of the history."""

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        """Return the records of a model that move a version, in order."""

    def all_heads(self) -> Mapping[str, Head]:
        """Return the end of every model's chain."""


class Kept:
    """The versions on the stacks of all models, by their places; `destination` is as in `Protection`."""

    def __init__(self, tables: GuardedTables, history: LastDecided, destination: Callable[[], str | None]) -> None:
        self._tables = tables
        self._history = history
        self._destination = destination
        # Both are replaced at once: another thread sees what belongs together.
        self._known: tuple[ByModel, PlaceIndex[LocatedVersion]] = ({}, PlaceIndex(()))

    def index(self) -> PlaceIndex[LocatedVersion]:
        """Return them as they are now; a `LocatedVersion`'s word is the stage on whose stack it is."""
        known, index = self._known
        last = self._history.all_heads()
        if last == {uid: head for uid, (head, _) in known.items()}:
            return index
        stored = {
            uid: known[uid] if uid in known and known[uid][0] == head else (head, tuple(self._stacked(uid)))
            for uid, head in last.items()
        }
        index = PlaceIndex(self._entries(stored))
        self._known = stored, index
        return index

    def _stacked(self, model_uid: str) -> Iterator[LocatedVersion]:
        workspace, created_ms, _ = model_uid.split("/", 2)
        stacks = {stage: stack for stage, stack in fold(self._history.moves(model_uid)).stacks.items() if stack}
        numbers = {number for stack in stacks.values() for number in stack}
        found = self._tables.stored_numbers(workspace, int(created_ms), numbers) if numbers else ()
        for stage, stack in stacks.items():
            yield from (replace(each, word=stage) for each in found if each.key.number in stack)

    def _entries(self, stored: ByModel) -> Iterator[tuple[Place, LocatedVersion]]:
        destination = self._destination()
        for _, versions in stored.values():
            for each in versions:
                yield from ((place, each) for place in places_of(each, destination))
