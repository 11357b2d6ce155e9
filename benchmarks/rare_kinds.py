"""Rows of which a rare kind decides: beyond an extreme quantile, of a large key, of a rare class.

They are compared as the checks do, which refuse where too few rows of the kind are there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy import optimize, stats

from benchmarks.draws import Draw, Rng
from slipway.registry.gate.comparison.answers import Said
from slipway.registry.gate.comparison.head_to_head import HeadToHead
from slipway.registry.gate.comparison.metric_pairs import COMPARISONS, compare
from slipway.registry.gate.comparison.paired import Paired, alone
from slipway.registry.gate.comparison.random_weights import Clusters
from slipway.registry.policy.policy import Metric

FREEDOM = 3
CONFIDENCE = 0.9


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """What makes a version two margins worse: a share of rows that it answers wrongly, or with larger errors.

    `factor` is how far errors grow; of classes it is 1. A margin of numbers is a share of the champion's value.
    """

    metric: Metric
    share: float
    factor: float = 1.0

    @property
    def margin(self) -> float:
        """Return the metric's own margin."""
        return COMPARISONS[self.metric].margin.value

    @property
    def relative(self) -> bool:
        """Return whether that is a share."""
        return COMPARISONS[self.metric].margin.relative


# A version is right on nine rows of ten, and a flaw costs the others nothing.
OF_CLASSES = (
    Flaw(metric="accuracy", share=0.04 / CONFIDENCE),
    Flaw(metric="f1", share=0.04 / CONFIDENCE),
    Flaw(metric="average_precision", share=0.0865),
    Flaw(metric="log_loss", share=0.1 / float(np.log(9)) / CONFIDENCE),
    Flaw(metric="brier", share=0.02 / 0.8 / CONFIDENCE),
)
OF_NUMBERS = (
    Flaw(metric="mae", share=0.05, factor=3.0),
    Flaw(metric="rmse", share=0.21 / 8, factor=3.0),
)


def of_quantile(quantile: float) -> Draw:
    """Return a draw for `pinball` of t(3): one answer for all rows, as far off to both sides, or nearer to the middle.

    The champion is a little too near to the middle, an equal candidate as much too far from it.
    """

    def draw(rng: Rng, n: int, difference: float) -> Paired:
        theirs, equal, worse = answers_at(quantile)
        y = rng.standard_t(FREEDOM, n)
        return compared("pinball", y, np.full(n, theirs), np.full(n, worse if difference else equal), quantile=quantile)

    return draw


@cache
def answers_at(quantile: float) -> tuple[float, float, float]:
    """Return the champion's answer to rows of t(3), one of the same expected loss, and one of a tenth more."""
    tail = max(quantile, 1 - quantile)
    best = float(stats.t.ppf(tail, FREEDOM))

    def loss(answer: float) -> float:
        beyond = (FREEDOM + answer**2) / (FREEDOM - 1) * stats.t.pdf(answer, FREEDOM)
        return float((1 - tail) * answer + beyond - answer * stats.t.sf(answer, FREEDOM))

    def where(times: float, low: float, high: float) -> float:
        return float(optimize.brentq(lambda answer: loss(answer) - times * loss(best), low, high))

    found = where(1.02, 0.0, best), where(1.02, best, 100 * best), where(1.02 * 1.1, -10.0, best)
    return found if quantile >= 0.5 else (-found[0], -found[1], -found[2])


def of_large_keys(flaw: Flaw, *, sigma: float = 1.0, largest: float = 0.02) -> Draw:
    """Return a draw of keys of lognormal sizes, of which the largest may be answered badly, all rows of one together.

    Of an equal candidate as many as of the champion; a worse one alone has any.
    """

    def draw(rng: Rng, n: int, difference: float) -> Paired:
        sizes = np.ceil(rng.lognormal(0.0, sigma, n)).astype(int)
        codes = np.repeat(np.arange(n), sizes)[:n]
        bound, rows_in_large = large_keys(sigma, largest)
        flawed = (sizes > bound) & (rng.random(n) < flaw.share / rows_in_large)
        of_candidate = rng.random(n) < (1.0 if difference else 0.5)
        theirs, ours = (flawed & ~of_candidate)[codes], (flawed & of_candidate)[codes]
        answers = of_two_classes if flaw.factor == 1.0 else of_amounts
        return answers(rng, flaw, theirs, ours, Clusters(codes=codes))

    return draw


@cache
def large_keys(sigma: float, largest: float) -> tuple[float, float]:
    """Return above which size the largest keys are, and the share of rows that they hold."""
    sizes = np.ceil(np.random.default_rng(0).lognormal(0.0, sigma, 1_000_000))
    bound = float(np.quantile(sizes, 1 - largest))
    return bound, float(sizes[sizes > bound].sum() / sizes.sum())


def of_alike_rows(rng: Rng, n: int, difference: float) -> Paired:
    """Compare on rows of which many are alike, as rows of a few categories are; no key tells them apart.

    Two in 45 kinds of rows are answered wrongly: one by each version, or both by a worse candidate alone.
    """
    frequency, place = kinds()
    codes = rng.choice(len(frequency), n, p=frequency)
    ours = place <= 1 if difference else place == 0
    theirs = (place == 1) & ~ours
    y = rng.integers(0, 2, n)
    wrong = rng.random(n) >= CONFIDENCE
    said = [y ^ (wrong | flawed[codes]) for flawed in (theirs, ours)]
    clusters = Clusters(codes=np.unique(codes, return_inverse=True)[1])
    return compared("accuracy", y, *said, clusters=clusters, key=None)


@cache
def kinds() -> tuple[np.ndarray, np.ndarray]:
    """Return how frequent 4,500 kinds of rows are, and the place of each in a group of 45 about as frequent ones."""
    drawn = np.sort(np.random.default_rng(0).lognormal(0.0, 1.0, 4500))
    return drawn / drawn.sum(), (np.arange(4500) + 20) % 45


def of_two_classes(rng: Rng, flaw: Flaw, theirs: np.ndarray, ours: np.ndarray, clusters: Clusters) -> Paired:
    """Compare two versions that are wrong on the same tenth of rows, and on all with a flaw; all of shape (n,)."""
    y = rng.integers(0, 2, len(theirs))
    wrong = rng.random(len(y)) >= CONFIDENCE
    said = [y ^ (wrong | flawed) for flawed in (theirs, ours)]
    return compared(flaw.metric, y, *said, clusters=clusters)


def of_amounts(rng: Rng, flaw: Flaw, theirs: np.ndarray, ours: np.ndarray, clusters: Clusters) -> Paired:
    """Compare two versions with the same normal errors, which are larger on rows with a flaw; all of shape (n,)."""
    errors = rng.normal(size=len(theirs))
    said = [errors * np.where(flawed, flaw.factor, 1.0) for flawed in (theirs, ours)]
    return compared(flaw.metric, np.zeros(len(errors)), *said, clusters=clusters)


def of_rare_class(shares: tuple[float, ...]) -> Draw:
    """Return a draw for balanced accuracy; the last class, which is rare, costs a worse candidate the difference."""

    def draw(rng: Rng, n: int, difference: float) -> Paired:
        y = rng.choice(len(shares), n, p=np.array(shares) / sum(shares))
        right = rng.random(n) < 0.8
        lost = (y == len(shares) - 1) & (rng.random(n) < -difference * len(shares) / 0.8)
        # Three in a hundred rows are answered anew, so that an equal candidate differs too.
        anew = rng.random(n) < 0.03
        ours = np.where(anew, rng.random(n) < 0.8, right) & ~lost
        other = (y + rng.integers(1, len(shares), n)) % len(shares)
        said = [np.where(each, y, other) for each in (right, ours)]
        return compared("balanced_accuracy", y, *said, classes=tuple(range(len(shares))))

    return draw


def compared(
    metric: Metric,
    y: np.ndarray,
    theirs: np.ndarray,
    ours: np.ndarray,
    *,
    classes: tuple[int, ...] = (0, 1),
    clusters: Clusters | None = None,
    key: str | None = "key",
    quantile: float = 0.5,
) -> Paired:
    """Compare as the checks do; y and answers have shape (n,), and whole numbers are classes."""
    is_classification = np.issubdtype(y.dtype, np.integer)
    said: Callable[[np.ndarray], Said] = (lambda given: _said(given, classes)) if is_classification else _number
    both = HeadToHead(
        frame=pd.DataFrame(index=range(len(y))),
        y=y,
        is_classification=is_classification,
        candidate=said(ours),
        champion=said(theirs),
        names=("m/1", "m/2"),
        clusters=clusters or alone(len(y)),
        clustered_by=key,
        dropped=0,
        note="",
        doubts=(),
    )
    return compare(metric, both, quantile=quantile)


def _said(labels: np.ndarray, classes: tuple[int, ...]) -> Said:
    """Return the answers of a version that is always as sure of them."""
    rest = (1 - CONFIDENCE) / (len(classes) - 1)
    scores = np.where(labels[:, None] == np.array(classes), CONFIDENCE, rest)
    return Said(labels=labels, scores=scores, are_probabilities=True, classes=classes, method="predict")


def _number(given: np.ndarray) -> Said:
    return Said(labels=given, scores=None, are_probabilities=False, classes=(), method="predict")
