"""Roles: who may assess, approve, promote and override, where the policy says so."""

import enum
from collections.abc import Callable

from registry.errors import NotApproved
from registry.policy import Policy


class Role(enum.StrEnum):
    """What somebody does for a stage, in the policy's words; to register versions is a matter of MLflow's alone."""

    REGISTER = "register"
    ASSESS = "assess"
    APPROVE = "approve"
    PROMOTE = "promote"
    OVERRIDE = "override"


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
    listed: tuple[str, ...] | None = getattr(policy.stages[stage].roles, role, None)
    if listed is None:
        if may_edit:
            return
        raise NotApproved(
            f"{actor} may not {role} for {stage} of {model}: that takes MLflow's permission to edit the model",
            code="not-your-role",
            hint=f"ask for it, or have the policy list you: stages: {{{stage}: {{roles: {{{role}: [{actor}]}}}}}}",
        )
    if actor not in listed:
        raise NotApproved(
            f"{actor} may not {role} for {stage} of {model}: the policy lets {', '.join(listed) or 'nobody'}",
            code="not-your-role",
            hint=f"ask one of them, or have the policy changed: stages: {{{stage}: {{roles: {{{role}: […]}}}}}}",
        )
