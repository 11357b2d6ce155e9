"""Roles: who may assess, approve, promote, override and speak for an engine, where the policy says so."""

import enum
from collections.abc import Callable

from slipway.registry.errors import NotApproved
from slipway.registry.policy.policy import Policy


class Role(enum.StrEnum):
    """What somebody does for a stage, in the policy's words; to register versions is a matter of MLflow's alone."""

    REGISTER = "register"
    ASSESS = "assess"
    APPROVE = "approve"
    PROMOTE = "promote"
    OVERRIDE = "override"
    ENGINE = "engine"


ACTS = {Role.ENGINE: "speak as an engine"}

May = Callable[[Role, str, str], None]
"""Refuse an act that is not somebody's to do: the role that it takes, the model, and the stage."""


def anybody(role: Role, model: str, stage: str) -> None:
    """Refuse nothing: on a ledger of one's own, roles are nobody's to enforce."""


def require_role(role: Role, policy: Policy, *, model: str, stage: str, actor: str, may_edit: bool) -> None:
    """Refuse an act that takes a role which the actor has not got.

    `may_edit` says whether MLflow lets the actor edit the model: where the policy lists nobody for a role, those do.

    Raises
    ------
    NotApproved
        The policy lists others, or nobody, and the actor may not edit the model.
    """
    declared = policy.stages.get(stage)  # an engine may follow an alias that is no stage
    listed: tuple[str, ...] | None = getattr(declared.roles, role, None) if declared else None
    refused = f"{actor} may not {ACTS.get(role, role)} for {stage} of {model}"
    if listed is None:
        if may_edit:
            return
        raise NotApproved(
            f"{refused}: that takes MLflow's permission to edit the model",
            code="not-your-role",
            hint=f"ask for it, or have the policy list you: stages: {{{stage}: {{roles: {{{role}: [{actor}]}}}}}}",
        )
    if actor not in listed:
        raise NotApproved(
            f"{refused}: the policy lets {', '.join(listed) or 'nobody'}",
            code="not-your-role",
            hint=f"ask one of them, or have the policy changed: stages: {{{stage}: {{roles: {{{role}: […]}}}}}}",
        )
