"""metric: what the version's run recorded lies within limits."""

from collections.abc import Iterable

from slipway.registry.gate.evidence import Evidence, Subject
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.metrics import is_measurement
from slipway.registry.nearest import did_you_mean
from slipway.registry.policy.policy import Limit, MetricRule
from slipway.registry.versions.provenance import metric_change


def check(evidence: Evidence, rule: MetricRule) -> tuple[Finding, ...]:
    """Compare each named metric with its limits; one that is missing or not finite is never a PASS.

    What counts is the value with which the version was registered: one that was rewritten since is a FAIL.
    """
    return tuple(_judge(name, evidence.candidate, limit) for name, limit in rule.limits.items())


def _judge(name: str, candidate: Subject, limit: Limit) -> Finding:
    recorded, live = candidate.recorded, candidate.run.metrics
    if candidate.borrows:
        outcome = Outcome.FAIL if candidate.provenance.misfit else Outcome.INCONCLUSIVE
        return Finding(check="metric", outcome=outcome, reason=f"{name} says nothing of it: {candidate.borrows}")
    if recorded is None:
        return _find(name, live.get(name), limit, live)
    if name not in recorded.metrics and name in live:
        reason = f"{name} was recorded in its run after the version was registered, by nobody knows whom"
        return Finding(check="metric", outcome=Outcome.INCONCLUSIVE, reason=reason, measured=live[name])
    run_is_there = candidate.run.status is not None
    changed = metric_change(name, recorded, live) if name in recorded.metrics and run_is_there else None
    if changed:
        reason = f"{changed}: it was rewritten after the version was registered"
        return Finding(check="metric", outcome=Outcome.FAIL, reason=reason, measured=live.get(name))
    return _find(name, recorded.metrics.get(name), limit, recorded.metrics)


def _find(name: str, value: float | None, limit: Limit, known: Iterable[str]) -> Finding:
    if value is None:
        reason = f"its run did not record {name}{did_you_mean(name, known)}"
        return Finding(check="metric", outcome=Outcome.INCONCLUSIVE, reason=reason)
    bound, direction = (limit.min, "at least") if limit.min is not None else (limit.max, "at most")
    if not is_measurement(value):
        outcome, reason = Outcome.ERROR, f"{name} is {value:.4g}, which is no measurement"
    elif limit.min is not None and value < limit.min:
        outcome, reason = Outcome.FAIL, f"{name} is {value:.4g}, below {limit.min:g}"
    elif limit.max is not None and value > limit.max:
        bound, direction = limit.max, "at most"
        outcome, reason = Outcome.FAIL, f"{name} is {value:.4g}, above {limit.max:g}"
    else:
        outcome, reason = Outcome.PASS, f"{name} is {value:.4g}"
    return Finding(
        check="metric", outcome=outcome, reason=reason, measured=value, limit=bound, direction=direction, n=1
    )
