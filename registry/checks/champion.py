"""champion: the candidate is not worse than the version in the stage, on rows that neither was trained on."""

from registry.evidence import Evidence
from registry.head_to_head import CannotCompare, HeadToHead, head_to_head, inconclusive
from registry.judgement import Judged, judge
from registry.metric_pairs import DEFAULT_MARGINS, DEFAULT_METRICS, Margin, compare
from registry.metrics import Direction, direction_of
from registry.paired import Paired
from registry.policy import ChampionRule
from registry.verdict import Finding, Outcome


def check(evidence: Evidence, rule: ChampionRule) -> tuple[Finding, ...]:
    """Score both on the same rows and judge the difference by its interval."""
    if evidence.champion is None:
        reason = f"nothing is in {evidence.stage} yet to compare with"
        return (Finding(check="champion", outcome=Outcome.PASS, reason=reason),)
    try:
        both = head_to_head(evidence, rule)
        metric = rule.metric or DEFAULT_METRICS[both.is_classification]
        paired = compare(metric, both)
    except CannotCompare as why:
        return inconclusive("champion", why)
    margin = _margin(rule, metric).of(paired.champion)
    judged = judge(paired, margin=margin, alpha=1 - rule.confidence, superiority=rule.superiority)
    reason = _reason(metric, paired, judged, margin) + both.note
    return (_finding(judged, paired, reason, _details(metric, paired, judged, margin, both)),)


def _finding(judged: Judged, paired: Paired, reason: str, details: dict[str, object]) -> Finding:
    return Finding(
        check="champion",
        outcome=judged.outcome,
        reason=reason,
        measured=paired.difference,
        limit=judged.threshold,
        direction="at least",
        n=paired.n,
        details=details,
    )


def _margin(rule: ChampionRule, metric: str) -> Margin:
    if rule.margin is not None:
        return Margin(value=rule.margin)
    if rule.relative_margin is not None:
        return Margin(value=rule.relative_margin, relative=True)
    return DEFAULT_MARGINS[metric]


def _reason(metric: str, paired: Paired, judged: Judged, margin: float) -> str:
    measured = f"{metric} {paired.candidate:.4g} against {paired.champion:.4g} on {paired.n:,} rows"
    gain = "better" if paired.difference > 0 else "worse"
    difference = f"{abs(paired.difference):.4g} {gain}" if paired.difference else "no difference"
    interval = f"{difference}, interval {judged.low:+.4f} … {judged.high:+.4f}"
    superior = judged.threshold == 0
    wanted = "better" if superior else f"no worse than by {margin:.4g}"
    enough = f"{judged.rows_to_decide or 0:,} would decide"
    said = {
        Outcome.PASS: f"shown to be {wanted}",
        Outcome.FAIL: "shown not to be better" if superior else f"shown to be worse by more than {margin:.4g}",
        Outcome.INCONCLUSIVE: f"too few rows to tell whether it is {wanted}: {enough}",
    }
    return f"{measured}: {interval}; {said[judged.outcome]}"


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
        "dropped": both.dropped,
        "rows_to_decide": judged.rows_to_decide,
    }
