"""A history as plain JSON values: what the command prints and a server answers."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from slipway.registry.errors import Corrupt, InvalidInput
from slipway.registry.ledger.chain import Record, parse_head, until
from slipway.registry.ledger.chain import verify as find_defects
from slipway.registry.ledger.history import History
from slipway.registry.ledger.model_state import fold
from slipway.registry.text import cleaned


def parse_time(text: str) -> datetime:
    """Return a moment; without a zone it is UTC, without an hour it is the day's end.

    Raises
    ------
    InvalidInput
        The text is no ISO 8601 date or time.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            f"'{cleaned(text, 100)}' is no time; write 2026-11-01 or 2026-11-01T12:00", code="not-a-time", hint=None
        ) from None
    if len(text) == len("2026-11-01"):
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999999)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def shown_events(model: str, records: Sequence[Record]) -> dict[str, Any]:
    """Return every event, and the head to note elsewhere."""
    return {"model": model, "head": head_of(records), "events": [_document(record) for record in records]}


def shown_at(model: str, records: Sequence[Record], moment: datetime) -> dict[str, Any]:
    """Return what was in each stage at a moment."""
    state = fold(until(records, moment))
    stages = {stage: {"version": o.version, "since": o.since.isoformat()} for stage, o in state.stages.items()}
    return {"model": model, "at": moment.isoformat(), "stages": stages}


def verified(model: str, model_uid: str, history: History, head: str | None) -> dict[str, Any]:
    """Return how many events are as they were written; `head` is one that was noted earlier.

    Raises
    ------
    Corrupt
        One is not.
    """
    noted = [parse_head(head)] if head else []
    end = history.head(model_uid)
    defects = find_defects(model_uid, history.walk(model_uid), [*history.anchors(model_uid), *noted])
    if defects:
        raise Corrupt(
            f"the history of '{model}' is not as it was written: {'; '.join(defects)}",
            code="history-changed",
            hint="restore the database from a backup, and find out who wrote to it",
        )
    # Without defects the numbers run from 1: the last one, as it was at the beginning, is how many there were then.
    return {"model": model, "events": end.seq if end else 0, "head": str(end) if end else None, "defects": []}


def head_of(records: Sequence[Record]) -> str | None:
    """Return the end of a chain as people note it."""
    return str(records[-1].head) if records else None


def _document(record: Record) -> dict[str, Any]:
    event = record.event
    return {
        "seq": record.seq,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "version": event.version,
        "stage": event.stage,
        "actor": event.actor,
        "actor_authenticated": event.actor_authenticated,
        "reason": event.reason,
        "digests": dict(event.digests),
        "details": dict(event.details),
    }
