"""What serving engines say of themselves: which version each has in place, and since when.

Plain rows, overwritten by each beat: no part of the ledger, and nothing that serving depends on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

ALIVE_WITHIN = timedelta(seconds=20)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """One engine's word on one target; `version` is `None` while nothing is in place, `problem` where all is well.

    `since` is when the version was put in place, `at` when the engine said so.
    """

    engine: str
    model: str
    stage: str
    version: int | None
    since: datetime | None
    at: datetime
    runner: str | None
    address: str
    problem: str | None

    def is_alive(self, now: datetime) -> bool:
        """Return whether the engine said so lately."""
        return now - self.at < ALIVE_WITHIN

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values; times as ISO 8601."""
        return {**asdict(self), "since": self.since.isoformat() if self.since else None, "at": self.at.isoformat()}


def heartbeat_from(document: Mapping[str, Any]) -> Heartbeat:
    """Return the heartbeat that `to_document` wrote."""
    return Heartbeat(**{**document, "since": _time(document["since"]), "at": _time(document["at"])})


def _time(text: str | None) -> Any:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


class Heartbeats(Protocol):
    """Where engines leave their word."""

    def beat(self, beats: Sequence[Heartbeat]) -> None:
        """Write an engine's word over its earlier one; raises Unavailable when that cannot be written."""

    def leave(self, engine: str) -> None:
        """Take an engine's rows away: it stops."""

    def all(self) -> tuple[Heartbeat, ...]:
        """Return every engine's last word, ordered by model, stage and engine."""
