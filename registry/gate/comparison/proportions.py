"""Two shares of right answers on the same rows: the score interval of their difference, and exact bounds of a share."""

import numpy as np
from scipy import optimize, stats


def tango_score(gained: int, lost: int, n: int, t: float) -> float:
    """Return the score statistic of the hypothesis that the difference is t, in -1..1.

    `gained` of n rows are answered rightly by the candidate alone, `lost` by the champion alone. Tango, Statistics in
    Medicine 17 (1998).
    """
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * t
    c = -lost * t * (1 - t)
    share = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * share + t * (1 - t))
    excess = gained - lost - n * t
    if variance <= 0:
        return float(np.sign(excess) * np.inf) if excess else 0.0
    return float(excess / np.sqrt(variance))


def tango_interval(gained: int, lost: int, n: int, alpha: float) -> tuple[float, float]:
    """Return the differences that the score test does not refuse; each end is wrong with probability alpha."""
    z = float(stats.norm.isf(alpha))
    difference = (gained - lost) / n
    edge = 1 - 1e-12

    def root(target: float, low: float, high: float) -> float:
        def above(t: float) -> float:
            return tango_score(gained, lost, n, t) - target

        if (above(low) > 0) == (above(high) > 0):
            return difference  # alpha is so near to 0.5 that rounding hides the sign at the estimate
        return float(optimize.brentq(above, low, high))

    low = root(z, -edge, difference) if difference > -edge and tango_score(gained, lost, n, -edge) > z else -1.0
    high = root(-z, difference, edge) if difference < edge and tango_score(gained, lost, n, edge) < -z else 1.0
    return low, high


def upper_share(found: int, n: int, alpha: float) -> float:
    """Return the largest share of which `found` or fewer in n would be seen with probability alpha.

    Clopper and Pearson, Biometrika 26 (1934).

    >>> round(upper_share(0, 100, 0.05), 3)
    0.03
    """
    return 1.0 if found >= n else float(stats.beta.ppf(1 - alpha, found + 1, n - found))
