"""What to do about a target when the registry was polled: the rule of following, pure.

What the history put into a stage is served, wherever the alias points. A version that cannot be served never
replaces one that works, and is tried again later and later. A stage that is empty keeps what is serving: an alias that
somebody deleted must not stop production.
"""

import enum
from dataclasses import dataclass, replace

from slipway.registry.versions.aliases import AliasHolder
from slipway.registry.versions.occupants import StageView
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.target import Sighting, Target, Variant

RETRY_AFTER_S = 5.0
RETRY_AT_MOST_S = 300.0


class NextStep(enum.Enum):
    """What comes next for a target."""

    KEEP = "keep"
    PREPARE = "prepare"
    TAKE_OUT = "take out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """A variant of a target as the supervisor knows it.

    `is_recorded` is false while it serves what only an alias says, and what a decision chose that the history does not
    have any more: that one `is_lost`, as after a restore, and goes on. `dispute` is where alias and history disagree,
    and `is_disputed` whether they did at the poll before, too: between a decision and its alias they differ for a
    moment. `is_known` says that this engine has read what the registry has there, or was told that it may not: from
    then on what was served long ago is of no use. `is_from_memory` says that what serves was served long ago, and that
    nobody has shown it since. `failed` is the version that could not be served, `failures` how often in a row,
    `retry_at` when (on the monotonic clock, in seconds) it is tried again.
    """

    variant: Variant
    in_place: Prepared | None = None
    failed: Sighting | None = None
    failures: int = 0
    retry_at: float = 0.0
    problem: str | None = None
    is_known: bool = False
    is_from_memory: bool = False
    is_recorded: bool = True
    is_lost: bool = False
    dispute: str | None = None
    is_disputed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What polling registry and history leads to: the version to serve, if any, and what is to be said of it.

    `withheld` is why what is there is not served; with `is_undecided` since no decision put it there, which is asked
    for: then it is not kept either. `is_emptied` says that by the history nothing is there, `is_unspoken` that it never
    spoke of the stage. `trouble` is why this model
    could not be read: what is serving goes on, as in an outage. `is_denied` says that this engine may not read it: then
    nothing is started from memory either.
    """

    sighting: Sighting | None
    is_recorded: bool = True
    dispute: str | None = None
    withheld: str | None = None
    is_undecided: bool = False
    is_emptied: bool = False
    is_unspoken: bool = False
    trouble: str | None = None
    is_denied: bool = False

    @property
    def is_empty(self) -> bool:
        """Return whether the registry has nothing there, and nothing is to be said of it."""
        return self.sighting is None and not (self.dispute or self.withheld or self.trouble)


def seen_of(target: Target, placed: StageView | None, *, require_history: bool) -> Seen:
    """Return what to serve for a target: what the history put there, else what the alias says where that is allowed.

    Where the history has spoken of the stage, an alias alone puts nothing into it.
    """
    if placed is None:
        return Seen(sighting=None, is_unspoken=True)
    if placed.trouble is not None:
        trouble = f"{target.model} cannot be read: {placed.trouble}"
        return Seen(sighting=None, trouble=trouble, is_denied=placed.is_denied)
    held = placed.holder
    if not placed.is_recorded:
        if held is None or not require_history:
            return Seen(sighting=_sighting(held), is_recorded=held is None, is_unspoken=True)
        return Seen(sighting=None, withheld=_unrecorded(target, held.number), is_undecided=True, is_unspoken=True)
    points = f"points at {held.number}" if held else "is gone"
    alias = f"the alias {target.stage} of {target.model} {points}"
    if placed.number is None:
        said = f"{alias}, and the history has nothing there" if held else None
        return Seen(sighting=None, dispute=said, is_emptied=True)
    if placed.occupant is None:
        why = f"the history has {placed.number} in {target.stage}, and that version of {target.model} is gone"
        return Seen(sighting=None, withheld=f"{why}; slipway status says what to do")
    same = held is not None and held.number == placed.number
    said = None if same else f"{alias}, and the history has {placed.number} there, which is served; slipway status"
    chosen = Sighting(identity=placed.occupant.identity, number=placed.occupant.number, manifest=placed.manifest)
    return Seen(sighting=chosen, dispute=said)


def _sighting(holder: AliasHolder | None) -> Sighting | None:
    return Sighting(identity=holder.identity, number=holder.number) if holder else None


def _unrecorded(target: Target, number: int) -> str:
    return (
        f"{target.model}/{number} has the alias {target.stage}, and the history knows nothing of it: "
        f'slipway adopt {target} --reason "…"; or serve what no decision put there: serving: {{require_history: false}}'
    )


def polled_again(followed: Followed, seen: Seen) -> Followed:
    """Return what is known of a target after polling, before anything follows from it.

    Whether a decision put there what serves is of that very version: what was seen of another says nothing of it.
    """
    again = seen.dispute is not None and seen.dispute == followed.dispute
    there = followed.in_place
    is_it = there is None or (seen.sighting is not None and there.is_what(seen.sighting))
    is_lost = there is not None and seen.is_unspoken and (followed.is_recorded or followed.is_lost)
    is_recorded = (seen.is_recorded if is_it else followed.is_recorded) and not is_lost
    return replace(
        followed, is_known=True, is_recorded=is_recorded, is_lost=is_lost, dispute=seen.dispute, is_disputed=again
    )


def next_step(followed: Followed, polled: Seen, now: float) -> tuple[NextStep, Followed]:
    """Return what to do, and what is known of the target after polling."""
    there = f"keeping {followed.in_place.number}" if followed.in_place else "nothing to serve"
    if polled.trouble is not None:
        return NextStep.KEEP, replace(followed, problem=f"{polled.trouble}; {there}")
    followed, seen = polled_again(followed, polled), polled.sighting
    if seen is None:
        empty = f"no version of {followed.variant.target.model} is in {followed.variant.target.stage} in the registry"
        if followed.in_place is not None and _is_nobodys(followed, polled):
            problem = f"{polled.withheld or polled.dispute or empty}; nothing is served"
            return NextStep.TAKE_OUT, replace(followed, in_place=None, failed=None, failures=0, problem=problem)
        problem = f"{polled.withheld or polled.dispute or empty}; {there}"
        return NextStep.KEEP, replace(followed, failed=None, failures=0, problem=problem)
    if followed.in_place is not None and followed.in_place.is_what(seen):
        return NextStep.KEEP, succeeded(followed, followed.in_place)
    if followed.failed == seen and now < followed.retry_at:
        return NextStep.KEEP, followed
    return NextStep.PREPARE, followed


def _is_nobodys(followed: Followed, polled: Seen) -> bool:
    """Return whether what serves is what no decision put there, where one is asked for, or what memory alone has."""
    was_chosen = followed.is_recorded or followed.is_lost
    return (polled.is_undecided and not was_chosen) or (polled.is_emptied and followed.is_from_memory)


def succeeded(followed: Followed, prepared: Prepared) -> Followed:
    """Return what is known after a version began to serve."""
    return replace(
        followed, in_place=prepared, is_from_memory=False, failed=None, failures=0, retry_at=0.0, problem=None
    )


def problem_of(followed: Followed) -> str | None:
    """Return what is wrong with a target, if anything; a dispute counts from the second poll on."""
    if followed.problem and followed.is_disputed and str(followed.dispute) not in followed.problem:
        return f"{followed.problem}; {followed.dispute}"
    return followed.problem or (followed.dispute if followed.is_disputed else None)


def failed(followed: Followed, seen: Sighting, why: str, now: float) -> Followed:
    """Return what is known after a version could not be served."""
    failures = followed.failures + 1 if followed.failed == seen else 1
    wait_s = min(RETRY_AFTER_S * 2 ** (failures - 1), RETRY_AT_MOST_S)
    there = f"; {followed.in_place.number} goes on" if followed.in_place else ""
    problem = f"{followed.variant.target.model}/{seen.number} cannot be served: {why}{there}"
    return replace(followed, failed=seen, failures=failures, retry_at=now + wait_s, problem=problem)
