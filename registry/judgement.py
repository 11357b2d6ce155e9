"""From a paired comparison to an outcome: shown to be no worse than by a margin, shown to be worse, or neither."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from registry.paired import Paired
from registry.verdict import Outcome

POWER = 0.9


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The outcome of a comparison with a threshold, and the interval that it rests on.

    `rows_to_decide` is set where nothing is shown: so many rows would show, nine times in ten, that a candidate which
    is exactly as good is, or that one which is worse by twice the margin is not.
    """

    outcome: Outcome
    low: float
    high: float
    threshold: float
    rows_to_decide: int | None


def judge(paired: Paired, *, margin: float, alpha: float, superiority: bool) -> Judged:
    """Return PASS when the difference is shown to be above the threshold, FAIL when shown to be below.

    The threshold is `-margin`, or 0 for superiority; each is shown with an error of at most `alpha`.
    """
    threshold = 0.0 if superiority else -margin
    low, high = paired.interval(alpha)
    outcome = Outcome.INCONCLUSIVE
    if paired.p_above(threshold) <= alpha:
        outcome = Outcome.PASS
    elif paired.p_below(threshold) <= alpha:
        outcome = Outcome.FAIL
    undecided = outcome is Outcome.INCONCLUSIVE
    rows = rows_to_decide(paired, margin=margin, alpha=alpha) if undecided else None
    return Judged(outcome=outcome, low=low, high=high, threshold=threshold, rows_to_decide=rows)


def rows_to_decide(paired: Paired, *, margin: float, alpha: float) -> int:
    """Return how many rows would decide between differences that are a margin away from the threshold."""
    z = stats.norm.isf(alpha) + stats.norm.isf(1 - POWER)
    return max(paired.n + 1, math.ceil(float(z * paired.spread / margin) ** 2))


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Return which hypotheses are rejected so that none is wrongly, with probability 1 - alpha.

    Holm, Scandinavian Journal of Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03], 0.05)
    [True, False, False]
    """
    rejected = [False] * len(p_values)
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] > alpha / (len(p_values) - place):
            break
        rejected[index] = True
    return rejected
