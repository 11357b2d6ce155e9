"""What the ledger holds: one event for each decision, as the exact bytes that are hashed.

Each model has a chain of its own. An event's text is canonical JSON (sorted keys, no spaces, no NaN); its hash
is SHA-256 over the hash before it and that text, and the first stands on the model's identity. Everything else
that is stored beside the text is derived from it.
"""

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from slipway.registry.errors import Corrupt


class EventKind(enum.StrEnum):
    """What happened. A kind that a later Slipway adds is kept as it is, and moves no stage here."""

    VERSION_REGISTERED = "VersionRegistered"
    GATE_ASSESSED = "GateAssessed"
    VERSION_APPROVED = "VersionApproved"
    VERSION_PROMOTED = "VersionPromoted"
    VERSION_ROLLED_BACK = "VersionRolledBack"
    VERSION_ADOPTED = "VersionAdopted"
    VERSION_DEMOTED = "VersionDemoted"
    VERSION_ARCHIVED = "VersionArchived"
    VERSION_PACKAGED = "VersionPackaged"
    RETRAIN_REQUESTED = "RetrainRequested"


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """One decision about one version.

    `kind` is an `EventKind` or a word of a later version. `stage` is where it leads, where it leads anywhere.
    `digests` name what the decision rests on, so that it can be run again: `policy`, `rows`, `manifest`, `holdout`,
    `evidence`, `git_commit`. `details` are the kind's own, in plain JSON values.
    """

    kind: str
    model_uid: str
    model: str
    version: int
    stage: str | None
    actor: str
    actor_authenticated: bool
    at: datetime
    reason: str
    digests: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the canonical JSON that is stored and hashed.

        Raises
        ------
        ValueError
            A detail is not finite, or the time has no zone.
        """
        if self.at.tzinfo is None:
            raise ValueError("an event's time needs a zone")
        document = {
            "kind": str(self.kind),
            "model_uid": self.model_uid,
            "model": self.model,
            "version": self.version,
            "stage": self.stage,
            "actor": self.actor,
            "actor_authenticated": self.actor_authenticated,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "reason": self.reason,
            "digests": dict(self.digests),
            "details": dict(self.details),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def event_from_text(text: str) -> Event:
    """Return the event that a stored text holds.

    Raises
    ------
    Corrupt
        The text is not what `to_text` writes.
    """
    try:
        document = json.loads(text)
        return Event(**{**document, "at": datetime.fromisoformat(document["at"])})
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt(
            f"a stored event cannot be read: {error}", code="unreadable-event", hint="slipway history MODEL --verify"
        ) from error


def first_hash(model_uid: str) -> str:
    """Return the hash before a model's first event."""
    return hashlib.sha256(f"slipway/1/{model_uid}".encode()).hexdigest()


def next_hash(before: str, text: str) -> str:
    """Return the hash of an event's text after the hash before it; both are 64 hexadecimal digits."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
