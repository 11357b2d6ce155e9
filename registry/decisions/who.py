"""Who decides, when and why, and the event that says so."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from slipway.registry.errors import InvalidInput
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation
from slipway.registry.text import require_new_name, require_reason
from slipway.registry.version import Version


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Who decides, when and why; `authenticated` says whether a server vouches for the name."""

    actor: str
    authenticated: bool
    at: datetime
    reason: str


def say_why(actor: str, *, authenticated: bool, at: datetime, reason: str) -> Who:
    """Return who decides.

    Raises
    ------
    InvalidInput
        No reason is given, or reason or name cannot be kept for good.
    """
    if not reason.strip():
        raise InvalidInput("a decision needs a reason, and none was given", code="no-reason", hint='--reason "…"')
    name = require_new_name(actor, "the name of who decides")
    return Who(actor=name, authenticated=authenticated, at=at, reason=require_reason(reason, "the reason"))


def event_by(
    kind: EventKind,
    situation: Situation,
    version: Version,
    stage: str | None,
    who: Who,
    *,
    details: Mapping[str, Any] | None = None,
) -> Event:
    """Return the event by which somebody decides about a version."""
    return Event(
        kind=kind,
        model_uid=situation.model_uid,
        model=situation.name,
        version=version.number,
        stage=stage,
        actor=who.actor,
        actor_authenticated=who.authenticated,
        at=who.at,
        reason=who.reason,
        details=details or {},
    )
