"""What is recorded of a version for good: its files, where they lie and where it comes from. Pure."""

from dataclasses import dataclass, replace
from typing import Any

from slipway.registry.decisions.who import Who, event_by
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation
from slipway.registry.manifest import Manifest
from slipway.registry.version import Version
from slipway.registry.versions.provenance import RECORDED_AS, Provenance


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedFiles:
    """What is recorded of a version for good: its files, where they lie, and where it comes from.

    `provenance` is `None` where an earlier event has it: that counts.
    """

    manifest: Manifest
    location: str
    provenance: Provenance | None


def registration(situation: Situation, version: Version, who: Who, recorded: RecordedFiles) -> Event:
    """Return the event that records a version with its files."""
    return recording(EventKind.VERSION_REGISTERED, situation, version, None, who, recorded)


def recording(
    kind: EventKind, situation: Situation, version: Version, stage: str | None, who: Who, recorded: RecordedFiles
) -> Event:
    """Return the event that records a version with its files, whatever else it decides."""
    provenance = recorded.provenance
    details: dict[str, Any] = {"manifest": recorded.manifest.to_json(), "location": recorded.location}
    digests = {"manifest": recorded.manifest.digest, "run": version.run_id}
    if provenance is not None:
        details[RECORDED_AS] = provenance.to_document()
        digests |= {"holdout": provenance.holdout, "git_commit": provenance.git_commit}
    event = event_by(kind, situation, version, stage, who, details=details)
    return replace(event, digests={name: digest for name, digest in digests.items() if digest})
