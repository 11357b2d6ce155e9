"""The verb approve: somebody approves exactly these files, under the policy as it is. Pure."""

from dataclasses import replace

from slipway.registry.decisions.who import Who, event_by
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation
from slipway.registry.manifest import Manifest
from slipway.registry.version import Version


def approval(situation: Situation, version: Version, stage: str, who: Who, manifest: Manifest | None) -> Event:
    """Return the event by which somebody approves exactly these files for a stage, under the policy as it is."""
    event = event_by(EventKind.VERSION_APPROVED, situation, version, stage, who)
    named = {"manifest": manifest.digest} if manifest else {}
    return replace(event, digests={**named, "policy": situation.policy.digest})
