"""The verb promote: a version enters a stage on the grounds of a verdict. Pure.

Each verb takes a situation and returns the event to record, `None` where all is so already, or raises why not.
`slipway.registry.decisions.carry_out` carries them out.
"""

from dataclasses import replace
from shlex import quote

from slipway.registry.decisions.who import Who, event_by
from slipway.registry.errors import Conflict, NotApproved
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Outcome, Verdict
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.ledger.situation import Situation, require_not_above, require_ours
from slipway.registry.version import Version


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
    require_not_above(situation, version.number, stage)
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
        The version may not enter from where it is, or the stage's occupant or the policy is not what the verdict was
        given for. (Whether its files are, is asked where they are read: `deciding`.)
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
    event = event_by(EventKind.VERSION_PROMOTED, situation, version, stage, who, details=details)
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
        rows = f"a larger holdout, or rows that the policy names: {compared[0].check}: {{data: FILE, target: COLUMN}}"
        return f"more rows decide ({rows}), or a wider margin; {report}"
    if verdict.champion and _is_measured_by_form_alone(verdict):
        there = quote(f"{verdict.model}/{verdict.champion}")
        return f'where nobody needs {there} in {verdict.stage}: slipway demote {there} --reason "…"; {report}'
    return report


def _is_measured_by_form_alone(verdict: Verdict) -> bool:
    """Return whether a contract refuses where nothing shows which version is better.

    What a later stage refused stays in such a stage, and a candidate has to fit its callers. Where versions are
    compared, to take the champion out would be a way around that.
    """
    refused = any(f.check == "contract" and f.outcome is Outcome.FAIL for f in verdict.worst())
    return refused and not any(f.check in ("champion", "slices") for f in verdict.findings)
