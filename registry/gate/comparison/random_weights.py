"""How surely a mean of rows lies above a threshold, when rows that were not seen may be worse than all that were.

Rows are given random weights, and one row more, which nobody has seen, counts with the worst that a row could be. Of a
share of wrong rows this is the exact interval of Clopper and Pearson; of any bounded quantity it keeps its error rate
at every number of rows, where a t-interval or a bootstrap of the rows alone says nothing of what is rare.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

Floats = npt.NDArray[np.float64]

NEAR_THE_MEAN = 1e-3
UNLIKELIEST = 1e-9
NEGLIGIBLE = 1e-15


@dataclass(frozen=True, kw_only=True, slots=True)
class Clusters:
    """Which rows belong together: `codes`, shape (n,), whole numbers from 0; rows of one cluster count as one draw.

    Keys are `drawn_whole`. Rows that are alike were drawn one by one: what is frequent among them has been seen.
    """

    codes: npt.NDArray[np.intp]
    drawn_whole: bool = True

    @property
    def count(self) -> int:
        """Return how many clusters there are."""
        return int(self.codes.max()) + 1

    @property
    def size(self) -> float:
        """Return how many rows an unseen cluster is taken to hold.

        Three in n keys may have been seen nowhere, and at worst they are of the largest kind: as large as the three
        largest on average. Of rows drawn one by one it is the cluster of a typical row.
        """
        sizes = np.bincount(self.codes)
        if not self.drawn_whole:
            return float((sizes**2).sum() / sizes.sum())
        return float(np.partition(sizes, max(len(sizes) - 3, 0))[-3:].mean())

    def sums(self, rows: Floats) -> Floats:
        """Return shape (count,): the sum of each cluster's rows."""
        return np.bincount(self.codes, weights=rows).astype(np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class Excess:
    """By how much each row, shape (n,), is above a threshold; `worst` and `best` are what an unseen row could be."""

    rows: Floats
    worst: float
    best: float


@dataclass(frozen=True, kw_only=True, slots=True)
class RandomWeights:
    """The tests and the interval of a difference; `excess(t)` are the rows against the threshold t.

    The mean of `excess(t).rows` falls as t grows; it is 0 where t is the estimate, `centre`. The difference cannot be
    outside `within`.

    Notes
    -----
    Gaffke, Mathematical Methods of Statistics 14 (2005), and Learned-Miller and Thomas, arXiv:1905.06208 (2019), for
    the bound of a mean; it is the Bayesian bootstrap of Rubin, Annals of Statistics 9 (1981), with one row more. That
    it keeps its rate is proved for some distributions, and found in all that were simulated. We differ in that a row's
    share may depend on the threshold, and that clusters are weighted instead of their rows.
    """

    excess: Callable[[float], Excess]
    clusters: Clusters
    centre: float
    within: tuple[float, float]

    def p_above(self, t: float) -> float:
        """Return how surprising the rows would be if the true difference were not above t."""
        if t < self.within[0]:
            return 0.0
        if t >= self.within[1]:
            return 1.0
        found = self.excess(t)
        return chance_at_most_zero(self._with_unseen(found.rows, found.worst))

    def p_below(self, t: float) -> float:
        """Return how surprising the rows would be if the true difference were not below t."""
        if t > self.within[1]:
            return 0.0
        if t <= self.within[0]:
            return 1.0
        found = self.excess(t)
        return chance_at_most_zero(-self._with_unseen(found.rows, found.best))

    def interval(self, alpha: float) -> tuple[float, float]:
        """Return the ends, each wrong with probability alpha; without confidence both are the estimate."""
        low = _crossing(lambda t: self.p_above(t) - alpha, self.within[0], self.centre)
        high = _crossing(lambda t: alpha - self.p_below(t), self.centre, self.within[1])
        return low, high

    def _with_unseen(self, rows: Floats, unseen: float) -> Floats:
        return np.append(self.clusters.sums(rows), unseen * self.clusters.size)


def chance_at_most_zero(values: Floats) -> float:
    """Return the probability that the sum of values, each weighted by an independent exponential, is at most 0.

    Parameters
    ----------
    values
        Shape (n,), finite. Where none is above 0 the answer is 1, where none is below it is 0.

    Notes
    -----
    Lugannani and Rice, Advances in Applied Probability 12 (1980): the saddlepoint approximation, here within 2 % of the
    exact value, and nothing is drawn. 100 rows at 0.02 and one at -0.98 give 0.98 ** 100:

    >>> round(chance_at_most_zero(np.append(np.full(100, 0.02), -0.98)), 3), round(0.98**100, 3)
    (0.133, 0.133)
    """
    a = values / (np.abs(values).max() or 1.0)
    a[np.abs(a) < NEGLIGIBLE] = 0.0
    low, high, edge = float(a.min()), float(a.max()), 1 - 1e-12
    if high <= 0:
        return 1.0
    if low >= 0:
        return 0.0
    # Weighted by 1 / (1 - s a) the values have a mean of 0: the empirical likelihood's equation for the same threshold.
    # The two factors take the poles at both ends away, so that few steps find the root.
    s = float(
        optimize.brentq(
            lambda s: float((a / (1 - s * a)).sum()) * (1 - s * low) * (1 - s * high),
            edge / low,
            edge / high,
            xtol=1e-13,
        )
    )
    tilted = 1 - s * a
    root = float(np.sign(s) * np.sqrt(max(2 * np.log(tilted).sum(), 0.0)))
    if abs(root) < NEAR_THE_MEAN:
        spread = np.sqrt((a**2).sum())
        skewness = 2 * (a**3).sum() / spread**3
        return float(special.ndtr(-a.sum() / spread) + skewness / (6 * np.sqrt(2 * np.pi)))
    slope = float(s * np.sqrt(((a / tilted) ** 2).sum()))
    found = special.ndtr(root) + np.exp(-(root**2) / 2) / np.sqrt(2 * np.pi) * (1 / root - 1 / slope)
    return float(np.clip(found, UNLIKELIEST, 1 - UNLIKELIEST))


def _crossing(above: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function crosses 0, or the end that is nearest to it."""
    if above(low) >= 0:
        return low
    if above(high) <= 0:
        return high
    return float(optimize.brentq(above, low, high, xtol=1e-7 * max(1e-9, high - low), rtol=1e-6))
