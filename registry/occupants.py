"""What an engine is to serve: the version that the history has in a stage, beside the one that the alias points at.

Asked each second, so what was worked out of a model's history is kept until its chain grows.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from registry.aliases import Aliases, AliasHolder, Wanted
from registry.errors import NotFound
from registry.history import History, ModelState, fold
from registry.identity import RegisteredModel, uid_of


class ReadHistory(History, Protocol):
    """The ledger, which may not have been begun yet."""

    def is_there(self) -> bool:
        """Return whether there is a history at all; where there is none, nothing was ever decided."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """A stage of a model, as the registry and as the history have it.

    `holder` has the alias; `occupant` is the version that the history has there. The history may have spoken of the
    stage, `is_recorded`, and have nothing there, or have a version there, `number`, that is gone.
    """

    holder: AliasHolder | None
    occupant: AliasHolder | None = None
    number: int | None = None
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last worked out of a model: its identity in the ledger, if it has one, and its state there."""

    asked_at: float
    holders: Mapping[str, AliasHolder | None]
    model_uid: str | None = None
    seq: int = 0
    state: ModelState | None = None


class Placements:
    """Looks at aliases and history together.

    While the aliases stay where they are, the history is asked again after `every_s` only: at a server, each question
    costs a check of a password. Without a history nothing is recorded.
    """

    def __init__(
        self,
        aliases: Aliases,
        history: ReadHistory | None,
        *,
        every_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aliases = aliases
        self._history = history
        self._every_s = every_s
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._is_there = False

    @property
    def has_history(self) -> bool:
        """Return whether there was a history when it was last asked for."""
        return self._is_there

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version with the alias."""
        return self._aliases.models_with(alias)

    def look(self, wanted: Collection[Wanted]) -> Mapping[Wanted, Placement]:
        """Return each (model, stage) as it is now. The aliases come first: a decision is recorded before its alias.

        Raises Unavailable when registry or history are not there.
        """
        holders = self._aliases.holders(wanted)
        history = self._history
        if history is not None and not self._is_there:
            self._is_there = history.is_there()
        if history is None or not self._is_there:
            return {each: Placement(holder=holder) for each, holder in holders.items()}
        states = {
            model: self._state(model, {stage: holders.get((model, stage)) for name, stage in wanted if name == model})
            for model in {model for model, _ in wanted}
        }
        found = {each: self._placement(each, holders.get(each), states[each[0]]) for each in wanted}
        return {each: placed for each, placed in found.items() if placed.holder or placed.is_recorded}

    def _placement(self, wanted: Wanted, holder: AliasHolder | None, state: ModelState | None) -> Placement:
        model, stage = wanted
        if state is None or stage not in state.stacks:
            return Placement(holder=holder)
        there = state.stages.get(stage)
        if there is None:
            return Placement(holder=holder, is_recorded=True)
        same = holder is not None and holder.number == there.version
        occupant = holder if same else self._aliases.numbered(model, there.version)
        return Placement(holder=holder, occupant=occupant, number=there.version, is_recorded=True)

    def _state(self, model: str, holders: Mapping[str, AliasHolder | None]) -> ModelState | None:
        known, now = self._known.get(model), self._clock()
        if known is not None and known.holders == holders and now - known.asked_at < self._every_s:
            return known.state
        self._known[model] = self._asked(model, holders, now, known)
        return self._known[model].state

    def _asked(self, model: str, holders: Mapping[str, AliasHolder | None], now: float, known: _Known | None) -> _Known:
        """Return what the history says now, folding it anew only where it has grown or is another model's."""
        assert self._history is not None
        found = self._aliases.model(model)
        if found is None or not self._history.model_uids(prefix=f"{found.workspace}/{found.created_ms}/"):
            return _Known(now, holders)
        uid = uid_of(found, self._history, self._required)
        head = self._history.head(uid)
        if head is None:
            return _Known(now, holders)
        if known is not None and (known.model_uid, known.seq) == (uid, head.seq):
            return _Known(now, holders, uid, head.seq, known.state)
        return _Known(now, holders, uid, head.seq, fold(self._history.moves(uid)))

    def _required(self, model: str) -> RegisteredModel:
        found = self._aliases.model(model)
        if found is None:
            raise NotFound(f"there is no model '{model}'", code="unknown-model", hint=None)
        return found
