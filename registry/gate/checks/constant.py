"""A part of the check champion: a candidate is shown to be better than a constant, which looks at no feature.

On 8 % churn who never says yes is right 92 times in 100. Whoever is to be in the last stage has to be better than the
best that can be said without a model, also where nobody is there yet to compare with.
"""

from slipway.registry.gate.comparison.answers import CannotCompare, without_comparison
from slipway.registry.gate.comparison.constants import answers_all_alike, beside_constant, metric_beside_constant
from slipway.registry.gate.comparison.head_to_head import HeadToHead, by_itself
from slipway.registry.gate.comparison.judgement import Judged, judge
from slipway.registry.gate.comparison.metric_pairs import COMPARISONS, Margin, compare
from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import ChampionRule, Metric

WITHOUT = (
    "; until then nothing shows it better than a constant, which the policy may leave out: champion: {constant: false}"
)
LABELS_ALIKE = (
    "all its labels are {}: weigh the classes in training, or where callers use its probabilities name a metric of "
    "them (champion: {{metric: log_loss}})"
)


def is_asked_for(evidence: Evidence, rule: ChampionRule) -> bool:
    """Return whether a candidate has to beat a constant: where the rule says so, else in the last stage."""
    return evidence.is_last if rule.constant is None else rule.constant


def first_beside_constant(evidence: Evidence, rule: ChampionRule) -> tuple[Finding, ...]:
    """Judge a candidate where there is no champion: its answers are asked for once, for this alone."""
    try:
        return (judged_beside_constant(by_itself(evidence, rule), rule),)
    except CannotCompare as why:
        return without_comparison("champion", why, way_on=WITHOUT)


def judged_beside_constant(both: HeadToHead, rule: ChampionRule) -> Finding:
    """Return PASS when the candidate is shown to be better than the best constant on these rows.

    It is FAIL when it is shown not to be better, or not by as much as the margin; an answer that is the same for every
    row is never PASS.

    Raises
    ------
    CannotCompare
        The metric needs what the candidate does not give, or rows of a class that are not there.
    """
    metric = metric_beside_constant(both, rule.metric)
    quantile = rule.quantile or 0.5
    beside = beside_constant(both, metric, quantile=quantile)
    paired = compare(metric, beside, quantile=quantile)
    margin = _margin(rule, metric).of(paired.champion)
    judged = judge(paired, margin=margin, alpha=1 - rule.confidence, superiority=True)
    outcome = _outcome(judged, paired, margin, beside, alpha=1 - rule.confidence)
    return Finding(
        check="champion",
        outcome=outcome,
        reason=f"{_measured(metric, paired, judged, beside)}; {_said(outcome, judged, margin, beside)}",
        measured=paired.difference,
        limit=0.0,
        direction="at least",
        n=paired.n,
        details={
            "metric": metric,
            "constant": paired.champion,
            "candidate": paired.candidate,
            "difference": paired.difference,
            "low": judged.low,
            "high": judged.high,
            "threshold": 0.0,
            "margin": margin,
            "method": paired.method,
            "rows_to_decide": judged.rows_to_decide if outcome is Outcome.INCONCLUSIVE else None,
        },
    )


def _outcome(judged: Judged, paired: Paired, margin: float, beside: HeadToHead, *, alpha: float) -> Outcome:
    if judged.outcome is Outcome.PASS:
        return max(judged.outcome, Outcome.INCONCLUSIVE) if answers_all_alike(beside.candidate) else judged.outcome
    is_near = margin > 0 and paired.p_below(margin) <= alpha
    return Outcome.FAIL if is_near else judged.outcome


def _margin(rule: ChampionRule, metric: Metric) -> Margin:
    """Return the difference that matters: the rule's, where it is for this metric."""
    if metric == rule.metric and rule.margin is not None:
        return Margin(value=rule.margin)
    if metric == rule.metric and rule.relative_margin is not None:
        return Margin(value=rule.relative_margin, relative=True)
    return COMPARISONS[metric].margin


def _measured(metric: Metric, paired: Paired, judged: Judged, beside: HeadToHead) -> str:
    return (
        f"{metric} {paired.candidate:.4g} against {paired.champion:.4g} of a constant on {beside.counted}: "
        f"interval of the gain {judged.low:+.4f} … {judged.high:+.4f}"
    )


def _said(outcome: Outcome, judged: Judged, margin: float, beside: HeadToHead) -> str:
    if outcome is Outcome.PASS:
        return "shown to be better than a constant"
    labels = set(beside.candidate.labels.tolist())
    alike = len(labels) == 1 and beside.is_classification
    why = f"; {LABELS_ALIKE.format(repr(labels.pop()))}" if alike else ""
    if judged.outcome is Outcome.FAIL:
        return f"shown not to be better than a constant, which looks at no feature{why}"
    if outcome is Outcome.FAIL:
        return f"shown not to be better than a constant, which looks at no feature, by as much as {margin:.4g}{why}"
    return f"too few rows to tell whether it is better than a constant: {judged.would_decide}{why}"
