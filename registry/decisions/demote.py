"""The verb demote: a version is taken out of its stage, into a lower one or into none. Pure."""

from slipway.registry.decisions.who import Who, event_by
from slipway.registry.errors import Conflict
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation, require_ours
from slipway.registry.version import Version


def demotion(situation: Situation, version: Version, who: Who, *, to: str | None) -> Event:
    """Decide to take a version out of its stage, into a lower one or into none.

    Raises
    ------
    Conflict
        The version is in no stage, or `to` is not below the one that it is in.
    """
    current = situation.state.stage_of(version.number)
    if current is None:
        raise Conflict(f"{version} is in no stage", code="in-no-stage", hint="slipway status")
    require_ours(situation, current)
    if to is None:
        return event_by(EventKind.VERSION_DEMOTED, situation, version, None, who)
    names = situation.policy.names
    if current not in names:
        raise Conflict(
            f"{version} is in {current}, which the policy has no more: {to} may be above it",
            code="not-downward",
            hint=f'slipway demote {version} --reason "…" takes it out; slipway promote puts it into {to}',
        )
    if names.index(to) >= names.index(current):
        raise Conflict(f"{version} is in {current}, and {to} is not below it", code="not-downward", hint=None)
    require_ours(situation, to)
    return event_by(EventKind.VERSION_DEMOTED, situation, version, to, who)
