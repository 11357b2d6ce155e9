"""The step promote and its kin: rollback, adopt, demote, archive. Each is a decision about one model's stages.

The functions here are pure: they take a situation and return the event to record, `None` where all is so already, or
raise why not. `registry.decisions.carry_out` carries them out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from registry.errors import Conflict, InvalidInput, NotApproved, NotFound
from registry.gate.grounds import Grounds
from registry.gate.verdict import Outcome, Verdict
from registry.ledger.events import Event, EventKind
from registry.ledger.history import MOVES_IN
from registry.ledger.situation import Situation, require_ours
from registry.manifest import Manifest
from registry.text import one_line, require_new_name, require_reason
from registry.version import Version
from registry.versions.provenance import RECORDED_AS, Provenance

ASK_AGAIN_WITHIN = timedelta(minutes=10)


@dataclass(frozen=True, kw_only=True, slots=True)
class Who:
    """Who decides, when and why; `authenticated` says whether a server vouches for the name."""

    actor: str
    authenticated: bool
    at: datetime
    reason: str


def say_why(actor: str, *, authenticated: bool, at: datetime, reason: str) -> Who:
    """Return who decides.

    Raises
    ------
    InvalidInput
        No reason is given, or reason or name cannot be kept for good.
    """
    if not reason.strip():
        raise InvalidInput("a decision needs a reason, and none was given", code="no-reason", hint='--reason "…"')
    name = require_new_name(actor, "the name of who decides")
    return Who(actor=name, authenticated=authenticated, at=at, reason=require_reason(reason, "the reason"))


def require_admissible(situation: Situation, version: Version, stage: str) -> None:
    """Refuse a promotion that no verdict could allow.

    Raises
    ------
    Conflict
        The version is not in a stage from which it may enter, or the alias of either is not where the history says.
    """
    require_ours(situation, stage)
    sources = situation.policy.sources_of(stage)
    current = situation.state.stage_of(version.number)
    names = situation.policy.names
    if current in names:
        require_ours(situation, current)
    if current in names and names.index(current) > names.index(stage):
        raise Conflict(
            f"{version} is in {current}, above {stage}: a promotion does not lead down",
            code="not-upward",
            hint=f'slipway demote {version} --to {stage} --reason "…"',
        )
    if sources and current not in sources:
        where = f"in {current}" if current else "in no stage"
        raise Conflict(
            f"{version} is {where}, and {stage} is entered from {' or '.join(sources)}",
            code="not-from-there",
            hint=f'slipway promote {version} --to {sources[0]} --reason "…" first',
        )


def promotion(situation: Situation, version: Version, stage: str, who: Who, grounds: Grounds) -> Event | None:
    """Decide to move a version into a stage on the grounds of a verdict.

    Raises
    ------
    Conflict
        The version may not enter from where it is, or the stage's occupant, the version's files or the policy are not
        what the verdict was given for.
    NotApproved
        The verdict is no PASS, and is not overridden, or may not be; or its author's verdicts do not count.
    """
    if situation.occupant(stage) == version.number:
        return None
    require_admissible(situation, version, stage)
    require_valid(situation, version, stage, grounds.verdict)
    require_voucher(situation, stage, grounds.by)
    _require_pass(situation, stage, grounds)
    details = {"verdict": grounds.verdict.outcome.name, "verdict_seq": grounds.seq}
    if grounds.override and grounds.verdict.outcome is not Outcome.PASS:
        details["override"] = grounds.override
    event = _event(EventKind.VERSION_PROMOTED, situation, version, stage, who, details=details)
    return replace(event, digests=dict(grounds.verdict.digests))


def require_voucher(situation: Situation, stage: str, actor: str) -> None:
    """Refuse a verdict of somebody whose verdicts do not count for a stage.

    Raises
    ------
    NotApproved
        The policy names who may vouch, and the actor is not among them.
    """
    allowed = situation.policy.stages[stage].verdict_by
    if allowed is not None and actor not in allowed:
        raise NotApproved(
            f"for {stage} the verdicts of {', '.join(allowed)} count, and this one is {actor}'s",
            code="verdict-by-another",
            hint=f"have slipway gate {situation.name}/N --to {stage} run by {allowed[0]}, then promote",
        )


def require_valid(situation: Situation, version: Version, stage: str, verdict: Verdict) -> None:
    """Refuse a verdict that was overtaken, saying by what.

    Raises
    ------
    Conflict
        The stage's occupant or the policy is not what the verdict was given for, or it is about something else.
    """
    occupant = situation.occupant(stage)
    overtaken = None
    if verdict.champion != occupant:
        by = situation.state.stages[stage].by if occupant else "nobody"
        there = f"{situation.name}/{occupant}, put there by {by}" if occupant else "empty"
        overtaken = f"compared with {verdict.champion or 'an empty stage'}, and {stage} is now {there}"
    elif verdict.digests.get("policy") != situation.policy.digest:
        overtaken = "given under a policy that was changed since"
    elif verdict.version != version.number or verdict.stage != stage:
        overtaken = f"about {verdict.model}/{verdict.version} for {verdict.stage}"
    if overtaken:
        raise Conflict(
            f"the verdict on {version} was {overtaken}",
            code="verdict-overtaken",
            hint=f'slipway status, then decide again: slipway promote {version} --to {stage} --reason "…"',
        )


def _require_pass(situation: Situation, stage: str, grounds: Grounds) -> None:
    verdict = grounds.verdict
    if verdict.outcome is Outcome.PASS:
        return
    worst = "; ".join(f"{finding.check} {finding.outcome.name}: {finding.reason}" for finding in verdict.worst())
    refusal = f"{verdict.model}/{verdict.version} does not enter {stage}: {worst}"
    code = f"verdict-{verdict.outcome.name.lower()}"
    if not grounds.override:
        raise NotApproved(refusal, code=code, hint=what_next(verdict))
    if not situation.policy.stages[stage].allow_override:
        hint = f"the policy would have to say: stages: {{{stage}: {{allow_override: true}}}}"
        raise NotApproved(f"the policy allows no override for {stage}; {refusal}", code=code, hint=hint)
    if any(finding.check == "approval" for finding in verdict.worst()):
        raise NotApproved(f"an approval cannot be overridden; {refusal}", code=code, hint=None)


def what_next(verdict: Verdict) -> str:
    """Return what somebody can do about a verdict; of one that cannot be told, with what it could be."""
    if verdict.outcome is Outcome.PASS:
        return f'slipway promote {verdict.model}/{verdict.version} --to {verdict.stage} --reason "…"'
    report = "the report is among the run's artifacts, under slipway/gate/"
    compared = [f for f in verdict.worst() if f.check in ("champion", "slices") and f.measured is not None]
    if verdict.outcome is Outcome.INCONCLUSIVE and compared:
        rows = "more rows decide (a larger holdout, or data and target in the policy), or a wider margin"
        return f"{rows}: docs/lifecycle.md#policy; {report}"
    return report


def rollback_target(
    situation: Situation, stage: str, now: datetime, *, to_version: int | None, from_version: int | None
) -> int | None:
    """Return the version to put back, `None` where nothing is to be done.

    It is the last one that was in the stage and was not itself rolled back, or `to_version`. `from_version` says which
    version is to be left: where another is there, nothing is done, so that a repeat is harmless.

    Raises
    ------
    Conflict
        A rollback has just been decided and `from_version` is not given; the alias was moved; or `to_version` was never
        in the stage, or was archived: no gate was ever passed for it, or somebody ruled it out.
    NotFound
        Nothing is in the stage, or there is nothing to go back to.
    """
    there = situation.state.stages.get(stage)
    if there is None:
        require_ours(situation, stage)
        raise NotFound(
            f"nothing of {situation.name} is in {stage}, and a rollback takes another's place",
            code="empty-stage",
            hint=f"slipway history {situation.name} shows what was there; slipway promote puts it back",
        )
    if from_version is not None and there.version != from_version:
        return None
    require_ours(situation, stage)
    if from_version is None and to_version is None:
        _require_no_recent_rollback(situation, stage, there.seq, now)
    number = to_version if to_version is not None else situation.state.before(stage)
    if number is None:
        raise NotFound(
            f"no version of {situation.name} was in {stage} before {there.version}",
            code="nothing-to-go-back-to",
            hint=f"slipway history {situation.name} shows what was there",
        )
    if number == there.version:
        return None
    _require_was_there(situation, stage, number)
    return number


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


def archived(situation: Situation, number: int) -> Event | None:
    """Return the event by which a version was archived, if nothing has moved it since."""
    last = next((record.event for record in reversed(situation.moves) if record.event.version == number), None)
    return last if last and last.kind == EventKind.VERSION_ARCHIVED else None


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
    """
    left = situation.state.stages[stage]
    details: dict[str, Any] = {"rolled_back": left.version, "rolled_back_seq": left.seq}
    if skipped:
        details["skipped"] = {str(number): why for number, why in skipped.items()}
    event = _event(EventKind.VERSION_ROLLED_BACK, situation, version, stage, who, details=details)
    return replace(event, digests={"manifest": manifest.digest} if manifest else {})


def adoption_target(situation: Situation, stage: str) -> int | None:
    """Return the version that has a stage's alias; `None` where the history has it there already.

    Raises
    ------
    NotFound
        No version has the alias.
    """
    number = situation.holder(stage)
    if number is None:
        raise NotFound(
            f"no version of {situation.name} has the alias '{stage}'",
            code="unknown-alias",
            hint=f"slipway versions {situation.name}",
        )
    return number if situation.occupant(stage) != number else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """What is recorded of a version for good: its files, where they lie, and where it comes from.

    `provenance` is `None` where an earlier event has it: that counts.
    """

    manifest: Manifest
    location: str
    provenance: Provenance | None


def adoption(situation: Situation, version: Version, stage: str, who: Who, recorded: Recorded) -> Event:
    """Return the event that takes a version over where it is, with its files as they are now."""
    return _recording(EventKind.VERSION_ADOPTED, situation, version, stage, who, recorded)


def registration(situation: Situation, version: Version, who: Who, recorded: Recorded) -> Event:
    """Return the event that records a version with its files."""
    return _recording(EventKind.VERSION_REGISTERED, situation, version, None, who, recorded)


def _recording(
    kind: EventKind, situation: Situation, version: Version, stage: str | None, who: Who, recorded: Recorded
) -> Event:
    provenance = recorded.provenance
    details: dict[str, Any] = {"manifest": recorded.manifest.to_json(), "location": recorded.location}
    digests = {"manifest": recorded.manifest.digest, "run": version.run_id}
    if provenance is not None:
        details[RECORDED_AS] = provenance.to_document()
        digests |= {"holdout": provenance.holdout, "git_commit": provenance.git_commit}
    event = _event(kind, situation, version, stage, who, details=details)
    return replace(event, digests={name: digest for name, digest in digests.items() if digest})


def approval(situation: Situation, version: Version, stage: str, who: Who, manifest: Manifest | None) -> Event:
    """Return the event by which somebody approves exactly these files for a stage, under the policy as it is."""
    event = _event(EventKind.VERSION_APPROVED, situation, version, stage, who)
    named = {"manifest": manifest.digest} if manifest else {}
    return replace(event, digests={**named, "policy": situation.policy.digest})


def demotion(situation: Situation, version: Version, who: Who, *, to: str | None) -> Event:
    """Decide to take a version out of its stage, into a lower one or into none.

    Raises
    ------
    Conflict
        The version is in no stage, or `to` is not below the one that it is in.
    """
    current = situation.state.stage_of(version.number)
    if current is None:
        raise Conflict(f"{version} is in no stage", code="in-no-stage", hint="slipway status")
    require_ours(situation, current)
    if to is None:
        return _event(EventKind.VERSION_DEMOTED, situation, version, None, who)
    names = situation.policy.names
    if current not in names:
        raise Conflict(
            f"{version} is in {current}, which the policy has no more: {to} may be above it",
            code="not-downward",
            hint=f'slipway demote {version} --reason "…" takes it out; slipway promote puts it into {to}',
        )
    if names.index(to) >= names.index(current):
        raise Conflict(f"{version} is in {current}, and {to} is not below it", code="not-downward", hint=None)
    require_ours(situation, to)
    return _event(EventKind.VERSION_DEMOTED, situation, version, to, who)


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
    return _event(EventKind.VERSION_ARCHIVED, situation, version, None, who)


def _event(
    kind: EventKind,
    situation: Situation,
    version: Version,
    stage: str | None,
    who: Who,
    *,
    details: Mapping[str, Any] | None = None,
) -> Event:
    return Event(
        kind=kind,
        model_uid=situation.model_uid,
        model=situation.name,
        version=version.number,
        stage=stage,
        actor=who.actor,
        actor_authenticated=who.authenticated,
        at=who.at,
        reason=who.reason,
        details=details or {},
    )
