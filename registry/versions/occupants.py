"""What an engine is to serve: the version that the history has in a stage, beside the one that the alias points at.

Asked each second, so what was worked out of a model's history is kept until its chain grows.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from slipway.registry.errors import SlipwayError, Unavailable, is_denied
from slipway.registry.ledger.chain import HEAD_TAG, Head
from slipway.registry.ledger.events import first_hash, next_hash
from slipway.registry.ledger.history import History
from slipway.registry.ledger.identity import uid_of
from slipway.registry.ledger.model_state import ModelState, after, fold
from slipway.registry.one_by_one import each_for_itself
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.versions.aliases import Aliases, AliasHolder, Wanted, model_named

ASK_APART_WITHIN_S = 10.0


class ReadHistory(History, Protocol):
    """The ledger, which may not have been begun yet."""

    def is_there(self) -> bool:
        """Return whether there is a history at all; where there is none, nothing was ever decided."""

    def heads(self, model_uids: Collection[str]) -> Mapping[str, Head]:
        """Return the end of each model's chain; a model without one is left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageView:
    """A stage of a model, as the registry and as the history have it.

    `holder` has the alias; `occupant` is the version that the history has there. The history may have spoken of the
    stage, `is_recorded`, and have nothing there, or have a version there, `number`, that is gone. `manifest` is the
    digest of the files that were chosen, where the decision names one. `trouble` is why it could not be read,
    where that is this model's own: then nothing is known of it; `is_denied` that nobody here may read it.
    """

    holder: AliasHolder | None
    occupant: AliasHolder | None = None
    number: int | None = None
    is_recorded: bool = False
    manifest: str | None = None
    trouble: str | None = None
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """What was last worked out of a model: when, for which holders, and its state at an end of its chain.

    The end with its hash: after a restore, another event may have the same number.
    """

    asked_at: float
    holders: Mapping[str, AliasHolder | None]
    model_uid: str | None
    head: Head | None
    state: ModelState | None
    trouble: SlipwayError | None = None


def state_at(head: Head, model_uid: str, history: History, *, model: str) -> ModelState:
    """Return what a model's records add up to at the end of its chain.

    End and records are asked apart, and what lies between may answer with what was true a while ago. So the moves are
    gone on from, record by record, and have to lead to that very end.

    Raises
    ------
    Unavailable
        They do not.
    """
    moves = [record for record in history.moves(model_uid) if record.seq <= head.seq]
    state, end = fold(moves), moves[-1].head if moves else Head(seq=0, hash=first_hash(model_uid))
    for record in history.walk(model_uid, after_seq=end.seq):
        if record.seq > head.seq or record.hash != next_hash(end.hash, record.text):
            break
        state, end = after(state, record), record.head
    if end != head:
        raise Unavailable(
            f"the records of {model} lead to event {end.seq}, and its history ends with {head.seq}: they were not read "
            "in one moment, or were changed",
            code="history-behind",
            hint=f"slipway history {model} --verify",
        )
    return state


class Views(Protocol):
    """What an engine polls: which models there are, and what is in their stages."""

    @property
    def has_history(self) -> bool:
        """Return whether there was a history when it was last asked for."""

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version with the alias."""

    def model_names(self) -> tuple[str, ...]:
        """Return the names of all models."""

    def look(self, wanted: Collection[Wanted]) -> Mapping[Wanted, StageView]:
        """Return each (model, stage) that there is, as it is now."""


class StageViews:
    """Reads aliases and history together: the `Views` of a registry.

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
        self._uids: dict[tuple[str, int, str], tuple[str | None, str]] = {}
        self._is_there = False

    @property
    def has_history(self) -> bool:
        """Return whether there was a history when it was last asked for."""
        return self._is_there

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version with the alias."""
        return self._aliases.models_with(alias)

    def model_names(self) -> tuple[str, ...]:
        """Return the names of all models."""
        return self._aliases.model_names()

    def look(self, wanted: Collection[Wanted]) -> Mapping[Wanted, StageView]:
        """Return each (model, stage) as it is now. The aliases come first: a decision is recorded before its alias.

        What one model is refused or broken for is told with it alone. Raises what all are refused or broken for, and
        Unavailable when registry or history are not there.
        """
        models = list(dict.fromkeys(model for model, _ in wanted))
        found, troubles = self._look(wanted, models)
        if models and len(troubles) == len(models):
            raise troubles[models[0]]
        troubled = {
            each: StageView(holder=None, trouble=error.message, is_denied=is_denied(error))
            for each in wanted
            if (error := troubles.get(each[0])) is not None
        }
        return {**{each: placed for each, placed in found.items() if placed.holder or placed.is_recorded}, **troubled}

    def _look(
        self, wanted: Collection[Wanted], models: Sequence[str]
    ) -> tuple[dict[Wanted, StageView], dict[str, SlipwayError]]:
        began = self._clock()

        def in_time() -> bool:
            return self._clock() - began < ASK_APART_WITHIN_S

        def holders_of(some: Collection[str]) -> Mapping[str, Mapping[str, AliasHolder | None]]:
            stages = {model: [stage for each, stage in wanted if each == model] for model in some}
            held = self._aliases.holders([(model, stage) for model in some for stage in stages[model]])
            return {model: {stage: held.get((model, stage)) for stage in stages[model]} for model in some}

        holders, troubles = each_for_itself(models, holders_of, in_time=in_time)
        history = self._history
        if history is not None and not self._is_there:
            self._is_there = history.is_there()
        if history is None or not self._is_there:
            found = {(model, stage): held for model, stages in holders.items() for stage, held in stages.items()}
            return {each: StageView(holder=holder) for each, holder in found.items()}, troubles
        self._ask(holders, history, in_time)

        def placed_of(some: Collection[str]) -> Mapping[str, Mapping[str, StageView]]:
            return {
                model: {stage: self._view((model, stage), held) for stage, held in holders[model].items()}
                for model in some
            }

        placed, more = each_for_itself(list(holders), placed_of, in_time=in_time)
        return {(model, stage): each for model, some in placed.items() for stage, each in some.items()}, troubles | more

    def _view(self, wanted: Wanted, holder: AliasHolder | None) -> StageView:
        model, stage = wanted
        known = self._known[model]
        if known.trouble is not None:
            raise known.trouble
        state = known.state
        if state is None or stage not in state.stacks:
            return StageView(holder=holder)
        there = state.stages.get(stage)
        if there is None:
            return StageView(holder=holder, is_recorded=True)
        same = holder is not None and holder.number == there.version
        occupant = holder if same else self._aliases.numbered(model, there.version)
        return StageView(
            holder=holder, occupant=occupant, number=there.version, is_recorded=True, manifest=there.manifest
        )

    def _ask(
        self,
        models: Mapping[str, Mapping[str, AliasHolder | None]],
        history: ReadHistory,
        in_time: Callable[[], bool],
    ) -> None:
        """Ask the history of the models that it is time for: one question to each side, however many they are."""
        now = self._clock()
        due = [model for model, holders in models.items() if not self._is_fresh(model, holders, now)]

        def known_of(some: Collection[str]) -> Mapping[str, _Known]:
            found = self._aliases.models(some)
            uids = {name: self._uid(model, history) for name, model in found.items()}
            heads = history.heads(uids.values()) if uids else {}
            return {
                model: self._known_now(model, models[model], uids.get(model), heads, now=now, history=history)
                for model in some
            }

        if due:
            known, troubles = each_for_itself(due, known_of, in_time=in_time)
            troubled = {model: _Known(now, models[model], None, None, None, error) for model, error in troubles.items()}
            self._known |= known | troubled

    def _known_now(
        self,
        model: str,
        holders: Mapping[str, AliasHolder | None],
        uid: str | None,
        heads: Mapping[str, Head],
        *,
        now: float,
        history: ReadHistory,
    ) -> _Known:
        before, head = self._known.get(model), heads.get(uid) if uid else None
        if before is not None and (before.model_uid, before.head) == (uid, head):
            state = before.state
        else:
            state = state_at(head, uid, history, model=model) if uid and head else None
        return _Known(now, holders, uid, head, state)

    def _is_fresh(self, model: str, holders: Mapping[str, AliasHolder | None], now: float) -> bool:
        known = self._known.get(model)
        return known is not None and known.holders == holders and now - known.asked_at < self._every_s

    def _uid(self, model: RegisteredModel, history: ReadHistory) -> str:
        """Return a model's identity in the ledger; it is looked for once for a head that the model notes.

        One that notes none has no history yet: what that will be called is not known before. Another model of the same
        millisecond may have the name later, and notes another head.
        """
        noted, key = model.tags.get(HEAD_TAG), (model.workspace, model.created_ms, model.name)
        before, uid = self._uids.get(key, (None, ""))
        if noted is None or noted != before:
            uid = uid_of(model, history, lambda name: model_named(name, self._aliases))
            self._uids[key] = noted, uid
        return uid
