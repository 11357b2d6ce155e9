"""approval: others have approved exactly this artifact for this stage, under the policy as it is."""

from collections.abc import Iterable

from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.ledger.events import Event, EventKind
from slipway.registry.policy.policy import ApprovalRule
from slipway.registry.versions.provenance import RECORDED_AS


def check(evidence: Evidence, rule: ApprovalRule) -> tuple[Finding, ...]:
    """Count distinct approvers who are neither an author of the version nor the promoter."""
    valid, lapsed = [], []
    authors = authors_of(evidence.events, evidence.candidate.run.user)
    for event in evidence.events:
        if event.kind == EventKind.VERSION_APPROVED and event.stage == evidence.stage:
            problem = _problem(event, evidence, rule, authors)
            if problem:
                lapsed.append(f"{event.actor} {problem}")
            else:
                valid.append(event.actor)
    approvers = sorted(set(valid))
    enough = len(approvers) >= rule.count
    name = evidence.candidate.version
    reason = f"approved by {', '.join(approvers)}" if approvers else f"nobody has approved {name} for {evidence.stage}"
    if lapsed:
        reason += f" (not counted: {'; '.join(lapsed)})"
    if not enough:
        reason += f"; {rule.count - len(approvers)} more: slipway approve {name} --to {evidence.stage}"
    return (
        Finding(
            check="approval",
            outcome=Outcome.PASS if enough else Outcome.INCONCLUSIVE,
            reason=reason,
            measured=len(approvers),
            limit=rule.count,
            direction="at least",
            n=len(approvers),
        ),
    )


def _problem(event: Event, evidence: Evidence, rule: ApprovalRule, authors: frozenset[str]) -> str | None:
    if event.actor in authors:
        return "is the version's author"
    if event.actor == evidence.promoter:
        return "is the promoter"
    if event.model != evidence.candidate.version.model:
        return f"approved {event.model}/{event.version}, as it was called then"
    if event.digests.get("manifest", "") != evidence.manifest_digest:
        return "approved other files"
    if event.digests.get("policy") != evidence.policy_digest:
        return "approved under another policy"
    if rule.authenticated and not event.actor_authenticated:
        return "was authenticated by nobody"
    return None


def authors_of(events: Iterable[Event], run_user: str | None) -> frozenset[str]:
    """Return who trained, logged or registered a version: often one, and none of them approves it.

    By what the tracking server knows of its run, and what was recorded with the version: a tag that is set afterwards
    makes nobody an author.
    """
    found = {run_user} if run_user else set()
    for event in events:
        if event.kind == EventKind.VERSION_REGISTERED:
            found.add(event.actor)
        found |= set(event.details.get(RECORDED_AS, {}).get("people", ()))
    return frozenset(found)
