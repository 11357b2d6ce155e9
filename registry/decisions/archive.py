"""The verb archive: nothing goes back to a version any more. Pure."""

from slipway.registry.decisions.who import Who, event_by
from slipway.registry.errors import Conflict
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation
from slipway.registry.version import Version


def archived(situation: Situation, number: int) -> Event | None:
    """Return the event by which a version was archived, if nothing has moved it since."""
    last = next((record.event for record in reversed(situation.moves) if record.event.version == number), None)
    return last if last and last.kind == EventKind.VERSION_ARCHIVED else None


def archival(situation: Situation, version: Version, who: Who) -> Event | None:
    """Decide that a version is in no stage and no rollback goes to it.

    Raises
    ------
    Conflict
        The version is in a stage.
    """
    current = situation.state.stage_of(version.number)
    if current is not None:
        raise Conflict(
            f"{version} is in {current}", code="in-a-stage", hint=f'slipway demote {version} --reason "…" first'
        )
    if archived(situation, version.number):
        return None
    return event_by(EventKind.VERSION_ARCHIVED, situation, version, None, who)
