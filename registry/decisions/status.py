"""Status: what is in which stage by the history, and where the registry shows something else.

It always answers: a model of which something cannot be read or written has its problem told beside all others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from shlex import quote
from typing import Any

from slipway.registry.decisions.carry_out import is_applied, settle
from slipway.registry.engines.heartbeats import Heartbeat, alive
from slipway.registry.engines.named_beats import named_now
from slipway.registry.engines.served import served_by, still_served
from slipway.registry.errors import SlipwayError
from slipway.registry.ledger.ledger import Ledger, whatever_the_policy
from slipway.registry.ledger.situation import Situation, look, situation_of, with_deleted
from slipway.registry.problem import Problem
from slipway.registry.registered_model import RegisteredModel


@dataclass(frozen=True, kw_only=True, slots=True)
class StageStatus:
    """A stage of a model: who is in it, since when and by whom; `wrong` and `mend` where the registry differs.

    `served` has a text for each engine that serves the stage.
    """

    model: str
    stage: str
    version: str
    since: str
    by: str
    wrong: str | None
    mend: str | None
    served: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "since": self.since or None, "by": self.by or None, "served": list(self.served)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Every stage in use, and what keeps the rest from being told or applied."""

    stages: tuple[StageStatus, ...]
    problems: tuple[Problem, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "stages": [row.to_document() for row in self.stages],
            "problems": [asdict(problem) for problem in self.problems],
        }


def status_from(document: Mapping[str, Any]) -> Status:
    """Return the status that `to_document` wrote; a server of an earlier Slipway tells no problems."""
    problems = tuple(Problem(**each) for each in document.get("problems", ()))
    return Status(stages=tuple(map(_stage_from, document["stages"])), problems=problems)


def _stage_from(document: Mapping[str, Any]) -> StageStatus:
    texts = {"since": document["since"] or "", "by": document["by"] or "", "served": tuple(document["served"])}
    return StageStatus(**{**document, **texts})


def everybody(model: str) -> bool:
    """Return that a model is seen, whatever it is called."""
    return True


def status_of_models(
    ledger: Ledger, *, seen: Callable[[str], bool], beats: Callable[[], Sequence[Heartbeat]], now: datetime
) -> Status:
    """Return every stage in use of the models with names that are seen; decisions that were not applied are applied.

    `beats` returns what serving engines say of themselves.
    """
    ledger, notes = whatever_the_policy(ledger)
    book = ledger.policies()
    read_once = replace(ledger, policies=lambda: book)
    shown = [model for model in ledger.registry.models() if seen(model.name)]
    found = [status_of(model, read_once) for model in shown]
    heard, silent = _heard(beats, ledger, now)
    rows = [row for each in found for row in each.stages]
    in_use = {(row.model, row.stage) for row in rows} | {(each.name, alias) for each in shown for alias in each.aliases}
    return Status(
        stages=tuple(replace(row, served=_served(row, heard)) for row in rows),
        problems=(
            *(Problem(model=None, problem=note, hint="slipway policy check") for note in notes),
            *silent,
            *(problem for each in found for problem in each.problems),
            *still_served([beat for beat in heard if seen(beat.model)], in_use),
        ),
    )


def _heard(
    beats: Callable[[], Sequence[Heartbeat]], ledger: Ledger, now: datetime
) -> tuple[Sequence[Heartbeat], tuple[Problem, ...]]:
    """Return what living engines say; where that cannot be read, what is in the stages is told all the same."""
    try:
        return named_now(alive(beats(), now), ledger), ()
    except SlipwayError as error:
        said = f"what engines say cannot be read: {error.message}"
        return (), (Problem(model=None, problem=said, hint=error.hint),)


def _served(row: StageStatus, beats: Sequence[Heartbeat]) -> tuple[str, ...]:
    return served_by(beats, model=row.model, stage=row.stage, version=row.version)


def status_of(model: RegisteredModel, ledger: Ledger) -> Status:
    """Return every stage of a model that is in use; decisions that were not applied are applied first.

    `model` may have been read a while ago, with all others: it is read again before anything is called wrong.
    """
    try:
        situation = _agreeing(settle(situation_of(model, ledger), ledger), ledger)
        for stage, there in situation.state.stages.items():
            situation = with_deleted(situation, stage, ledger) if there.version in situation.gone else situation
    except SlipwayError as error:
        return Status(stages=(), problems=(Problem(model=model.name, problem=error.message, hint=error.hint),))
    removed = [stage for stage in situation.state.stages if stage not in situation.policy.names]
    found = (_stage_status(situation, stage) for stage in (*situation.policy.names, *removed))
    return Status(
        stages=tuple(status for status in found if status is not None),
        problems=tuple(_unapplied(situation, each) for each in situation.unapplied),
    )


def _agreeing(situation: Situation, ledger: Ledger) -> Situation:
    """Look again at a model whose aliases are not where the ledger says, or of which a decision is not applied.

    The registry was read before the ledger, and somebody may have decided in between.
    """
    names = situation.policy.names
    if all(situation.holder(stage) == situation.occupant(stage) for stage in names) and is_applied(situation, ledger):
        return situation
    return replace(look(situation.name, ledger), unapplied=situation.unapplied)


def _unapplied(situation: Situation, what: str) -> Problem:
    said = f"the registry does not take what the history says: {what}"
    hint = f"each command tries again; what was decided holds: slipway history {quote(situation.name)}"
    return Problem(model=situation.name, problem=said, hint=hint)


def _stage_status(situation: Situation, stage: str) -> StageStatus | None:
    there, holder = situation.state.stages.get(stage), situation.holder(stage)
    if there is None and holder is None:
        return None
    wrong, mend = _difference(situation, stage)
    return StageStatus(
        model=situation.name,
        stage=stage,
        version=str(there.version if there else holder),
        since=f"{there.since:%Y-%m-%d %H:%M:%S}" if there else "",
        by=there.by if there else "",
        wrong=wrong,
        mend=mend,
    )


def _difference(situation: Situation, stage: str) -> tuple[str | None, str | None]:
    """Return what is wrong with a stage, and the commands that mend it."""
    there, holder = situation.state.stages.get(stage), situation.holder(stage)
    occupant = there.version if there else None
    model, version = situation.name, quote(f"{situation.name}/{occupant}")
    adopt = f'slipway adopt {quote(f"{model}@{stage}")} --reason "…"'
    put_back = f'slipway promote {version} --to {stage} --reason "…"'
    take_out = f'slipway demote {version} --reason "…"'
    if stage not in situation.policy.names:
        return "the policy has no such stage any more", f"take it out with {take_out}"
    if occupant in situation.gone and holder is None:
        back = situation.before(stage)
        skip = "" if back == situation.state.before(stage) else "--skip-damaged "
        go_back = f'go back to {back} with slipway rollback {quote(model)} --stage {stage} {skip}--reason "…", or '
        return "the version was deleted behind the history", f"{go_back if back else ''}take it out with {take_out}"
    if occupant == holder:
        return None, None
    if occupant is None:
        return "not in the history", f"take it over with {adopt}"
    if holder is None:
        return "the alias was removed behind the history", f"put it back with {put_back}"
    if occupant in situation.gone:
        return (
            f"the alias was moved to {holder} behind the history, and the version was deleted",
            f"accept it with {adopt}",
        )
    return (
        f"the alias was moved to {holder} behind the history",
        f"put it back with {put_back}, or accept it with {adopt}",
    )
