"""Tune: search an estimator's parameters by cross-validation on the training rows, then train once with the best.

The held-out rows are scored once, by the final training: a search that looked at them would have
used them up.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.registry.errors import InvalidInput, SlipwayError
from slipway.registry.metrics import Direction, direction_of
from slipway.registry.text import cleaned, counted
from slipway.training.fit import first_line
from slipway.training.space import Space
from slipway.training.spec import SHOWN_CHARACTERS, Task, TrainSpec
from slipway.training.train import PreparedTraining, cross_validation_scores

SELECTED_BY: Mapping[Task, str] = {Task.CLASSIFICATION: "balanced_accuracy", Task.REGRESSION: "rmse"}
LEAST_FOLDS = 2
DIGITS_OF_TRIALS = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Parameters that were tried, and their cross-validated scores (mean and `_std` over the folds).

    Those of a trial that failed are empty, and `failure` says why.
    """

    params: Mapping[str, Any]
    scores: Mapping[str, float]
    failure: InvalidInput | None = None


class Search(Protocol):
    """Proposes parameters and learns from their scores; the same seed proposes the same."""

    def best(
        self,
        space: Space,
        measure: Callable[[Mapping[str, Any]], float | None],
        *,
        trials: int,
        direction: Direction,
        seed: int,
    ) -> Mapping[str, Any] | None:
        """Return the best of `trials` proposals; `measure` gives none for one that failed, and so does this for all."""


def parse_trials(text: str) -> int:
    """Return how many proposals to try.

    Raises
    ------
    InvalidInput
        The text is no whole number above zero, or one that nobody lives to see the end of.
    """
    if not text.isdecimal() or len(text) > DIGITS_OF_TRIALS or int(text) == 0:
        raise InvalidInput(
            f"trials='{cleaned(text, SHOWN_CHARACTERS)}': expected a whole number above 0 of at most "
            f"{DIGITS_OF_TRIALS} digits",
            code="wrong-trials",
            hint="trials=20",
        )
    return int(text)


def tune(
    prepared: PreparedTraining,
    spec: TrainSpec,
    *,
    space: Space,
    trials: int,
    search: Search,
    record: Callable[[Trial], None],
) -> TrainSpec:
    """Return the spec with the best parameters found; each trial is recorded as it ends.

    Selected by cross-validated balanced accuracy (classification) or RMSE (regression). A trial that fails is recorded
    with its reason, and the others go on.

    Raises
    ------
    InvalidInput
        `spec.cv` is below 2, or every trial failed.
    """
    if spec.cv < LEAST_FOLDS:
        raise InvalidInput(
            f"tuning selects by cross-validation and needs cv of at least {LEAST_FOLDS}; got {spec.cv}",
            code="too-few-folds",
            hint="set cv=5",
        )
    metric = SELECTED_BY[prepared.task]

    failures: list[InvalidInput] = []

    def measure(params: Mapping[str, Any]) -> float | None:
        trial = _tried(prepared, with_params(spec, params), params, metric)
        record(trial)
        if trial.failure:
            failures.append(trial.failure)
            return None
        return trial.scores[metric]

    direction = direction_of(metric) or Direction.HIGHER_IS_BETTER
    best = search.best(space, measure, trials=trials, direction=direction, seed=spec.seed)
    if best is None:
        raise InvalidInput(
            f"none of {counted(trials, 'trial')} could be measured; the first: {failures[0].message}",
            code="every-trial-failed",
            hint="correct params or space; the nested runs say why each failed",
        )
    return with_params(spec, best)


def progress_of(tried: Sequence[Trial], count: int, task: Task) -> str:
    """Return in a line how far a search is: the last of the trials so far, and the best of them."""
    metric, last = SELECTED_BY[task], tried[-1]
    scores = [trial.scores[metric] for trial in tried if not trial.failure]
    best = min if direction_of(metric) is Direction.LOWER_IS_BETTER else max
    found = "failed" if last.failure else f"{metric} {last.scores[metric]:.4g}"
    return f"trial {len(tried)} of {count}: {found}" + (f", the best so far {best(scores):.4g}" if scores else "")


def _tried(prepared: PreparedTraining, spec: TrainSpec, params: Mapping[str, Any], metric: str) -> Trial:
    """Measure one proposal; whatever its estimator raises is that trial's own failure."""
    try:
        scores = cross_validation_scores(prepared, spec)
    except SlipwayError as error:
        return _failed(params, error.message)
    except Exception as error:  # estimators of other packages raise errors of their own
        return _failed(params, f"{type(error).__name__}: {first_line(error)}")
    if not math.isfinite(scores[metric]):
        return _failed(params, f"its {metric} is {scores[metric]}")
    return Trial(params=params, scores=scores)


def _failed(params: Mapping[str, Any], why: str) -> Trial:
    failure = InvalidInput(f"{dict(params)}: {why}", code="trial-failed", hint=None)
    return Trial(params=params, scores={}, failure=failure)


def with_params(spec: TrainSpec, params: Mapping[str, Any]) -> TrainSpec:
    """Return the spec with some of the estimator's parameters replaced."""
    return spec.model_copy(update={"params": {**spec.params, **params}})
