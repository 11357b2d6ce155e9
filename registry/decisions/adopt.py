"""The verb adopt: a version that has a stage's alias already is taken over where it is. Pure."""

from slipway.registry.decisions.record_files import RecordedFiles, recording
from slipway.registry.decisions.who import Who
from slipway.registry.errors import NotFound
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation, require_not_above
from slipway.registry.version import Version


def adoption_target(situation: Situation, stage: str) -> int | None:
    """Return the version that has a stage's alias; `None` where the history has it there already.

    Raises
    ------
    NotFound
        No version has the alias.
    """
    number = situation.holder(stage)
    if number is None:
        raise NotFound(
            f"no version of {situation.name} has the alias '{stage}'",
            code="unknown-alias",
            hint=f"slipway versions {situation.name}",
        )
    return number if situation.occupant(stage) != number else None


def adoption(situation: Situation, version: Version, stage: str, who: Who, recorded: RecordedFiles) -> Event:
    """Return the event that takes a version over where it is, with its files as they are now.

    Raises
    ------
    Conflict
        By the history it is in a later stage: it would be taken out of that one.
    """
    require_not_above(situation, version.number, stage)
    return recording(EventKind.VERSION_ADOPTED, situation, version, stage, who, recorded)
