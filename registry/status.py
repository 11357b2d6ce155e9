"""Status: what is in which stage by the history, and where the registry shows something else."""

from dataclasses import dataclass

from registry.decide import Ledger, Situation, agreeing, settle, situation_of
from registry.identity import RegisteredModel


@dataclass(frozen=True, kw_only=True, slots=True)
class StageStatus:
    """A stage of a model: who is in it, since when and by whom; `wrong` and `mend` where the registry differs."""

    model: str
    stage: str
    version: str
    since: str
    by: str
    wrong: str | None
    mend: str | None


def status_of(model: RegisteredModel, ledger: Ledger) -> tuple[StageStatus, ...]:
    """Return every stage of a model that is in use; decisions that were not applied are applied first.

    `model` may have been read a while ago, with all others: it is read again before anything is called wrong.
    """
    situation = agreeing(settle(situation_of(model, ledger), ledger), ledger)
    found = (_stage_status(situation, stage) for stage in situation.policy.names)
    return tuple(status for status in found if status is not None)


def _stage_status(situation: Situation, stage: str) -> StageStatus | None:
    there, holder = situation.state.stages.get(stage), situation.holder(stage)
    if there is None and holder is None:
        return None
    occupant = there.version if there else None
    wrong, mend = _difference(situation.name, stage, occupant, holder)
    return StageStatus(
        model=situation.name,
        stage=stage,
        version=str(occupant if occupant is not None else holder),
        since=f"{there.since:%Y-%m-%d %H:%M:%S}" if there else "",
        by=there.by if there else "",
        wrong=wrong,
        mend=mend,
    )


def _difference(model: str, stage: str, occupant: int | None, holder: int | None) -> tuple[str | None, str | None]:
    if occupant == holder:
        return None, None
    adopt = f'slipway adopt {model}@{stage} --reason "…"'
    put_back = f'slipway promote {model}/{occupant} --to {stage} --reason "…"'
    if occupant is None:
        return "not in the history", f"take it over with {adopt}"
    if holder is None:
        return "the alias was removed behind the history", f"put it back with {put_back}"
    return (
        f"the alias was moved to {holder} behind the history",
        f"put it back with {put_back}, or accept it with {adopt}",
    )
