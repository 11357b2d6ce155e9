"""How much better or worse a candidate is than a champion on the same rows, with what certainty.

Every comparison is oriented so that a positive difference is in the candidate's favour, and answers three questions:
which interval holds the true difference, how surprising the rows would be were the difference not above a threshold,
and how surprising were it not below. Everything is deterministic: resampling starts from a fixed seed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

FEW_DIFFERING = 10
RESAMPLES = 1999
CELLS_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """A comparison on n rows, of which the two differ on `n_differing`.

    `interval(alpha)` returns the ends of an interval, each wrong with probability `alpha`. `p_above(t)` is small when
    the rows show that the true difference is above t, `p_below(t)` when they show that it is below. `spread` is the
    standard deviation of one row's share in the difference, from which the rows that would decide are reckoned.
    """

    champion: float
    candidate: float
    difference: float
    n: int
    n_differing: int
    method: str
    spread: float
    interval: Callable[[float], tuple[float, float]]
    p_above: Callable[[float], float]
    p_below: Callable[[float], float]


def accuracy(champion_right: Flags, candidate_right: Flags) -> Paired:
    """Compare two shares of right answers by the score interval for paired proportions.

    Parameters
    ----------
    champion_right, candidate_right
        Shape (n,), n > 0: whether each row was answered rightly.

    Notes
    -----
    Tango, Statistics in Medicine 17 (1998): the score test of a given difference inverted. Unlike a bootstrap it does
    not collapse when few rows, or none, are answered differently: with none of 30 it still spans ±0.08 at alpha 0.05.

    >>> same = np.ones(30, dtype=bool)
    >>> [round(end, 3) for end in accuracy(same, same).interval(0.05)]
    [-0.083, 0.083]
    """
    n = len(champion_right)
    gained = int((candidate_right & ~champion_right).sum())
    lost = int((champion_right & ~candidate_right).sum())
    # The spread is that of an upper bound of the differing share: few rows may show none of it by chance.
    likely_share = _upper_share(gained + lost, n, 0.2)
    return Paired(
        champion=float(champion_right.mean()),
        candidate=float(candidate_right.mean()),
        difference=(gained - lost) / n,
        n=n,
        n_differing=gained + lost,
        method="score interval for paired proportions (Tango, 1998)",
        spread=float(np.sqrt(likely_share)),
        interval=lambda alpha: _tango_interval(gained, lost, n, alpha),
        p_above=lambda t: float(stats.norm.sf(_tango_score(gained, lost, n, t))),
        p_below=lambda t: float(stats.norm.cdf(_tango_score(gained, lost, n, t))),
    )


def balanced_accuracy(y: npt.NDArray[np.generic], champion_right: Flags, candidate_right: Flags) -> Paired:
    """Compare two means of per-class accuracy: each class by Tango's interval, combined by recovered variances.

    Parameters
    ----------
    y
        Shape (n,): the true class of each row.
    champion_right, candidate_right
        Shape (n,): whether each row was answered rightly.

    Notes
    -----
    Zou and Donner, Statistics in Medicine 27 (2008): the distance of each part's end from its estimate stands for its
    standard error. The p-values are found by inverting the interval.
    """
    parts = [accuracy(champion_right[y == name], candidate_right[y == name]) for name in np.unique(y)]
    difference = float(np.mean([part.difference for part in parts]))

    def interval(alpha: float) -> tuple[float, float]:
        ends = np.array([part.interval(alpha) for part in parts])
        centres = np.array([part.difference for part in parts])
        below = float(np.sqrt(((centres - ends[:, 0]) ** 2).sum())) / len(parts)
        above = float(np.sqrt(((ends[:, 1] - centres) ** 2).sum())) / len(parts)
        return difference - below, difference + above

    # Rows of class k weigh n / (K n_k); what one row contributes to the variance of the whole follows from that.
    n = len(y)
    spread = float(np.sqrt(sum(n / part.n * part.spread**2 for part in parts))) / len(parts)
    return Paired(
        champion=float(np.mean([part.champion for part in parts])),
        candidate=float(np.mean([part.candidate for part in parts])),
        difference=difference,
        n=n,
        n_differing=sum(part.n_differing for part in parts),
        method="score intervals by class, combined (Tango, 1998; Zou and Donner, 2008)",
        spread=spread,
        interval=interval,
        p_above=lambda t: _inverted(lambda alpha: interval(alpha)[0] > t),
        p_below=lambda t: _inverted(lambda alpha: interval(alpha)[1] < t),
    )


def mean_loss(champion_losses: Floats, candidate_losses: Floats, *, rooted: bool = False) -> Paired:
    """Compare two mean losses, or with `rooted` their square roots, by a studentized bootstrap.

    Parameters
    ----------
    champion_losses, candidate_losses
        Shape (n,), finite and not negative: the loss of each row; less is better.

    Notes
    -----
    Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 12.5, on each row's influence; a root is
    taken by its first derivative. Where fewer than ten rows differ a bootstrap says nothing of those that were not
    seen, and the interval is widened by the rule of three: a share of rows up to 1 - alpha^(1/n) may differ unseen,
    each by as much as the largest loss.
    """
    values = np.array([champion_losses.mean(), candidate_losses.mean()])
    champion, candidate = np.sqrt(values) if rooted else values
    slopes = 0.5 / np.maximum([champion, candidate], np.finfo(float).tiny) if rooted else np.ones(2)
    shares = slopes[0] * champion_losses - slopes[1] * candidate_losses
    largest = float(max(slopes[0] * champion_losses.max(), slopes[1] * candidate_losses.max()))
    return _smooth(
        champion=float(champion),
        candidate=float(candidate),
        difference=float(champion - candidate),
        shares=shares,
        n_differing=int((champion_losses != candidate_losses).sum()),
        unseen=lambda alpha: largest * _upper_share(0, len(shares), alpha),
        method="studentized bootstrap (Efron and Tibshirani, 1993)",
    )


def roc_auc(truth: npt.NDArray[np.int64], champion_scores: Floats, candidate_scores: Floats) -> Paired:
    """Compare two areas under the ROC curve, averaged over classes, by their structural components.

    Parameters
    ----------
    truth
        Shape (n, k): 1 where the row is of class k; each column holds both values.
    champion_scores, candidate_scores
        Shape (n, k): how much each row looks like each class.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988). The components are written as influences of rows, so that
    several classes can be averaged, and their t-interval is taken. Few differing rows are treated as by `mean_loss`, a
    positive or negative row being able to change the area by its whole share.
    """
    ours = [_auc_influences(truth[:, k], candidate_scores[:, k]) for k in range(truth.shape[1])]
    theirs = [_auc_influences(truth[:, k], champion_scores[:, k]) for k in range(truth.shape[1])]
    candidate, champion = (float(np.mean([area for area, _ in found])) for found in (ours, theirs))
    shares = np.mean([mine - its for (_, mine), (_, its) in zip(ours, theirs, strict=True)], axis=0)
    rarest = int(min(truth.sum(axis=0).min(), (1 - truth).sum(axis=0).min()))
    return _smooth(
        champion=champion,
        candidate=candidate,
        difference=candidate - champion,
        shares=shares + (candidate - champion),
        n_differing=int((np.abs(shares) > 1e-12).sum()),
        unseen=lambda alpha: _upper_share(0, rarest, alpha),
        method="structural components (DeLong et al., 1988)",
        resampled=False,
    )


def _smooth(
    *,
    champion: float,
    candidate: float,
    difference: float,
    shares: Floats,
    n_differing: int,
    unseen: Callable[[float], float],
    method: str,
    resampled: bool = True,
) -> Paired:
    """Return the comparison of which each row's share, shape (n,), has the difference as its mean."""
    n = len(shares)
    spread = float(shares.std(ddof=1)) if n > 1 else float("inf")
    error = max(spread / np.sqrt(n), np.finfo(float).tiny)
    few = n_differing < FEW_DIFFERING
    pivots = _studentized(shares) if resampled and not few else None

    def quantile(p: float) -> float:
        return float(np.quantile(pivots, p) if pivots is not None else stats.t.ppf(p, n - 1))

    def interval(alpha: float) -> tuple[float, float]:
        more = unseen(alpha) if few else 0.0
        return difference - quantile(1 - alpha) * error - more, difference - quantile(alpha) * error + more

    def p_above(t: float) -> float:
        if few or pivots is None:
            return _inverted(lambda alpha: interval(alpha)[0] > t)
        return float((1 + (pivots >= (difference - t) / error).sum()) / (1 + len(pivots)))

    def p_below(t: float) -> float:
        if few or pivots is None:
            return _inverted(lambda alpha: interval(alpha)[1] < t)
        return float((1 + (pivots <= (difference - t) / error).sum()) / (1 + len(pivots)))

    return Paired(
        champion=champion,
        candidate=candidate,
        difference=difference,
        n=n,
        n_differing=n_differing,
        method=method,
        spread=spread * float(np.sqrt((n - 1) / stats.chi2.ppf(0.2, n - 1))) if n > 1 else spread,
        interval=interval,
        p_above=p_above,
        p_below=p_below,
    )


def _studentized(shares: Floats) -> Floats:
    """Return the resampled t statistics of a mean, shape (1999,)."""
    n, mean = len(shares), shares.mean()
    rng = np.random.default_rng(0)
    found = []
    at_once = max(1, CELLS_AT_ONCE // n)
    for start in range(0, RESAMPLES, at_once):
        drawn = shares[rng.integers(0, n, (min(at_once, RESAMPLES - start), n))]
        errors = drawn.std(axis=1, ddof=1) / np.sqrt(n)
        found.append((drawn.mean(axis=1) - mean) / np.maximum(errors, np.finfo(float).tiny))
    return np.concatenate(found)


def _auc_influences(positive: npt.NDArray[np.int64], scores: Floats) -> tuple[float, Floats]:
    """Return the area, and each row's influence on it, shape (n,), with mean 0."""
    is_positive = positive == 1
    n, n_positive = len(scores), int(is_positive.sum())
    # Mid-ranks among all and among one's own give the share of the other side that a row is ranked above.
    ranks = stats.rankdata(scores)
    own = np.empty(n)
    own[is_positive] = stats.rankdata(scores[is_positive])
    own[~is_positive] = stats.rankdata(scores[~is_positive])
    others = np.where(is_positive, n - n_positive, n_positive)
    above = (ranks - own) / others
    components = np.where(is_positive, above, 1 - above)
    area = float(components[is_positive].mean())
    weights = np.where(is_positive, n / n_positive, n / (n - n_positive))
    return area, (components - area) * weights


def _tango_score(gained: int, lost: int, n: int, t: float) -> float:
    """Return the score statistic of the hypothesis that the difference is t, in -1..1."""
    a = 2 * n
    b = -gained - lost + (2 * n - gained + lost) * t
    c = -lost * t * (1 - t)
    share = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * share + t * (1 - t))
    excess = gained - lost - n * t
    if variance <= 0:
        return float(np.sign(excess) * np.inf) if excess else 0.0
    return float(excess / np.sqrt(variance))


def _tango_interval(gained: int, lost: int, n: int, alpha: float) -> tuple[float, float]:
    z = float(stats.norm.isf(alpha))
    difference = (gained - lost) / n
    edge = 1 - 1e-12

    def root(target: float, low: float, high: float) -> float:
        def above(t: float) -> float:
            return _tango_score(gained, lost, n, t) - target

        if (above(low) > 0) == (above(high) > 0):
            return difference  # alpha is so near to 0.5 that rounding hides the sign at the estimate
        return float(optimize.brentq(above, low, high))

    low = root(z, -edge, difference) if difference > -edge and _tango_score(gained, lost, n, -edge) > z else -1.0
    high = root(-z, difference, edge) if difference < edge and _tango_score(gained, lost, n, edge) < -z else 1.0
    return low, high


def _upper_share(found: int, n: int, alpha: float) -> float:
    """Return the largest share of which `found` or fewer in n would be seen with probability alpha.

    Clopper and Pearson, Biometrika 26 (1934).
    """
    return 1.0 if found >= n else float(stats.beta.ppf(1 - alpha, found + 1, n - found))


def _inverted(shown_at: Callable[[float], bool]) -> float:
    """Return the least alpha at which an interval shows something, to three digits; 1 where none does."""
    low, high = 1e-6, 0.5
    if shown_at(low):
        return low
    if not shown_at(high):
        return 1.0
    while high / low > 1.001:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if shown_at(middle) else (middle, high)
    return high
