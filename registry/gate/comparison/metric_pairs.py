"""Which comparison belongs to which metric, and what difference matters where nobody says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from slipway.registry.gate.comparison import paired
from slipway.registry.gate.comparison.answers import (
    CannotCompare,
    Said,
    require_finite,
    require_probabilities,
    require_scores,
)
from slipway.registry.gate.comparison.enough_rows import require_enough_beyond, require_enough_of_each_class
from slipway.registry.gate.comparison.head_to_head import HeadToHead
from slipway.registry.gate.comparison.paired import Paired
from slipway.registry.gate.comparison.random_weights import Floats
from slipway.registry.policy.policy import Metric, without_effect

# A probability below counts as this. Without a bound a single row could cost any number of nats, and no number of rows
# would show that such rows are too rare to matter.
SMALLEST_PROBABILITY = 0.002
ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Margin:
    """A difference that matters: absolute, or as a share of the champion's value."""

    value: float
    relative: bool = False

    def of(self, champion: float) -> float:
        """Return it in the metric's own unit."""
        return self.value * abs(champion) if self.relative else self.value


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricPairs:
    """How a metric is compared, for which task, and which margins it has for all rows and for a slice."""

    of: Callable[[HeadToHead, float], Paired]
    classification: bool
    margin: Margin
    slice_margin: Margin


OF_PROBABILITIES = ("log_loss", "brier")
OF_SCORES = (*OF_PROBABILITIES, "roc_auc", "average_precision")


def metric_of_callers(metric: Metric, both: HeadToHead) -> Metric | None:
    """Return what measures the answers that callers get, where a metric looks at others.

    Ranks and probabilities say nothing of labels, which a threshold makes of them; labels and ranks nothing of
    probabilities.
    """
    if not both.is_classification:
        return None
    if both.candidate.method == "predict_proba":
        return None if metric in OF_PROBABILITIES else "brier"
    return "balanced_accuracy" if metric in OF_SCORES else None


def compare(metric: Metric, both: HeadToHead, *, quantile: float) -> Paired:
    """Return the paired comparison of a metric; `quantile` is what `pinball` measures.

    Raises
    ------
    CannotCompare
        The metric does not suit the task, or a version does not give what it needs.
    """
    comparison = COMPARISONS[metric]
    if comparison.classification != both.is_classification:
        task = "classification" if both.is_classification else "regression"
        raise CannotCompare(f"{metric} does not measure {task}; the policy names another: metric: …")
    clusters = replace(both.clusters, drawn_whole=both.clustered_by is not None)
    return comparison.of(replace(both, clusters=clusters), quantile)


def require_effect(metric: Metric, margin: float | None) -> None:
    """Refuse a margin that forbids nothing, where only the task said which metric it is for.

    Raises
    ------
    CannotCompare
        No two values of the metric lie so far apart.
    """
    if margin is not None and (why := without_effect(metric, margin)):
        raise CannotCompare(f"{why}; the policy names a smaller one: margin: …")


def _right(both: HeadToHead, said: Said) -> npt.NDArray[np.bool_]:
    return np.asarray(said.labels == both.y, dtype=bool)


def _accuracy(both: HeadToHead, _: float) -> Paired:
    return paired.accuracy(_right(both, both.champion), _right(both, both.candidate), clusters=both.clusters)


def _balanced_accuracy(both: HeadToHead, _: float) -> Paired:
    require_enough_of_each_class(both, "balanced_accuracy")
    theirs, ours = _right(both, both.champion), _right(both, both.candidate)
    return paired.balanced_accuracy(both.y, theirs, ours, clusters=both.clusters)


def _f1(both: HeadToHead, _: float) -> Paired:
    require_enough_of_each_class(both, "f1")
    return paired.f1(both.y, both.champion.labels, both.candidate.labels, clusters=both.clusters)


def _mae(both: HeadToHead, _: float) -> Paired:
    return _errors_compared(both, np.abs)


def _rmse(both: HeadToHead, _: float) -> Paired:
    return _errors_compared(both, np.square, rooted=True)


def _pinball(both: HeadToHead, quantile: float) -> Paired:
    require_enough_beyond(both, quantile)
    # Koenker and Bassett, Econometrica 46 (1978): an answer below the truth costs the quantile, one above it the rest.
    return _errors_compared(both, lambda errors: np.maximum(-quantile * errors, (1 - quantile) * errors))


def _errors_compared(both: HeadToHead, loss: Callable[[Floats], Floats], *, rooted: bool = False) -> Paired:
    """Compare losses of errors; who knows nothing answers the median."""
    with np.errstate(over="ignore"):
        theirs, ours, nothing = (
            loss(_errors(both.y, answers))
            for answers in (both.champion.labels, both.candidate.labels, np.full(len(both.y), np.median(both.y)))
        )
    for losses, name in zip((theirs, ours), both.names, strict=True):
        require_finite(losses, f"losses of {name} are too large to measure:")
    largest = float(nothing.max()) if np.isfinite(nothing).all() else 0.0
    return paired.mean_loss(theirs, ours, rooted=rooted, know_nothing=largest, clusters=both.clusters)


def _errors(y: Floats, answers: Floats) -> Floats:
    """Return shape (n,): how far each answer is above the truth; what is but rounding is no error."""
    errors = answers - y
    return np.where(np.abs(errors) <= ROUNDING * np.abs(y).max(), 0.0, errors)


def _log_loss(both: HeadToHead, _: float) -> Paired:
    largest = float(-np.log(SMALLEST_PROBABILITY))
    theirs, ours = (
        -np.log(np.clip(_of_the_true_class(both, said, name), SMALLEST_PROBABILITY, 1.0)) for said, name in _both(both)
    )
    return paired.bounded_loss(theirs, ours, largest=largest, clusters=both.clusters)


def _brier(both: HeadToHead, _: float) -> Paired:
    """Compare squared distances of probabilities from what was true; of two classes those of the second alone."""
    # Brier, Monthly Weather Review 78 (1950), sums over classes, which for two is twice the distance of one of them.
    whole = 1.0 if max(len(both.champion.classes), len(both.candidate.classes)) == 2 else 2.0
    theirs, ours = (_row_briers(both, said, name) * whole / 2 for said, name in _both(both))
    return paired.bounded_loss(theirs, ours, largest=whole, clusters=both.clusters)


def _row_briers(both: HeadToHead, said: Said, name: str) -> Floats:
    found = require_probabilities(said, name)
    true = _of_the_true_class(both, said, name)
    losses: Floats = (found**2).sum(axis=1) - true**2 + (1 - true) ** 2
    return losses


def _of_the_true_class(both: HeadToHead, said: Said, version: str) -> Floats:
    found = require_probabilities(said, version)
    return sum(
        (np.where(both.y == name, found[:, k], 0.0) for k, name in enumerate(said.classes)), np.zeros(len(both.y))
    )


def _roc_auc(both: HeadToHead, _: float) -> Paired:
    return paired.roc_auc(*_ranked(both, "roc_auc"), clusters=both.clusters)


def _average_precision(both: HeadToHead, _: float) -> Paired:
    return paired.average_precision(*_ranked(both, "average_precision"), clusters=both.clusters)


def _ranked(both: HeadToHead, metric: Metric) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Return truth and both versions' scores, shape (n, k) each, of the classes that are ranked."""
    names = require_enough_of_each_class(both, metric)
    ranked = names[1:] if len(names) == 2 else names
    truth = np.column_stack([(both.y == name).astype(np.int64) for name in ranked])
    theirs, ours = (_columns(said, ranked, version) for said, version in _both(both))
    return truth, theirs, ours


def _columns(said: Said, names: list[object], version: str) -> Floats:
    scores = require_scores(said, version)
    known = list(said.classes)
    empty = np.zeros(len(said.labels))
    return np.column_stack([scores[:, known.index(name)] if name in known else empty for name in names])


def _both(both: HeadToHead) -> tuple[tuple[Said, str], tuple[Said, str]]:
    return (both.champion, both.names[0]), (both.candidate, both.names[1])


def _of_classes(of: Callable[[HeadToHead, float], Paired], margin: float, slice_margin: float) -> MetricPairs:
    return MetricPairs(of=of, classification=True, margin=Margin(value=margin), slice_margin=Margin(value=slice_margin))


def _of_numbers(of: Callable[[HeadToHead, float], Paired]) -> MetricPairs:
    margin, slice_margin = Margin(value=0.05, relative=True), Margin(value=0.1, relative=True)
    return MetricPairs(of=of, classification=False, margin=margin, slice_margin=slice_margin)


COMPARISONS: Mapping[Metric, MetricPairs] = {
    "accuracy": _of_classes(_accuracy, 0.02, 0.05),
    "balanced_accuracy": _of_classes(_balanced_accuracy, 0.02, 0.05),
    "f1": _of_classes(_f1, 0.02, 0.05),
    "roc_auc": _of_classes(_roc_auc, 0.02, 0.05),
    "average_precision": _of_classes(_average_precision, 0.05, 0.1),
    "log_loss": _of_classes(_log_loss, 0.05, 0.1),
    "brier": _of_classes(_brier, 0.01, 0.02),
    "mae": _of_numbers(_mae),
    "rmse": _of_numbers(_rmse),
    "pinball": _of_numbers(_pinball),
}
