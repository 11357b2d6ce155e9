"""slices: no part of the rows is worse served than by the champion.

The mean absolute error for numbers, and for classes what suits all rows, where the policy names no other metric. That
any slice is worse is claimed with one error rate over all slices (Holm, 1979); that all are good enough needs each of
them shown, which needs no correction (an intersection-union test: Berger, Technometrics 24, 1982).

A slice in which the champion itself would not be shown to be as good as itself has too few rows: it is reported, and
nothing is asked of it but that it is not shown to be worse. What a candidate answers has no part in that.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.gate.comparison.answers import CannotCompare, without_comparison
from slipway.registry.gate.comparison.constants import default_metric
from slipway.registry.gate.comparison.head_to_head import HeadToHead, head_to_head
from slipway.registry.gate.comparison.judgement import Judged, holm, judge, without_error
from slipway.registry.gate.comparison.metric_pairs import COMPARISONS, Margin, compare, require_effect
from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import Metric, SlicesRule
from slipway.registry.text import counted

NAMED_AT_MOST = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """A part of the rows, its comparison and what it shows by itself.

    `can_pass` says whether a candidate that answers as the champion does would be shown to be as good.
    """

    name: str
    paired: Paired
    judged: Judged
    p_worse: float
    can_pass: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column's slices: those that were compared, and names of those that have too few rows or were not measured."""

    name: str
    found: tuple[Slice, ...]
    small: tuple[str, ...]
    unmeasured: tuple[str, ...]

    def covered(self, n: int) -> float:
        """Return the share of n rows that are in slices which can pass."""
        return sum(part.paired.n for part in self.found if part.can_pass) / n


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
    metric = rule.metric or (default_metric(both) if both.is_classification else "mae")
    require_effect(metric, rule.margin)
    whole = compare(metric, both, quantile=rule.quantile or 0.5)
    margin = _margin(rule, metric).of(whole.champion)
    if margin == 0 and without_error(whole):
        return Finding(check="slices", outcome=Outcome.PASS, reason=f"neither has any error on these rows{both.note}")
    if margin == 0:
        raise CannotCompare("a share of the champion's 0 is no margin: give one in the policy (margin: …)")
    columns = [_compared_parts(both, column, metric, rule, margin) for column in rule.columns]
    found = [part for column in columns for part in column.found]
    small = [name for column in columns for name in column.small]
    unmeasured = [name for column in columns for name in column.unmeasured]
    if not found:
        which = ", ".join([*small, *unmeasured][:NAMED_AT_MOST])
        raise CannotCompare(f"every slice has fewer than {rule.min_rows} rows, or cannot be measured: {which}")
    shares = {column.name: column.covered(len(both.y)) for column in columns}
    judged = judge_slices(
        found,
        small,
        unmeasured,
        margin=margin,
        alpha=1 - rule.confidence,
        note=both.note,
        lacking=_lacking(shares, rule),
    )
    judged = replace(judged, details={**judged.details, "covered": shares, "metric": metric})
    if not both.doubts:
        return judged
    reason = "; but ".join([*both.doubts, judged.reason])
    return replace(judged, outcome=max(judged.outcome, Outcome.INCONCLUSIVE), reason=reason)


def _lacking(shares: Mapping[str, float], rule: SlicesRule) -> str:
    """Return in words which column's slices can tell too little of the rows; nothing where each tells enough."""
    short = [f"{share:.2g} of the rows by {name}" for name, share in shares.items() if share < rule.coverage]
    return f"slices that can be judged hold {', '.join(short)}, and {rule.coverage:g} are wanted" if short else ""


def _compared_parts(both: HeadToHead, column: str, metric: Metric, rule: SlicesRule, margin: float) -> Column:
    """Compare each slice of a column."""
    found: list[Slice] = []
    small, unmeasured = [], []
    for name, members in slices_of(both.frame[column], rule.bins):
        part = both.part(members)
        if part.clusters.count < rule.min_rows:
            small.append(f"{name} ({part.counted})")
            continue
        try:
            compared, itself = (
                compare(metric, each, quantile=rule.quantile or 0.5)
                for each in (part, replace(part, candidate=part.champion))
            )
        except CannotCompare as why:
            unmeasured.append(f"{name} ({why})")
        else:
            alpha = 1 - rule.confidence
            found.append(replace(slice_of(name, compared, margin, alpha), can_pass=itself.p_above(-margin) <= alpha))
    return Column(name=column, found=tuple(found), small=tuple(small), unmeasured=tuple(unmeasured))


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
    found: list[Slice],
    small: list[str],
    unmeasured: list[str],
    *,
    margin: float,
    alpha: float,
    note: str,
    lacking: str = "",
) -> Finding:
    """Return FAIL when a slice is shown to be worse, PASS when all that can be are shown not to be, else INCONCLUSIVE.

    Small ones, and those that cannot be measured, are listed and not judged; `lacking` says that these are too many.
    """
    worse = [part for part, bad in zip(found, holm([p.p_worse for p in found], alpha), strict=True) if bad]
    judged = [part for part in found if part.can_pass]
    small = [*small, *(f"{part.name} ({part.paired.n} rows)" for part in found if not part.can_pass)]
    open_ones = [part for part in judged if part.judged.outcome is not Outcome.PASS]
    if worse:
        outcome, reason = Outcome.FAIL, f"worse by more than {margin:.4g}: {_named(worse)}"
    elif open_ones:
        hardest = max(open_ones, key=lambda part: part.judged.rows_to_decide or math.inf)
        reason = (
            f"too few rows to tell whether they are no worse than by {margin:.4g}: {_named(open_ones)}; "
            f"in each, {hardest.judged.would_decide}"
        )
        outcome = Outcome.INCONCLUSIVE
    else:
        shown = f"{counted(len(judged), 'slice')}, all that can be judged, shown to be no worse than by {margin:.4g}"
        outcome = Outcome.INCONCLUSIVE if lacking else Outcome.PASS
        reason = f"{lacking}: bring more rows, or lower coverage in the policy; {shown}" if lacking else shown
    left_out = f"; cannot be measured: {', '.join(unmeasured[:NAMED_AT_MOST])}" if unmeasured else ""
    left_out += f"; too small to judge: {', '.join(small[:NAMED_AT_MOST])}" if small else ""
    return Finding(
        check="slices",
        outcome=outcome,
        reason=f"{reason}{left_out}{note}",
        measured=min(part.paired.difference for part in judged or found),
        limit=-margin,
        direction="at least",
        n=len(judged),
        details={
            "slices": [_document(part) for part in found if part.can_pass or part in worse],
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
