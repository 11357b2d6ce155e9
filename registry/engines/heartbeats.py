"""What serving engines say of themselves: which version each serves, and since when.

Plain rows, overwritten by each beat: no part of the ledger, and nothing that serving depends on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from slipway.registry.text import REASON_CHARACTERS, cleaned

ALIVE_WITHIN = timedelta(seconds=20)
FORGOTTEN_AFTER = timedelta(hours=1)  # an engine that was killed says no goodbye
STABLE = "stable"  # the variant that is what the registry has in the stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """One engine's word on a variant of a target.

    `version` is `None` while nothing is serving, `problem` where all is well.

    `since` is when the version began to serve, `at` when the engine said so.
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
    variant: str = STABLE

    def is_alive(self, now: datetime) -> bool:
        """Return whether the engine said so lately."""
        return now - self.at < ALIVE_WITHIN

    def to_document(self) -> dict[str, Any]:
        """Return plain JSON values; times as ISO 8601. A problem may hold whatever a model printed."""
        since = self.since.isoformat() if self.since else None
        problem = cleaned(self.problem, REASON_CHARACTERS) if self.problem else None
        return {**asdict(self), "since": since, "at": self.at.isoformat(), "problem": problem}


def alive(beats: Iterable["Heartbeat"], now: datetime) -> tuple["Heartbeat", ...]:
    """Return what engines said lately."""
    return tuple(beat for beat in beats if beat.is_alive(now))


def heartbeat_from(document: Mapping[str, Any]) -> Heartbeat:
    """Return the heartbeat that `to_document` wrote."""
    return Heartbeat(**{**document, "since": _time(document["since"]), "at": _time(document["at"])})


def _time(text: str | None) -> Any:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


class Heartbeats(Protocol):
    """Where engines leave their word."""

    def beat(self, beats: Sequence[Heartbeat]) -> None:
        """Write an engine's word over its earlier one, and forget those who have long been silent.

        Raises Unavailable when that cannot be written.

        Raises NotApproved where it may speak of some models only: its word on those is written.
        """

    def leave(self, engine: str) -> None:
        """Take an engine's rows away: it stops."""

    def all(self) -> tuple[Heartbeat, ...]:
        """Return every engine's last word, ordered by model, stage, engine and variant."""


class Claims(Protocol):
    """Whose word an engine's is, on a server that knows its users: that of the first who wrote it."""

    def claim(self, engine: str, user: str) -> str:
        """Bind an engine to a user, unless it is bound already, and return to whom it is."""

    def owner(self, engine: str) -> str | None:
        """Return to whom an engine is bound."""

    def release(self, engine: str) -> None:
        """Let whoever comes next have an engine's name."""
