"""Which recorded verdict counts: the last one for a stage of those whose verdicts count there.

What was found later about the same files, under the same policy and against the same champion replaces what was found
before, for better or worse. A verdict of somebody whose verdicts do not count neither helps nor replaces anything.
"""

from collections.abc import Sequence

from slipway.registry.errors import Conflict
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import Event, EventKind

RESTS_ON = ("manifest", "policy", "champion_manifest")


def counting(about: Sequence[Record], stage: str, verdict_by: Sequence[str] | None) -> tuple[Record, ...]:
    """Return the verdicts for a stage that count there, in their order; `verdict_by` of `None` lets everybody's."""
    return tuple(
        each
        for each in about
        if each.kind == EventKind.GATE_ASSESSED
        and each.event.stage == stage
        and (verdict_by is None or each.event.actor in verdict_by)
    )


def require_last_word(about: Sequence[Record], stage: str, verdict_by: Sequence[str] | None, *, seq: int) -> None:
    """Refuse to decide on a recorded verdict that a later one replaced.

    Raises
    ------
    Conflict
        Another verdict on the same files, policy and champion was recorded after it, whatever it said; or there is none
        with that number about this version.
    """
    used = next((each.event for each in about if each.seq == seq and each.kind == EventKind.GATE_ASSESSED), None)
    if used is None:
        raise Conflict(
            f"event {seq} is no verdict on this version", code="no-such-verdict", hint="assess it anew: slipway gate"
        )
    later = [each for each in counting(about, stage, verdict_by) if each.seq > seq and _same_subject(each.event, used)]
    if later:
        last = later[-1]
        raise Conflict(
            f"the verdict of event {seq} was replaced by that of event {last.seq}, by {last.event.actor}: "
            f"{last.event.details['outcome']}",
            code="verdict-superseded",
            hint=f'decide on the last: slipway promote {used.model}/{used.version} --to {stage} --reason "…"',
        )


def _same_subject(event: Event, other: Event) -> bool:
    same = all(event.digests.get(name) == other.digests.get(name) for name in RESTS_ON)
    return same and event.details["champion"] == other.details["champion"]
