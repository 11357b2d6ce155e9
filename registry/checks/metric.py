"""metric: what the version's run recorded lies within limits."""

from collections.abc import Iterable

from registry.evidence import Evidence
from registry.metrics import is_measurement
from registry.nearest import did_you_mean
from registry.policy import Limit, MetricRule
from registry.verdict import Finding, Outcome


def check(evidence: Evidence, rule: MetricRule) -> tuple[Finding, ...]:
    """Compare each named metric with its limits; one that is missing or not finite is never a PASS."""
    recorded = evidence.candidate.run.metrics
    return tuple(_find(name, recorded.get(name), limit, recorded) for name, limit in rule.limits.items())


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
