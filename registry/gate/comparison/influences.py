"""What each row contributes to a metric that is no mean of rows: areas under curves, and the F1 score.

A row's influence is how fast the metric moves as that row gets more weight; influences have a mean of about 0, and the
metric's error is that of their mean. `reach` is the most that one row of the least lucky kind could contribute.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True, slots=True)
class Influenced:
    """A metric's value, each row's influence on it, shape (n,), and the reach of a row that was not seen."""

    value: float
    influences: Floats
    reach: float


def roc_auc(truth: npt.NDArray[np.int64], scores: Floats) -> Influenced:
    """Return the area under the ROC curve of one class; `truth`, shape (n,), holds both 0 and 1.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988): a row's component is the share of the other side that it is
    on the right side of. One row more of the rarer class moves the area by its whole share.

    >>> roc_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    positive = truth == 1
    n, n_positive = len(scores), int(positive.sum())
    # Mid-ranks among all and among one's own give the share of the other side that a row is ranked above.
    ranks = stats.rankdata(scores)
    own = np.empty(n)
    own[positive] = stats.rankdata(scores[positive])
    own[~positive] = stats.rankdata(scores[~positive])
    others = np.where(positive, n - n_positive, n_positive)
    above = (ranks - own) / others
    components = np.where(positive, above, 1 - above)
    area = float(components[positive].mean())
    weights = np.where(positive, n / n_positive, n / (n - n_positive))
    return Influenced(value=area, influences=(components - area) * weights, reach=n / min(n_positive, n - n_positive))


def average_precision(truth: npt.NDArray[np.int64], scores: Floats) -> Influenced:
    """Return the average precision of one class; `truth`, shape (n,), holds both 0 and 1.

    It is the mean, over positive rows, of the precision at each one's score. A row moves it by being one of them, and
    by the precision at all scores up to its own: the first derivative in the row's weight. Boyd, Eng and Page (ECML
    2013) compare ways to its error. A negative row above all others moves it furthest.

    >>> average_precision(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.8333333333333333
    """
    n, n_positive = len(scores), int(truth.sum())
    distinct, place = np.unique(scores, return_inverse=True)
    counted = np.bincount(place, minlength=len(distinct))
    positives = np.bincount(place, weights=truth, minlength=len(distinct))
    at_least = np.cumsum(counted[::-1])[::-1]
    precision = np.cumsum(positives[::-1])[::-1] / at_least
    value = float((precision * positives).sum() / n_positive)
    # Of the thresholds up to a row's score: by how much a positive, and any row, moves the precisions there.
    gains = np.cumsum(positives / at_least) * n / n_positive
    costs = np.cumsum(positives * precision / at_least) * n / n_positive
    own = truth * (precision[place] - value) * n / n_positive
    influences = own + truth * gains[place] - costs[place]
    reach = max(float(costs[-1]), n / n_positive)
    return Influenced(value=value, influences=influences, reach=reach)


def f1(y: Labels, predicted: Labels) -> Influenced:
    """Return the mean over classes of the F1 score; both of shape (n,). A class that is nowhere does not count.

    A score is a ratio of two means, 2 TP over actual plus predicted, and its influence is the ratio's first derivative.

    >>> round(f1(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])).value, 4)
    0.7333
    """
    names = np.unique(np.concatenate([y, predicted]))
    influences = np.zeros(len(y))
    values, shares = [], []
    for name in names:
        actual, said = y == name, predicted == name
        share = float(actual.mean() + said.mean())
        value = 2 * float((actual & said).mean()) / share
        influences += (2.0 * (actual & said) - value * (actual * 1.0 + said)) / (share * len(names))
        values.append(value)
        shares.append(share)
    found, weights = np.array(values), 1 / np.array(shares)
    # A row that should have been of the class with most to lose, and is taken for the one with most to spoil.
    reach = float(((2 - found) * weights).max() + (found * weights).max()) / len(names)
    return Influenced(value=float(found.mean()), influences=influences, reach=reach)


def balanced_accuracy(y: Labels, right: npt.NDArray[np.bool_]) -> Influenced:
    """Return the mean over the classes in `y`, shape (n,), of the share of right answers."""
    names, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    shares = np.bincount(place, weights=right) / counts
    weights = len(y) / (len(names) * counts)
    influences = (right - shares[place]) * weights[place]
    return Influenced(value=float(shares.mean()), influences=influences, reach=float(weights.max()))


def r2(y: Floats, predicted: Floats) -> Influenced:
    """Return the share of the variance of `y`, shape (n,), that the predictions explain; 0 where nothing varies."""
    off, apart = (y - predicted) ** 2, (y - y.mean()) ** 2
    variance = float(apart.mean())
    if variance == 0:
        return Influenced(value=0.0, influences=np.zeros(len(y)), reach=0.0)
    value = 1 - float(off.mean()) / variance
    return Influenced(value=value, influences=((1 - value) * apart - off) / variance, reach=float(off.max()) / variance)
