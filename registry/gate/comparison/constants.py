"""What somebody who knows no feature would answer: the constant that any model has to beat.

Of all constants it is the best one on the very rows that are judged, so that no constant is ever better than it, by
chance neither; and nothing that a version says of itself has a part in it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from slipway.registry.gate.comparison.answers import Said
from slipway.registry.gate.comparison.head_to_head import HeadToHead
from slipway.registry.gate.comparison.metric_pairs import SMALLEST_PROBABILITY
from slipway.registry.gate.comparison.random_weights import Floats
from slipway.registry.policy.policy import Metric

NAME = "a constant"
UNBALANCED_BELOW = 0.5  # of an even share
# The number with the least loss, where that is not the quantile that a rule names.
MIDDLE: Mapping[Metric, float] = {"mae": 0.5}


def is_unbalanced(y: npt.NDArray[np.generic]) -> bool:
    """Return whether the rarest class of `y`, shape (n,), has less than half of an even share of the rows.

    >>> is_unbalanced(np.array([0, 0, 0, 0, 1])), is_unbalanced(np.array([0, 0, 1])), is_unbalanced(np.array([1, 1]))
    (True, False, False)
    """
    counts = np.unique(y, return_counts=True)[1]
    return bool(counts.min() * len(counts) < UNBALANCED_BELOW * len(y))


def default_metric(both: HeadToHead) -> Metric:
    """Return what two versions are compared by where the policy names nothing: what a constant cannot meet."""
    if not both.is_classification:
        return "rmse"
    return "balanced_accuracy" if is_unbalanced(both.y) else "accuracy"


def metric_beside_constant(both: HeadToHead, named: Metric | None) -> Metric:
    """Return what a version stands beside a constant by: a share of right answers tells nothing of a rare class."""
    return default_metric(both) if named in (None, "accuracy") else named


def beside_constant(both: HeadToHead, metric: Metric, *, quantile: float) -> HeadToHead:
    """Return the candidate beside the best constant, in the champion's place."""
    best = _of_classes(both, metric) if both.is_classification else _number(both, metric, quantile)
    return replace(both, champion=best, names=(NAME, both.names[1]))


def answers_all_alike(said: Said) -> bool:
    """Return whether a version gives every row the same answer: the same label, and the same scores."""
    scores = said.scores
    return len(set(said.labels.tolist())) == 1 and (scores is None or bool((scores == scores[0]).all()))


def _of_classes(both: HeadToHead, metric: Metric) -> Said:
    """Answer the commonest class, which is the best label by every metric, and the classes' shares of the rows."""
    names, counts = np.unique(both.y, return_counts=True)
    shares = counts / len(both.y)
    if metric == "log_loss":
        shares = min(_sharper(shares), key=lambda each: _log_loss(shares, each))
    return Said(
        labels=np.repeat(names[counts.argmax()], len(both.y)),
        scores=np.tile(shares, (len(both.y), 1)),
        are_probabilities=True,
        classes=tuple(names.tolist()),
        method=both.candidate.method,
    )


def _number(both: HeadToHead, metric: Metric, quantile: float) -> Said:
    """Answer the number with the least loss: the mean of squares', a quantile of all others."""
    y = both.y.astype(np.float64)
    best = y.mean() if metric == "rmse" else np.quantile(y, MIDDLE.get(metric, quantile), method="inverted_cdf")
    return replace(both.candidate, labels=np.full(len(y), best))


def _sharper(shares: Floats) -> Iterator[Floats]:
    """Yield probabilities with none, one, two, … of the rarest classes at 0, which costs no more than the smallest."""
    yield shares
    order = np.argsort(shares)
    for left_out in range(1, int((shares < 10 * SMALLEST_PROBABILITY).sum()) + 1):
        kept = shares.copy()
        kept[order[:left_out]] = 0.0
        if not kept.any():
            return
        yield kept / kept.sum()


def _log_loss(shares: Floats, probabilities: Floats) -> float:
    return float(-(shares * np.log(np.maximum(probabilities, SMALLEST_PROBABILITY))).sum())
