"""What to do about a target when the registry was looked at: the rule of following, pure.

A version that cannot be put in place never replaces one that works, and is tried again later and later. A stage that is
empty in the registry keeps what is in place: an alias that somebody deleted must not stop production.
"""

import enum
from dataclasses import dataclass, replace

from serving.prepared import Prepared
from serving.target import Sighting, Target

RETRY_AFTER_S = 5.0
RETRY_AT_MOST_S = 300.0


class Step(enum.Enum):
    """What comes next for a target."""

    KEEP = "keep"
    PREPARE = "prepare"


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """A target as the supervisor knows it.

    `failed` is the version that could not be put in place, `failures` how often in a row, `retry_at` when (on the
    monotonic clock, in seconds) it is tried again.
    """

    target: Target
    in_place: Prepared | None = None
    failed: Sighting | None = None
    failures: int = 0
    retry_at: float = 0.0
    problem: str | None = None


def next_step(followed: Followed, seen: Sighting | None, now: float) -> tuple[Step, Followed]:
    """Return what to do, and what is known of the target after looking."""
    if seen is None:
        there = f"keeping {followed.in_place.number}" if followed.in_place else "nothing to serve"
        problem = f"no version of {followed.target.model} is in {followed.target.stage} in the registry; {there}"
        return Step.KEEP, replace(followed, failed=None, failures=0, problem=problem)
    if followed.in_place is not None and followed.in_place.sighting == seen:
        return Step.KEEP, succeeded(followed, followed.in_place)
    if followed.failed == seen and now < followed.retry_at:
        return Step.KEEP, followed
    return Step.PREPARE, followed


def succeeded(followed: Followed, prepared: Prepared) -> Followed:
    """Return what is known after a version was put in place."""
    return Followed(target=followed.target, in_place=prepared)


def failed(followed: Followed, seen: Sighting, why: str, now: float) -> Followed:
    """Return what is known after a version could not be put in place."""
    failures = followed.failures + 1 if followed.failed == seen else 1
    wait_s = min(RETRY_AFTER_S * 2 ** (failures - 1), RETRY_AT_MOST_S)
    there = f"; {followed.in_place.number} goes on" if followed.in_place else ""
    problem = f"{followed.target.model}/{seen.number} cannot be put in place: {why}{there}"
    return replace(followed, failed=seen, failures=failures, retry_at=now + wait_s, problem=problem)
