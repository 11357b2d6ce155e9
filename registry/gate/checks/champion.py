"""champion: the candidate is not worse than the version in the stage, on rows that neither was trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from slipway.registry.gate.checks.constant import first_beside_constant, is_asked_for, judged_beside_constant
from slipway.registry.gate.comparison.answers import CannotCompare, TooFewRows, without_comparison
from slipway.registry.gate.comparison.constants import default_metric
from slipway.registry.gate.comparison.head_to_head import HeadToHead, head_to_head
from slipway.registry.gate.comparison.judgement import Judged, judge, without_error
from slipway.registry.gate.comparison.metric_pairs import (
    COMPARISONS,
    Margin,
    compare,
    metric_of_callers,
    require_effect,
)
from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.metrics import Direction, direction_of
from slipway.registry.policy.policy import ChampionRule, Metric


def check(evidence: Evidence, rule: ChampionRule) -> tuple[Finding, ...]:
    """Score both on the same rows and judge the difference by its interval."""
    constant = is_asked_for(evidence, rule)
    if evidence.champion is None:
        reason = f"nothing is in {evidence.stage} yet to compare with"
        first = Finding(check="champion", outcome=Outcome.PASS, reason=reason)
        return (first, *(first_beside_constant(evidence, rule) if constant else ()))
    try:
        return compared(head_to_head(evidence, rule), rule, constant=constant)
    except CannotCompare as why:
        return without_comparison("champion", why)


def compared(every: Sequence[HeadToHead], rule: ChampionRule, *, constant: bool) -> tuple[Finding, ...]:
    """Judge each comparison with the champion; of the first one also whether the candidate is better than a constant.

    Raises
    ------
    CannotCompare
        A version does not give what a metric needs, or rows of a kind are too few.
    """
    found = [finding for both in every for finding in _findings(both, rule)]
    return (*found, *([judged_beside_constant(every[0], rule)] if constant else []))


def _findings(both: HeadToHead, rule: ChampionRule) -> Iterator[Finding]:
    metric = rule.metric or default_metric(both)
    found = _compared(metric, both, rule)
    yield found
    of_callers = metric_of_callers(metric, both)
    if of_callers is not None and found.outcome is not Outcome.FAIL:
        yield from _callers_get_worse(of_callers, both, rule)


def _callers_get_worse(metric: Metric, both: HeadToHead, rule: ChampionRule) -> Iterator[Finding]:
    """Refuse a candidate that is shown to give callers worse answers, however good it is by the policy's metric."""
    try:
        paired = compare(metric, both, quantile=0.5)
    except TooFewRows:
        return
    margin = COMPARISONS[metric].margin.of(paired.champion)
    judged = judge(paired, margin=margin, alpha=1 - rule.confidence, superiority=False)
    if judged.outcome is Outcome.FAIL:
        said = f"{_measured(metric, paired, judged, both)}; {_said(judged, margin)}, in what callers get{both.note}"
        yield _finding(judged, paired, said, _details(metric, paired, judged, margin, both), both.doubts)


def _compared(metric: Metric, both: HeadToHead, rule: ChampionRule) -> Finding:
    require_effect(metric, rule.margin)
    paired = compare(metric, both, quantile=rule.quantile or 0.5)
    margin = _margin(rule, metric).of(paired.champion)
    judged = judge(paired, margin=margin, alpha=1 - rule.confidence, superiority=rule.superiority)
    said = _said(judged, margin)
    if margin == 0:
        judged, said = _without_error(paired, judged)
    reason = f"{_measured(metric, paired, judged, both)}; {said}{both.note}"
    return _finding(judged, paired, reason, _details(metric, paired, judged, margin, both), both.doubts)


def _without_error(paired: Paired, judged: Judged) -> tuple[Judged, str]:
    """Judge by a share of a champion's value where that is 0, so that no margin is left."""
    if without_error(paired):
        return replace(judged, outcome=Outcome.PASS, rows_to_decide=None), "neither has any error on these rows"
    if judged.outcome is not Outcome.INCONCLUSIVE:
        return judged, _said(judged, 0.0)
    said = "a share of the champion's 0 is no margin: give one in the policy (margin: …)"
    return replace(judged, outcome=Outcome.INCONCLUSIVE, rows_to_decide=None), said


def _finding(
    judged: Judged, paired: Paired, reason: str, details: dict[str, object], doubts: tuple[str, ...]
) -> Finding:
    return Finding(
        check="champion",
        outcome=max(judged.outcome, Outcome.INCONCLUSIVE) if doubts else judged.outcome,
        reason="; but ".join([*doubts, reason]) if doubts else reason,
        measured=paired.difference,
        limit=judged.threshold,
        direction="at least",
        n=paired.n,
        details=details,
    )


def _margin(rule: ChampionRule, metric: Metric) -> Margin:
    if rule.margin is not None:
        return Margin(value=rule.margin)
    if rule.relative_margin is not None:
        return Margin(value=rule.relative_margin, relative=True)
    return COMPARISONS[metric].margin


def _measured(metric: str, paired: Paired, judged: Judged, both: HeadToHead) -> str:
    gain = "better" if paired.difference > 0 else "worse"
    difference = f"{abs(paired.difference):.4g} {gain}" if paired.difference else "no difference"
    return (
        f"{metric} {paired.candidate:.4g} against {paired.champion:.4g} on {both.counted}: "
        f"{difference}, interval {judged.low:+.4f} … {judged.high:+.4f}"
    )


def _said(judged: Judged, margin: float) -> str:
    superior = judged.threshold == 0
    wanted = "better" if superior else f"no worse than by {margin:.4g}"
    if judged.outcome is Outcome.PASS:
        return f"shown to be {wanted}"
    if judged.outcome is Outcome.FAIL:
        return "shown not to be better" if superior else f"shown to be worse by more than {margin:.4g}"
    return f"too few rows to tell whether it is {wanted}: {judged.would_decide}"


def _details(metric: str, paired: Paired, judged: Judged, margin: float, both: HeadToHead) -> dict[str, object]:
    lower_is_better = direction_of(metric) is Direction.LOWER_IS_BETTER
    return {
        "metric": metric,
        "difference": paired.difference,
        "better": "lower" if lower_is_better else "higher",
        "candidate": paired.candidate,
        "champion": paired.champion,
        "low": judged.low,
        "high": judged.high,
        "margin": margin,
        "threshold": judged.threshold,
        "method": paired.method,
        "n_differing": paired.n_differing,
        "n_clusters": paired.n_clusters,
        "clustered_by": both.clustered_by,
        "dropped": both.dropped,
        "rows_to_decide": judged.rows_to_decide,
    }
