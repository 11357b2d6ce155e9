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

    def last_seqs(self, model_uids: Collection[str]) -> Mapping[str, int]:
        """Return the number of each model's last record; a model without one is left out."""


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
    """What was last worked out of a model: when, for which holders, and its state after a number of its chain."""

    asked_at: float
    holders: Mapping[str, AliasHolder | None]
    model_uid: str | None
    seq: int
    state: ModelState | None


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
        self._uids: dict[tuple[str, int, str], str] = {}
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
        by_model: dict[str, dict[str, AliasHolder | None]] = {}
        for model, stage in wanted:
            by_model.setdefault(model, {})[stage] = holders.get((model, stage))
        self._ask(by_model, history)
        found = {each: self._placement(each, holders.get(each)) for each in wanted}
        return {each: placed for each, placed in found.items() if placed.holder or placed.is_recorded}

    def _placement(self, wanted: Wanted, holder: AliasHolder | None) -> Placement:
        model, stage = wanted
        state = self._known[model].state
        if state is None or stage not in state.stacks:
            return Placement(holder=holder)
        there = state.stages.get(stage)
        if there is None:
            return Placement(holder=holder, is_recorded=True)
        same = holder is not None and holder.number == there.version
        occupant = holder if same else self._aliases.numbered(model, there.version)
        return Placement(holder=holder, occupant=occupant, number=there.version, is_recorded=True)

    def _ask(self, models: Mapping[str, Mapping[str, AliasHolder | None]], history: ReadHistory) -> None:
        """Ask the history of the models that it is time for: one question to each side, however many they are."""
        now = self._clock()
        due = [model for model, holders in models.items() if not self._is_fresh(model, holders, now)]
        found = self._aliases.models(due) if due else {}
        uids = {name: self._uid(model, history) for name, model in found.items()}
        seqs = history.last_seqs(uids.values()) if uids else {}
        for model in due:
            uid, before = uids.get(model), self._known.get(model)
            seq = seqs.get(uid, 0) if uid else 0
            if before is not None and (before.model_uid, before.seq) == (uid, seq):
                state = before.state
            else:
                state = fold(history.moves(uid)) if uid and seq else None
            self._known[model] = _Known(now, models[model], uid, seq, state)

    def _is_fresh(self, model: str, holders: Mapping[str, AliasHolder | None], now: float) -> bool:
        known = self._known.get(model)
        return known is not None and known.holders == holders and now - known.asked_at < self._every_s

    def _uid(self, model: RegisteredModel, history: ReadHistory) -> str:
        """Return a model's identity in the ledger; it is looked for once, since only a rename gives it another's."""
        key = (model.workspace, model.created_ms, model.name)
        if key not in self._uids:
            self._uids[key] = uid_of(model, history, self._required)
        return self._uids[key]

    def _required(self, name: str) -> RegisteredModel:
        found = self._aliases.models([name])
        if name not in found:
            raise NotFound(f"there is no model '{name}'", code="unknown-model", hint=None)
        return found[name]
