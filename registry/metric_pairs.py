"""Which comparison belongs to which metric, and what difference matters where nobody says."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from registry import paired
from registry.head_to_head import CannotCompare, HeadToHead, Said
from registry.paired import Floats, Paired

SMALLEST_PROBABILITY = 1e-15


@dataclass(frozen=True, kw_only=True, slots=True)
class Margin:
    """A difference that matters: absolute, or as a share of the champion's value."""

    value: float
    relative: bool = False

    def of(self, champion: float) -> float:
        """Return it in the metric's own unit."""
        return self.value * abs(champion) if self.relative else self.value


DEFAULT_METRICS: Mapping[bool, str] = {True: "accuracy", False: "rmse"}
DEFAULT_MARGINS: Mapping[str, Margin] = {
    "accuracy": Margin(value=0.02),
    "balanced_accuracy": Margin(value=0.02),
    "roc_auc": Margin(value=0.02),
    "log_loss": Margin(value=0.05),
    "mae": Margin(value=0.05, relative=True),
    "rmse": Margin(value=0.05, relative=True),
}


def compare(metric: str, both: HeadToHead) -> Paired:
    """Return the paired comparison of a metric.

    Raises
    ------
    CannotCompare
        The metric does not suit the task, or a version does not give what it needs.
    """
    if (metric in ("mae", "rmse")) == both.is_classification:
        task = "classification" if both.is_classification else "regression"
        raise CannotCompare(f"{metric} does not measure {task}; the policy names another: metric: …")
    return COMPARISONS[metric](both)


def right(both: HeadToHead, said: Said) -> npt.NDArray[np.bool_]:
    """Return shape (n,): whether each row was answered rightly."""
    return np.asarray(said.labels == both.y, dtype=bool)


def absolute_errors(both: HeadToHead, said: Said) -> Floats:
    """Return shape (n,): how far each answer is off."""
    errors: Floats = np.abs(said.labels.astype(float) - both.y.astype(float))
    _require_finite(errors, "answers")
    return errors


def _require_finite(values: Floats, what: str) -> None:
    """Refuse to measure on what is no number: most arithmetic of NaN is silent, and so are comparisons with it."""
    if strange := int((~np.isfinite(values)).sum()):
        raise CannotCompare(f"{strange} {what} of a version are not finite numbers")


def _accuracy(both: HeadToHead) -> Paired:
    return paired.accuracy(right(both, both.champion), right(both, both.candidate))


def _balanced_accuracy(both: HeadToHead) -> Paired:
    return paired.balanced_accuracy(both.y, right(both, both.champion), right(both, both.candidate))


def _mae(both: HeadToHead) -> Paired:
    return paired.mean_loss(absolute_errors(both, both.champion), absolute_errors(both, both.candidate))


def _rmse(both: HeadToHead) -> Paired:
    theirs, ours = (absolute_errors(both, said) ** 2 for said in (both.champion, both.candidate))
    return paired.mean_loss(theirs, ours, rooted=True)


def _log_loss(both: HeadToHead) -> Paired:
    theirs, ours = (_row_log_losses(both, said) for said in (both.champion, both.candidate))
    return paired.mean_loss(theirs, ours)


def _row_log_losses(both: HeadToHead, said: Said) -> Floats:
    if said.scores is None or not said.are_probabilities:
        raise CannotCompare("log_loss needs probabilities, and a version gives none")
    _require_finite(said.scores, "probabilities")
    found = np.zeros(len(both.y))
    for k, name in enumerate(said.classes):
        found += np.where(both.y == name, said.scores[:, k], 0.0)
    losses: Floats = -np.log(np.clip(found, SMALLEST_PROBABILITY, 1.0))
    return losses


def _roc_auc(both: HeadToHead) -> Paired:
    names = list(np.unique(both.y))
    if len(names) < 2:
        raise CannotCompare("all rows are of one class, and roc_auc ranks two")
    ranked = names[1:] if len(names) == 2 else names
    truth = np.column_stack([(both.y == name).astype(np.int64) for name in ranked])
    return paired.roc_auc(truth, _columns(both.champion, ranked), _columns(both.candidate, ranked))


def _columns(said: Said, names: list[object]) -> Floats:
    if said.scores is None:
        raise CannotCompare("roc_auc needs class scores, and a version gives none")
    _require_finite(said.scores, "class scores")
    known = list(said.classes)
    empty = np.zeros(len(said.labels))
    return np.column_stack([said.scores[:, known.index(name)] if name in known else empty for name in names])


COMPARISONS: Mapping[str, Callable[[HeadToHead], Paired]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "mae": _mae,
    "rmse": _rmse,
}
