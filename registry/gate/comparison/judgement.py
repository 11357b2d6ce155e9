"""From a paired comparison to an outcome: shown to be no worse than by a margin, shown to be worse, or neither."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import optimize, stats

from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.verdict import Outcome

POWER = 0.9
MOST = math.log(1e9)
HEAVY = 0.6


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """The outcome of a comparison with a threshold, and the interval that it rests on.

    `rows_to_decide` is set where nothing is shown: so many rows would show, nine times in ten, that a candidate which
    is exactly as good is, or that one which is worse by twice the margin is not. Where there are so many already, the
    difference is near the threshold, and they are those that would tell it from there. It is `None` also where no
    number would do.
    """

    outcome: Outcome
    low: float
    high: float
    threshold: float
    rows_to_decide: int | None

    @property
    def would_decide(self) -> str:
        """Return in words how many rows would decide."""
        if self.rows_to_decide is None:
            return "how many would decide cannot be told: single rows or keys weigh too much, or the difference is none"
        return f"about {self.rows_to_decide:,} would decide"


def judge(paired: Paired, *, margin: float, alpha: float, superiority: bool) -> Judged:
    """Return PASS when the difference is shown to be above the threshold, FAIL when shown to be below.

    The threshold is `-margin`, or 0 for superiority; each is shown with an error of at most `alpha`.
    """
    threshold = 0.0 if superiority else -margin
    low, high = paired.interval(alpha)
    outcome, rows = decide(paired, threshold, margin=margin, alpha=alpha)
    return Judged(outcome=outcome, low=low, high=high, threshold=threshold, rows_to_decide=rows)


def decide(paired: Paired, threshold: float, *, margin: float, alpha: float) -> tuple[Outcome, int | None]:
    """Return the outcome, and where nothing is shown the rows that would decide; it needs no interval."""
    if paired.p_above(threshold) <= alpha:
        return Outcome.PASS, None
    if paired.p_below(threshold) <= alpha:
        return Outcome.FAIL, None
    rows = rows_to_decide(paired, margin=margin, alpha=alpha)
    if rows is not None and rows <= paired.n:
        rows = rows_to_decide(paired, margin=abs(paired.difference - threshold), alpha=alpha)
        rows = None if rows is None else max(rows, paired.n + 1)
    return Outcome.INCONCLUSIVE, rows


def without_error(paired: Paired) -> bool:
    """Return whether both have a loss of 0, on every row; of what is better when higher, 0 is no lack of error."""
    return paired.is_loss and paired.champion == paired.candidate == 0 and paired.n_differing == 0


def rows_to_decide(paired: Paired, *, margin: float, alpha: float) -> int | None:
    """Return how many rows would decide between differences that are a margin away from the threshold.

    `None` where a thousand million would not, or nobody can tell: without a margin, and where the tail is so heavy that
    losses may have no variance (from 0.5 on, if the tail were known).

    What an unseen row could take of the margin is a share of about log(1 / alpha) / n; the rest is for chance.
    """
    z = float(stats.norm.isf(alpha) + stats.norm.isf(1 - POWER))

    def left(log_n: float) -> float:
        n = math.exp(log_n)
        unseen = -math.log(alpha) * paired.reach(margin) * max(n / paired.n, 1.0) ** paired.tail / n
        return float(margin - unseen - z * paired.spread / math.sqrt(n))

    if not margin > 0 or paired.tail >= HEAVY or not math.isfinite(left(MOST)) or left(MOST) <= 0:
        return None
    return 1 if left(0.0) >= 0 else math.ceil(math.exp(optimize.brentq(left, 0.0, MOST, rtol=1e-6)))


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
