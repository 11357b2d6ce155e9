"""Status: what is in which stage by the history, and where the registry shows something else."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from registry.decide import Ledger, Situation, agreeing, settle, situation_of
from registry.identity import RegisteredModel


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


def status_from(document: Mapping[str, Any]) -> StageStatus:
    """Return the status that `to_document` wrote."""
    texts = {"since": document["since"] or "", "by": document["by"] or "", "served": tuple(document["served"])}
    return StageStatus(**{**document, **texts})


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
