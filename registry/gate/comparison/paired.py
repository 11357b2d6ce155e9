"""How much better or worse a candidate is than a champion on the same rows, with what certainty.

Every comparison is oriented so that a positive difference is in the candidate's favour, and answers three questions:
which interval holds the true difference, how surprising the rows would be were the difference not above a threshold,
and how surprising were it not below. Nothing is drawn by chance: the same rows give the same answers in any order.

Rows of one cluster (copies of a row, rows of one key) are one draw: ten copies show no more than one.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import stats

from slipway.registry.gate.comparison import influences
from slipway.registry.gate.comparison.influences import Influenced
from slipway.registry.gate.comparison.proportions import tango_interval, tango_score, upper_share
from slipway.registry.gate.comparison.random_weights import Clusters, Excess, Floats, RandomWeights

Flags = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.generic]

UNDIFFERING = 1e-12
BEYOND_ALL = 1e300  # an infinity would make what follows no number


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """A comparison on n rows in `n_clusters` clusters, of which the two differ on `n_differing` rows.

    `is_loss` says that of `champion` and `candidate` the lower one is better.

    `interval(alpha)` returns the ends of an interval, each wrong with probability `alpha`. `p_above(t)` is small when
    the rows show that the true difference is above t, `p_below(t)` when they show that it is below.

    From the rest the rows that would decide are reckoned: `spread` is the standard deviation of one row's share in the
    difference; `reach(margin)` is the most that a row could take of a margin, which grows as n to the power of `tail`.
    """

    champion: float
    candidate: float
    difference: float
    n: int
    n_clusters: int
    n_differing: int
    is_loss: bool
    method: str
    spread: float
    reach: Callable[[float], float]
    tail: float
    interval: Callable[[float], tuple[float, float]]
    p_above: Callable[[float], float]
    p_below: Callable[[float], float]


def accuracy(champion_right: Flags, candidate_right: Flags, *, clusters: Clusters | None = None) -> Paired:
    """Compare two shares of right answers by the score interval for paired proportions.

    Parameters
    ----------
    champion_right, candidate_right
        Shape (n,), n > 0: whether each row was answered rightly.
    clusters
        Which rows belong together; without it each is by itself.

    Notes
    -----
    Tango, Statistics in Medicine 17 (1998): the score test of a given difference inverted. It does not collapse when
    few rows, or none, are answered differently: with none of 30 it still spans ±0.08 at alpha 0.05. It knows rows by
    themselves only; where some belong together the means of clusters are compared, by random weights.

    >>> same = np.ones(30, dtype=bool)
    >>> [round(end, 3) for end in accuracy(same, same).interval(0.05)]
    [-0.083, 0.083]
    """
    n = len(champion_right)
    if clusters is not None and clusters.count < n:
        return _accuracy_of_clusters(champion_right, candidate_right, clusters)
    gained = int((candidate_right & ~champion_right).sum())
    lost = int((champion_right & ~candidate_right).sum())
    return Paired(
        champion=float(champion_right.mean()),
        candidate=float(candidate_right.mean()),
        difference=(gained - lost) / n,
        n=n,
        n_clusters=n,
        n_differing=gained + lost,
        is_loss=False,
        method="score interval for paired proportions (Tango, 1998)",
        # The spread is that of an upper bound of the differing share: few rows may show none of it by chance.
        spread=float(np.sqrt(upper_share(gained + lost, n, 0.2))),
        reach=lambda margin: 0.0,
        tail=0.0,
        interval=lambda alpha: tango_interval(gained, lost, n, alpha),
        p_above=lambda t: float(stats.norm.sf(tango_score(gained, lost, n, t))),
        p_below=lambda t: float(stats.norm.cdf(tango_score(gained, lost, n, t))),
    )


def balanced_accuracy(
    y: Labels, champion_right: Flags, candidate_right: Flags, *, clusters: Clusters | None = None
) -> Paired:
    """Compare two means of per-class accuracy: each class by Tango's interval, combined by recovered variances.

    Parameters
    ----------
    y
        Shape (n,): the true class of each row.
    champion_right, candidate_right
        Shape (n,): whether each row was answered rightly.
    clusters
        Which rows belong together; without it each is by itself.

    Notes
    -----
    Zou and Donner, Statistics in Medicine 27 (2008): the distance of each part's end from its estimate stands for its
    standard error. The p-values are found by inverting the interval. Where rows belong together, influences of rows are
    compared by random weights instead.
    """
    n = len(y)
    if clusters is not None and clusters.count < n:
        theirs, ours = influences.balanced_accuracy(y, champion_right), influences.balanced_accuracy(y, candidate_right)
        return influenced([theirs], [ours], clusters=clusters, method="random weights (Gaffke, 2005)")
    parts = [accuracy(champion_right[y == name], candidate_right[y == name]) for name in np.unique(y)]
    difference = float(np.mean([part.difference for part in parts]))

    def interval(alpha: float) -> tuple[float, float]:
        ends = np.array([part.interval(alpha) for part in parts])
        centres = np.array([part.difference for part in parts])
        below = float(np.sqrt(((centres - ends[:, 0]) ** 2).sum())) / len(parts)
        above = float(np.sqrt(((ends[:, 1] - centres) ** 2).sum())) / len(parts)
        return difference - below, difference + above

    # Rows of class k weigh n / (K n_k); what one row contributes to the variance of the whole follows from that.
    spread = float(np.sqrt(sum(n / part.n * part.spread**2 for part in parts))) / len(parts)
    return Paired(
        champion=float(np.mean([part.champion for part in parts])),
        candidate=float(np.mean([part.candidate for part in parts])),
        difference=difference,
        n=n,
        n_clusters=n,
        n_differing=sum(part.n_differing for part in parts),
        is_loss=False,
        method="score intervals by class, combined (Tango, 1998; Zou and Donner, 2008)",
        spread=spread,
        reach=lambda margin: 0.0,
        tail=0.0,
        interval=interval,
        p_above=lambda t: _inverted(lambda alpha: interval(alpha)[0] > t),
        p_below=lambda t: _inverted(lambda alpha: interval(alpha)[1] < t),
    )


def mean_loss(
    champion_losses: Floats,
    candidate_losses: Floats,
    *,
    rooted: bool = False,
    know_nothing: float = 0.0,
    clusters: Clusters | None = None,
) -> Paired:
    """Compare two mean losses without a bound, or with `rooted` their square roots, by random weights.

    Parameters
    ----------
    champion_losses, candidate_losses
        Shape (n,), finite and not negative: the loss of each row; less is better.
    know_nothing
        The largest loss of an answer that knows nothing of the row: what an unseen row may lose where none lost any.
    clusters
        Which rows belong together; without it each is by itself.

    Notes
    -----
    An unseen row is taken to lose at most what the worst row of both lost. No method keeps its error rate for losses of
    every distribution (Bahadur and Savage, Annals of Mathematical Statistics 27, 1956): of losses far beyond all that
    were seen, in fewer than 3 / n of the rows, the rows say nothing. A difference is tested as a share of the
    champion's value: where the tails are heavy both swing together, and the share does not.
    """
    bound = float(max(champion_losses.max(), candidate_losses.max())) or know_nothing
    power = 2 if rooted else 1
    champion, candidate = (float(losses.mean()) ** (1 / power) for losses in (champion_losses, candidate_losses))

    def excess(t: float) -> Excess:
        # The candidate's value is below the champion's less t just where its mean loss is below `allowed`.
        allowed = (champion - t) ** power
        if champion == 0.0:
            return Excess(rows=allowed - candidate_losses, worst=allowed - bound, best=allowed + bound)
        share = allowed / champion**power
        best = min(share * bound, BEYOND_ALL)
        return Excess(rows=share * champion_losses - candidate_losses, worst=-bound, best=best)

    slopes = 0.5 / np.maximum([champion, candidate], np.finfo(float).tiny) if rooted else np.ones(2)
    return _from_weights(
        RandomWeights(
            excess=excess,
            clusters=clusters or alone(len(champion_losses)),
            centre=champion - candidate,
            within=(champion - bound ** (1 / power), champion),
        ),
        champion=champion,
        candidate=candidate,
        shares=slopes[0] * champion_losses - slopes[1] * candidate_losses,
        reach=lambda margin: bound / (2 * candidate + margin) if rooted else bound,
        tail=max(tail_index(champion_losses), tail_index(candidate_losses)),
        method="random weights (Gaffke, 2005), a row may lose what the worst one lost",
        is_loss=True,
    )


def bounded_loss(
    champion_losses: Floats, candidate_losses: Floats, *, largest: float, clusters: Clusters | None = None
) -> Paired:
    """Compare two mean losses of which none is above `largest`, by random weights; else as `mean_loss`.

    The error rate is kept whatever the losses are, also where some are rare and large.
    """
    return _weighted(
        champion=float(champion_losses.mean()),
        candidate=float(candidate_losses.mean()),
        shares=champion_losses - candidate_losses,
        reach=largest,
        clusters=clusters,
        method=f"random weights (Gaffke, 2005), a row may lose up to {largest:.3g}",
        is_loss=True,
    )


def influenced(
    champion: list[Influenced],
    candidate: list[Influenced],
    *,
    clusters: Clusters | None = None,
    method: str,
) -> Paired:
    """Compare two metrics, each a mean of parts (a part a class), by the influences of rows on them.

    The influences are weighted at random, as the losses of `mean_loss` are, beside a row of the kind that was seen
    least.
    """
    theirs, ours = (float(np.mean([part.value for part in parts])) for parts in (champion, candidate))
    moved = np.mean([mine.influences - its.influences for mine, its in zip(candidate, champion, strict=True)], axis=0)
    reach = float(max(part.reach for part in (*champion, *candidate))) / len(champion)
    return _weighted(
        champion=theirs, candidate=ours, shares=moved + (ours - theirs), reach=reach, clusters=clusters, method=method
    )


def roc_auc(
    truth: npt.NDArray[np.int64],
    champion_scores: Floats,
    candidate_scores: Floats,
    *,
    clusters: Clusters | None = None,
) -> Paired:
    """Compare two areas under the ROC curve, averaged over classes, by their structural components.

    Parameters
    ----------
    truth
        Shape (n, k): 1 where the row is of class k; each column holds both values.
    champion_scores, candidate_scores
        Shape (n, k): how much each row looks like each class.
    clusters
        Which rows belong together; without it each is by itself.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), written as influences of rows, so that several classes can
    be averaged and clusters summed (Obuchowski, Biometrics 53, 1997). A row of the rarest class may have been seen
    nowhere: what is shown is shown by the rows of that class, however many the others are.
    """
    theirs, ours = (_each_class(influences.roc_auc, truth, scores) for scores in (champion_scores, candidate_scores))
    return influenced(theirs, ours, clusters=clusters, method="structural components (DeLong et al., 1988)")


def average_precision(
    truth: npt.NDArray[np.int64],
    champion_scores: Floats,
    candidate_scores: Floats,
    *,
    clusters: Clusters | None = None,
) -> Paired:
    """Compare two average precisions, averaged over classes, by the influences of rows; as `roc_auc`."""
    theirs, ours = (
        _each_class(influences.average_precision, truth, scores) for scores in (champion_scores, candidate_scores)
    )
    found = influenced(theirs, ours, clusters=clusters, method="influences of rows on the average precision")
    # The reach of a negative row above all others grows with the logarithm of how many are below it.
    return replace(found, tail=max(found.tail, 0.35))


def f1(y: Labels, champion_labels: Labels, candidate_labels: Labels, *, clusters: Clusters | None = None) -> Paired:
    """Compare two F1 scores, each a mean over classes, by the influences of rows; all of shape (n,)."""
    theirs, ours = (influences.f1(y, labels) for labels in (champion_labels, candidate_labels))
    return influenced([theirs], [ours], clusters=clusters, method="influences of rows on the F1 scores")


def alone(n: int) -> Clusters:
    """Return n clusters of one row each."""
    return Clusters(codes=np.arange(n))


def tail_index(losses: Floats) -> float:
    """Return how fast the largest of n losses grows: as n to this power; 0 where nothing is lost.

    Hill, Annals of Statistics 3 (1975), of the largest tenth. Of errors that have no mean it is above 1.
    """
    top = np.sort(losses[losses > 0])[::-1][: max(5, len(losses) // 10)]
    return float(np.log(top / top[-1]).mean()) if len(top) else 0.0


def _accuracy_of_clusters(champion_right: Flags, candidate_right: Flags, clusters: Clusters) -> Paired:
    shares = candidate_right.astype(float) - champion_right
    found = _weighted(
        champion=float(champion_right.mean()),
        candidate=float(candidate_right.mean()),
        shares=shares,
        reach=1.0,
        clusters=clusters,
        method="means of clusters under random weights (Gaffke, 2005)",
    )
    # As for rows by themselves: few clusters may show no difference by chance.
    sums = clusters.sums(shares)
    differing = sums[sums != 0]
    square = float((differing**2).mean()) if len(differing) else clusters.size**2
    likely = upper_share(len(differing), clusters.count, 0.2)
    return replace(found, spread=float(np.sqrt(likely * square * clusters.count / len(shares))))


def _each_class(
    influences_of: Callable[[npt.NDArray[np.int64], Floats], Influenced], truth: npt.NDArray[np.int64], scores: Floats
) -> list[Influenced]:
    return [influences_of(truth[:, k], scores[:, k]) for k in range(truth.shape[1])]


def _weighted(
    *,
    champion: float,
    candidate: float,
    shares: Floats,
    reach: float,
    clusters: Clusters | None,
    method: str,
    is_loss: bool = False,
) -> Paired:
    """Return the comparison of which each row's share, shape (n,) and within ±reach, has the difference as its mean."""
    return _from_weights(
        RandomWeights(
            excess=lambda t: Excess(rows=shares - t, worst=-reach - t, best=reach - t),
            clusters=clusters or alone(len(shares)),
            centre=float(shares.mean()),
            within=(-reach, reach),
        ),
        champion=champion,
        candidate=candidate,
        shares=shares,
        reach=lambda margin: reach,
        tail=0.0,
        method=method,
        is_loss=is_loss,
    )


def _from_weights(
    weights: RandomWeights,
    *,
    champion: float,
    candidate: float,
    shares: Floats,
    reach: Callable[[float], float],
    tail: float,
    method: str,
    is_loss: bool,
) -> Paired:
    n, n_clusters = len(shares), weights.clusters.count
    sums = weights.clusters.sums(shares - shares.mean())
    # The error of the mean, in units of one row; of few clusters an upper bound of what it may be.
    freedom = n_clusters / float(stats.chi2.ppf(0.2, max(n_clusters - 1, 1)))
    spread = float(np.linalg.norm(sums / (np.abs(sums).max() or 1.0)) * np.abs(sums).max()) * np.sqrt(freedom / n)
    return Paired(
        champion=champion,
        candidate=candidate,
        difference=weights.centre,
        n=n,
        n_clusters=n_clusters,
        n_differing=int((np.abs(shares) > UNDIFFERING).sum()),
        is_loss=is_loss,
        method=method,
        spread=float(spread),
        reach=lambda margin: reach(margin) * weights.clusters.size,
        # A product's tail is the heavier one of its factors': of a row's loss, and of how many rows a key has.
        tail=max(tail, tail_index(weights.clusters.sums(np.ones(n)))) if weights.clusters.drawn_whole else tail,
        interval=weights.interval,
        p_above=weights.p_above,
        p_below=weights.p_below,
    )


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
