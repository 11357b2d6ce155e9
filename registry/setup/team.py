"""What a team's server needs, made in the one order that works: what is there stays as it is.

MLflow's tables come before ours: made after them, MLflow's own migrations would fail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Part(Protocol):
    """Something that the server needs. `make` is called when it is not there, and leaves it there."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    def is_there(self) -> bool:
        """Return whether it is there and as it has to be."""

    def make(self) -> None:
        """Make it; what somebody else made meanwhile is left as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedTeam:
    """A part, and whether it was there before."""

    name: str
    was_there: bool


def missing(parts: Sequence[Part]) -> tuple[PreparedTeam, ...]:
    """Probe which parts are there, and make none."""
    return tuple(PreparedTeam(name=part.name, was_there=part.is_there()) for part in parts)


def prepare(parts: Sequence[Part]) -> tuple[PreparedTeam, ...]:
    """Make the parts that are missing, in order; a second call finds all there and changes nothing."""
    return tuple(map(_prepared, parts))


def _prepared(part: Part) -> PreparedTeam:
    was_there = part.is_there()
    if not was_there:
        part.make()
    return PreparedTeam(name=part.name, was_there=was_there)
