"""slices: no part of the rows is worse served than by the champion.

Accuracy for classes and the mean absolute error for numbers, where the policy names no other metric. That any slice is
worse is claimed with one error rate over all slices (Holm, 1979); that all are good enough needs each of them shown,
which needs no correction (an intersection-union test: Berger, Technometrics 24, 1982).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.gate.comparison.answers import CannotCompare, without_comparison
from slipway.registry.gate.comparison.head_to_head import HeadToHead, head_to_head
from slipway.registry.gate.comparison.judgement import Judged, holm, judge, without_error
from slipway.registry.gate.comparison.metric_pairs import COMPARISONS, SLICE_METRICS, Margin, compare, require_effect
from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import Metric, SlicesRule

NAMED_AT_MOST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A part of the rows, its comparison and what it shows by itself."""

    name: str
    paired: Paired
    judged: Judged
    p_worse: float


def check(evidence: Evidence, rule: SlicesRule) -> tuple[Finding, ...]:
    """Compare both versions on each slice of each column."""
    if evidence.champion is None:
        reason = f"nothing is in {evidence.stage} yet to compare with"
        return (Finding(check="slices", outcome=Outcome.PASS, reason=reason),)
    try:
        return tuple(_compared(both, rule) for both in head_to_head(evidence, rule))
    except CannotCompare as why:
        return without_comparison("slices", why)


def _compared(both: HeadToHead, rule: SlicesRule) -> Finding:
    if missing := [name for name in rule.columns if name not in both.frame.columns]:
        known = ", ".join(map(str, both.frame))
        raise CannotCompare(f"the rows have no column {', '.join(missing)}; they have: {known}")
    metric = rule.metric or SLICE_METRICS[both.is_classification]
    require_effect(metric, rule.margin)
    whole = compare(metric, both, quantile=rule.quantile or 0.5)
    margin = _margin(rule, metric).of(whole.champion)
    if margin == 0 and without_error(whole):
        return Finding(check="slices", outcome=Outcome.PASS, reason=f"neither has any error on these rows{both.note}")
    if margin == 0:
        raise CannotCompare("a share of the champion's 0 is no margin: give one in the policy (margin: …)")
    found, small, unmeasured = _compared_parts(both, metric, rule, margin)
    if not found:
        which = ", ".join([*small, *unmeasured][:NAMED_AT_MOST])
        raise CannotCompare(f"every slice has fewer than {rule.min_rows} rows, or cannot be measured: {which}")
    judged = judge_slices(found, small, unmeasured, margin=margin, alpha=1 - rule.confidence, note=both.note)
    if not both.doubts:
        return judged
    reason = "; but ".join([*both.doubts, judged.reason])
    return replace(judged, outcome=max(judged.outcome, Outcome.INCONCLUSIVE), reason=reason)


def _compared_parts(
    both: HeadToHead, metric: Metric, rule: SlicesRule, margin: float
) -> tuple[list[Slice], list[str], list[str]]:
    """Return the slices that were compared, names of those with too few rows, and of those that were not measured."""
    found: list[Slice] = []
    small, unmeasured = [], []
    for name, members in (part for column in rule.columns for part in slices_of(both.frame[column], rule.bins)):
        part = both.part(members)
        if part.clusters.count < rule.min_rows:
            small.append(f"{name} ({part.counted})")
            continue
        try:
            compared = compare(metric, part, quantile=rule.quantile or 0.5)
        except CannotCompare as why:
            unmeasured.append(f"{name} ({why})")
        else:
            found.append(slice_of(name, compared, margin, 1 - rule.confidence))
    return found, small, unmeasured


def slices_of(column: pd.Series, bins: int) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Yield name and members, shape (n,), of each slice: values, or for numbers bins of about equal size."""
    missing = column.isna().to_numpy()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and column.nunique() > bins:
        values = column.to_numpy(dtype=float)
        edges = np.unique(np.quantile(values[~missing], np.linspace(0, 1, bins + 1)))
        places = np.searchsorted(edges[1:-1], values, side="right")
        for i in range(len(edges) - 1):
            yield f"{column.name} {edges[i]:.4g} … {edges[i + 1]:.4g}", (places == i) & ~missing
    else:
        for value in sorted(column.dropna().unique(), key=str):
            yield f"{column.name} = {value}", (column == value).fillna(False).to_numpy(dtype=bool)
    if missing.any():
        yield f"{column.name} missing", missing


def slice_of(name: str, compared: Paired, margin: float, alpha: float) -> Slice:
    """Return what a slice shows by itself."""
    judged = judge(compared, margin=margin, alpha=alpha, superiority=False)
    return Slice(name=name, paired=compared, judged=judged, p_worse=compared.p_below(-margin))


def judge_slices(
    found: list[Slice], small: list[str], unmeasured: list[str], *, margin: float, alpha: float, note: str
) -> Finding:
    """Return FAIL when a slice is shown to be worse, PASS when all are shown not to be, else INCONCLUSIVE.

    Small ones are listed and not judged; one that has the rows and cannot be measured is none that is shown.
    """
    worse = [part for part, bad in zip(found, holm([p.p_worse for p in found], alpha), strict=True) if bad]
    open_ones = [part for part in found if part.judged.outcome is not Outcome.PASS]
    if worse:
        outcome, reason = Outcome.FAIL, f"worse by more than {margin:.4g}: {_named(worse)}"
    elif open_ones:
        hardest = max(open_ones, key=lambda part: part.judged.rows_to_decide or math.inf)
        reason = (
            f"too few rows to tell whether they are no worse than by {margin:.4g}: {_named(open_ones)}; "
            f"in each, {hardest.judged.would_decide}"
        )
        outcome = Outcome.INCONCLUSIVE
    elif unmeasured:
        outcome = Outcome.INCONCLUSIVE
        reason = f"the other {len(found)} slices shown to be no worse than by {margin:.4g}"
    else:
        outcome, reason = Outcome.PASS, f"all {len(found)} slices shown to be no worse than by {margin:.4g}"
    left_out = f"; cannot be measured: {', '.join(unmeasured[:NAMED_AT_MOST])}" if unmeasured else ""
    left_out += f"; too small to judge: {', '.join(small[:NAMED_AT_MOST])}" if small else ""
    return Finding(
        check="slices",
        outcome=outcome,
        reason=f"{reason}{left_out}{note}",
        measured=min(part.paired.difference for part in found),
        limit=-margin,
        direction="at least",
        n=len(found),
        details={
            "slices": [_document(part) for part in found],
            "too_small": small,
            "unmeasured": unmeasured,
            "threshold": -margin,
        },
    )


def _margin(rule: SlicesRule, metric: Metric) -> Margin:
    if rule.margin is not None:
        return Margin(value=rule.margin)
    if rule.relative_margin is not None:
        return Margin(value=rule.relative_margin, relative=True)
    return COMPARISONS[metric].slice_margin


def _named(parts: list[Slice]) -> str:
    named = [f"{p.name} ({p.paired.candidate:.4g} against {p.paired.champion:.4g}, {p.paired.n} rows)" for p in parts]
    more = f" and {len(parts) - NAMED_AT_MOST} more" if len(parts) > NAMED_AT_MOST else ""
    return ", ".join(named[:NAMED_AT_MOST]) + more


def _document(part: Slice) -> dict[str, object]:
    return {
        "name": part.name,
        "n": part.paired.n,
        "candidate": part.paired.candidate,
        "champion": part.paired.champion,
        "difference": part.paired.difference,
        "low": part.judged.low,
        "high": part.judged.high,
        "p_worse": part.p_worse,
        "outcome": part.judged.outcome.name,
    }
