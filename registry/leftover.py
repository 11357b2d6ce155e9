"""What lies on this disk and may go: nothing that a version, a stage, a rollback or the history needs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from slipway.registry.manifest import files_below


@dataclass(frozen=True, kw_only=True, slots=True)
class Leftover:
    """Something that may go. `kind` is what it is and why it may go, in words; `used_at` when it was last used.

    `remove` returns whether it is gone: somebody may have begun to use it since it was found.
    """

    kind: str
    place: Path
    size_bytes: int
    used_at: datetime
    remove: Callable[[], bool]


def size_below(folder: Path) -> int:
    """Return how many bytes the files below a folder have; one that goes meanwhile has none."""
    total = 0
    for path in files_below(folder):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:
            continue
    return total


def moment(seconds: float) -> datetime:
    """Return seconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(seconds, tz=UTC)
