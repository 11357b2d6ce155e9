"""Rows as people have them, and as they should not be judged lightly: comparisons with a known true difference."""

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy import optimize, stats

from slipway.registry.gate.comparison import influences, paired
from slipway.registry.gate.comparison.metric_pairs import SMALLEST_PROBABILITY
from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.comparison.random_weights import Clusters

Rng = np.random.Generator
Draw = Callable[[Rng, int, float], Paired]
Errors = Callable[[Rng, int, float], np.ndarray]
LARGEST = float(-np.log(SMALLEST_PROBABILITY))


def accuracy_rows(rng: Rng, n: int, difference: float, differing: float) -> tuple[np.ndarray, np.ndarray]:
    """Return shape (n,) twice: whether champion and candidate are right, who differ on a share of the rows."""
    draw = rng.random(n)
    lost, gained = (differing - difference) / 2, (differing + difference) / 2
    champion = np.where(draw < lost, True, np.where(draw < lost + gained, False, rng.random(n) < 0.9))
    candidate = np.where(draw < lost, False, np.where(draw < lost + gained, True, champion))
    return champion, candidate


def of_accuracy(differing: float) -> Draw:
    """Return a draw for accuracy."""
    return lambda rng, n, difference: paired.accuracy(*accuracy_rows(rng, n, difference, differing))


def of_copied_accuracy(rng: Rng, n: int, difference: float) -> Paired:
    """Compare on rows of which there are ten copies each."""
    clusters = ten_times(n)
    rights = accuracy_rows(rng, clusters.count, difference, 0.2)
    theirs, ours = (each[clusters.codes] for each in rights)
    return paired.accuracy(theirs, ours, clusters=clusters)


def of_accuracy_by_key(rng: Rng, n: int, difference: float) -> Paired:
    """Compare on customers of 1 to 20 rows; a customer's rows are answered better, or worse, together."""
    codes = np.repeat(np.arange(n), rng.integers(1, 21, n))[:n]
    lean = rng.choice([-1.0, 1.0], codes[-1] + 1) * 0.1
    draw = rng.random(n)
    lost, gained = 0.15 - difference / 2 - lean[codes] / 2, 0.15 + difference / 2 + lean[codes] / 2
    return paired.accuracy(draw >= gained, (draw < gained) | (draw >= gained + lost), clusters=Clusters(codes=codes))


def perfect_accuracy(rng: Rng, n: int, difference: float) -> Paired:
    """Compare with a champion that is always right."""
    return paired.accuracy(np.ones(n, dtype=bool), rng.random(n) >= -difference)


def of_balanced_accuracy(rng: Rng, n: int, difference: float) -> Paired:
    """Compare on two classes, one of them a fifth of the rows."""
    y = np.arange(n) % 5 == 0
    return paired.balanced_accuracy(y, *accuracy_rows(rng, n, difference, 0.1))


def of_f1(minority: float) -> Draw:
    """Return a draw for F1: some of the rows are taken for the other class, most of them by both."""

    def f1_at(flipped: float) -> float:
        right, wrong = 1 - flipped, flipped
        scores = [
            2 * share * right / (share * right + (1 - share) * wrong + share) for share in (minority, 1 - minority)
        ]
        return float(np.mean(scores))

    @cache
    def flips_for(difference: float) -> float:
        usual = minority / 4
        return float(optimize.brentq(lambda flipped: f1_at(flipped) - f1_at(usual) - difference, 1e-6, 0.5))

    def draw(rng: Rng, n: int, difference: float) -> Paired:
        y = np.arange(n) < max(1, round(minority * n))
        shared, own = rng.random((2, n))
        other = np.where(rng.random(n) < 0.7, shared, own)
        return paired.f1(y, y ^ (shared < flips_for(0.0)), y ^ (other < flips_for(difference)))

    return draw


def of_log_loss(rng: Rng, n: int, difference: float) -> Paired:
    """Compare skewed losses with mean 0.3 that go together, as the log loss of two similar models does."""
    champion = rng.exponential(0.3, n)
    candidate = champion * rng.uniform(0.5, 1.5, n) - difference
    return bounded(champion, candidate)


def of_rare_mistakes(rng: Rng, n: int, difference: float) -> Paired:
    """Compare log losses of which the candidate's is 5 nats more on rare rows, and nearly the champion's else."""
    champion = rng.exponential(0.3, n)
    candidate = champion * rng.uniform(0.9, 1.1, n) + 5 * (rng.random(n) < -difference / 5)
    return bounded(champion, candidate)


def bounded(champion: np.ndarray, candidate: np.ndarray) -> Paired:
    """Compare log losses as the checks do."""
    theirs, ours = (np.clip(losses, 0, LARGEST) for losses in (champion, candidate))
    return paired.bounded_loss(theirs, ours, largest=LARGEST)


def of_brier(rng: Rng, n: int, difference: float) -> Paired:
    """Compare probabilities that are off by 0.1, the worse candidate's by more."""
    true = rng.uniform(0.25, 0.75, n)
    y = rng.random(n) < true
    off = (0.1, np.sqrt(0.01 - difference))
    theirs, ours = (((true + size * rng.choice([-1, 1], n)) - y) ** 2 for size in off)
    return paired.bounded_loss(theirs, ours, largest=1.0)


def of_errors(errors: Errors, *, together: float, rooted: bool = False, copied: bool = False) -> Draw:
    """Return a draw for mean absolute errors, or roots of mean squares; a relative difference scales the candidate's.

    `together` is the correlation of both versions' errors; with `copied` there are ten copies of each row.
    """

    def draw(rng: Rng, n: int, difference: float) -> Paired:
        clusters = ten_times(n) if copied else paired.alone(n)
        champion, candidate = np.abs(errors(rng, clusters.count, together))
        losses = (champion, candidate * (1 - difference))
        theirs, ours = (each[clusters.codes] ** (2 if rooted else 1) for each in losses)
        return paired.mean_loss(theirs, ours, rooted=rooted, clusters=clusters)

    return draw


def of_rounded_errors(rng: Rng, n: int, difference: float) -> Paired:
    """Compare whole numbers with whole numbers: most errors are 0, 1 or 2, and most are the same."""
    champion = rng.poisson(0.7, n).astype(float)
    candidate = np.where(rng.random(n) < 0.9, champion, rng.poisson(0.7, n))
    return paired.mean_loss(champion, candidate + (rng.random(n) < -difference * 0.7))


def of_pinball(rng: Rng, n: int, difference: float) -> Paired:
    """Compare two estimates of a 0.9 quantile, with errors that go together."""
    shared = rng.normal(size=n)
    theirs, ours = (shared + 0.3 * rng.normal(size=n) - 1.28 for _ in range(2))
    losses = [np.maximum(0.9 * errors, -0.1 * errors) for errors in (theirs, ours)]
    return paired.mean_loss(losses[0], losses[1] * (1 - difference))


def of_ranks(area: float, *, share: float = 0.2, positives: int | None = None) -> Draw:
    """Return a draw for the area under the ROC curve, of normal scores: a share of the rows is positive, or so many."""

    def draw(rng: Rng, n: int, difference: float) -> Paired:
        y, (champion, candidate) = normal_scores(
            rng, n, (shift_for(area), shift_for(area + difference)), share, positives
        )
        return paired.roc_auc(y[:, None], champion[:, None], candidate[:, None])

    return draw


def of_average_precision(rng: Rng, n: int, difference: float) -> Paired:
    """Compare normal scores, a fifth of the rows positive."""
    shifts = (shift_of_precision(0.0), shift_of_precision(difference))
    y, (champion, candidate) = normal_scores(rng, n, shifts, 0.2, None)
    return paired.average_precision(y[:, None], champion[:, None], candidate[:, None])


@cache
def shift_of_precision(difference: float) -> float:
    """Return how far apart positives and negatives are for an average precision that differs from that of 1.8."""
    rng = np.random.default_rng(0)
    y = (np.arange(100_000) % 5 == 0).astype(np.int64)
    noise = rng.normal(size=len(y))

    def value(shift: float) -> float:
        return influences.average_precision(y, noise + shift * y).value

    return float(optimize.brentq(lambda shift: value(shift) - value(1.8) - difference, 0.0, 5.0, xtol=1e-4))


def normal_scores(
    rng: Rng, n: int, shifts: tuple[float, float], share: float, positives: int | None
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return the truth, shape (n,), and both versions' scores, which go together."""
    y = (np.arange(n) < (positives or max(1, round(share * n)))).astype(np.int64)
    shared, own, theirs = rng.normal(size=(3, n))
    champion = shifts[0] * y + np.sqrt(0.8) * shared + np.sqrt(0.2) * own
    candidate = shifts[1] * y + np.sqrt(0.8) * shared + np.sqrt(0.2) * theirs
    return y, (champion, candidate)


def shift_for(area: float) -> float:
    """Return how far apart two normal distributions are whose ROC curve has an area."""
    return float(np.sqrt(2) * stats.norm.ppf(area))


def ten_times(n: int) -> Clusters:
    """Return n rows of which ten at a time are copies of one."""
    return Clusters(codes=np.arange(n) // 10)


def normal(rng: Rng, n: int, together: float) -> np.ndarray:
    """Return normal errors of both versions, shape (2, n), with a correlation."""
    champion, other = rng.normal(size=(2, n))
    return np.stack([champion, together * champion + np.sqrt(1 - together**2) * other])


def student(freedom: int) -> Errors:
    """Return errors of Student's t: where one version is far off, so is the other."""
    return lambda rng, n, together: normal(rng, n, together) / np.sqrt(rng.chisquare(freedom, n) / freedom)


def lognormal(sigma: float) -> Errors:
    """Return lognormal errors: few are far larger than all others."""
    return lambda rng, n, together: np.exp(sigma * normal(rng, n, together))
