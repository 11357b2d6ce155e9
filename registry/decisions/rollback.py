"""The verb rollback: the version that was in a stage before is put back, also where nothing is in it. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from slipway.registry.decisions.archive import archived
from slipway.registry.decisions.who import Who, event_by
from slipway.registry.errors import Conflict, NotFound
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.model_state import MOVES_IN, last_out_of
from slipway.registry.ledger.situation import Situation, require_not_above, require_ours
from slipway.registry.manifest import Manifest
from slipway.registry.text import one_line
from slipway.registry.version import Version

ASK_AGAIN_WITHIN = timedelta(minutes=10)


def rollback_target(
    situation: Situation, stage: str, now: datetime, *, to_version: int | None, from_version: int | None
) -> int | None:
    """Return the version to put back, `None` where nothing is to be done.

    It is the last one that was in the stage and was not itself rolled back or demoted, or `to_version`. `from_version`
    says which version is to be left: where another is there, or none, nothing is done, so that a repeat is harmless.

    Raises
    ------
    Conflict
        A rollback has just been decided and `from_version` is not given; the alias was moved; or `to_version` was never
        in the stage, or was archived: no gate was ever passed for it, or somebody ruled it out.
    NotFound
        There is nothing to go back to.
    """
    there = situation.state.stages.get(stage)
    if from_version is not None and (there is None or there.version != from_version):
        return None
    require_ours(situation, stage)
    if there is not None and from_version is None and to_version is None:
        _require_no_recent_rollback(situation, stage, there.seq, now)
    number = to_version if to_version is not None else situation.state.before(stage)
    if number is None:
        raise _nothing_to_go_back_to(situation, stage)
    if there is not None and number == there.version:
        return None
    _require_was_there(situation, stage, number)
    return number


def _nothing_to_go_back_to(situation: Situation, stage: str) -> NotFound:
    """Return what to say where no version is good to go back to; one that was demoted may be named all the same."""
    there, out = situation.state.stages.get(stage), last_out_of(situation.moves, stage)
    before = f" before {there.version}" if there else ", or all were taken out of it again"
    demoted = out[0] if out is not None and archived(situation, out[0]) is None else None
    by_name = f"; to undo the demotion: slipway rollback {situation.name} --to-version {demoted}" if demoted else ""
    return NotFound(
        f"no version of {situation.name} was in {stage}{before}",
        code="nothing-to-go-back-to",
        hint=f"slipway history {situation.name} shows what was there{by_name}",
    )


def targets_below(situation: Situation, stage: str, number: int) -> tuple[int, ...]:
    """Return the versions that a rollback could go to instead of one, the latest first: those below it on the stack."""
    stack = situation.state.stacks.get(stage, ())
    return tuple(reversed(stack[: stack.index(number)])) if number in stack else ()


def _require_was_there(situation: Situation, stage: str, number: int) -> None:
    events = [record.event for record in situation.moves]
    mine = [event for event in events if event.version == number]
    if not any(event.stage == stage and event.kind in MOVES_IN for event in mine):
        raise Conflict(
            f"{situation.name}/{number} was never in {stage}: a rollback passes no gate, and goes back only",
            code="never-there",
            hint=f'slipway promote {situation.name}/{number} --to {stage} --reason "…"',
        )
    if ruled_out := archived(situation, number):
        raise Conflict(
            f"{situation.name}/{number} was archived by {ruled_out.actor}: {one_line(ruled_out.reason)}",
            code="archived",
            hint="choose another: --to-version N",
        )


def left_by_rollback(situation: Situation, number: int) -> Event | None:
    """Return the event that rolled back from a version, if it was put nowhere since."""
    for record in reversed(situation.moves):
        event = record.event
        if event.version == number and event.kind in MOVES_IN:
            return None
        if event.kind == EventKind.VERSION_ROLLED_BACK and event.details.get("rolled_back") == number:
            return event
    return None


def _require_no_recent_rollback(situation: Situation, stage: str, seq: int, now: datetime) -> None:
    last = next(record.event for record in situation.moves if record.seq == seq)
    if last.kind == EventKind.VERSION_ROLLED_BACK and now - last.at < ASK_AGAIN_WITHIN:
        raise Conflict(
            f"{situation.name} was rolled back to {last.version} in {stage} at {last.at:%H:%M:%S} UTC by {last.actor}",
            code="rolled-back-just-now",
            hint=f"to go back once more, say from where: slipway rollback {situation.name} --from {last.version}",
        )


def rollback(
    situation: Situation,
    version: Version,
    stage: str,
    who: Who,
    manifest: Manifest | None = None,
    *,
    skipped: Mapping[int, str] | None = None,
) -> Event:
    """Return the event that puts a version back.

    `manifest` is what the ledger has of its files, if it has; `skipped` says which were damaged, and how.

    Raises
    ------
    Conflict
        It went on to a later stage and is there: it would be taken out of that one.
    """
    require_not_above(situation, version.number, stage)
    left = situation.state.stages.get(stage)
    details: dict[str, Any] = {"rolled_back": left.version, "rolled_back_seq": left.seq} if left else {}
    if skipped:
        details["skipped"] = {str(number): why for number, why in skipped.items()}
    event = event_by(EventKind.VERSION_ROLLED_BACK, situation, version, stage, who, details=details)
    return replace(event, digests={"manifest": manifest.digest} if manifest else {})
