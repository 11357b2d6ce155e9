"""Tune: search an estimator's parameters by cross-validation on the training rows, then train once with the best.

The held-out rows are scored once, by the final training: a search that looked at them would have
used them up.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from registry.errors import InvalidInput, SlipwayError
from registry.metrics import Direction, direction_of
from training.fit import first_line
from training.spec import Task, TrainSpec
from training.train import Prepared, cross_validation_scores


class Between(BaseModel):
    """Numbers from `low` to `high`, whole where both are, on a log scale if asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> "Between":
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("needs low < high, and low > 0 on a log scale")
        return self


class OneOf(BaseModel):
    """One of the listed values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: tuple[bool | int | float | str | None, ...]


Range = Between | OneOf
Space = Mapping[str, Range]
SPACE: TypeAdapter[dict[str, Range]] = TypeAdapter(dict[str, Annotated[Range, "a range of one parameter"]])

FOREST: Space = {
    "n_estimators": Between(low=50, high=400),
    "max_depth": OneOf(choices=(None, 4, 8, 16)),
    "min_samples_leaf": Between(low=1, high=20, log=True),
    "max_features": OneOf(choices=("sqrt", 0.3, 0.6, 1.0)),
}
SPACES: Mapping[str, Space] = {
    "logistic": {"C": Between(low=1e-3, high=1e3, log=True)},
    "ridge": {"alpha": Between(low=1e-3, high=1e3, log=True)},
    "random_forest": FOREST,
    "extra_trees": FOREST,
    "hist_gradient_boosting": {
        "learning_rate": Between(low=0.01, high=0.3, log=True),
        "max_iter": Between(low=50, high=400),
        "max_leaf_nodes": Between(low=7, high=63, log=True),
        "min_samples_leaf": Between(low=5, high=50, log=True),
        "l2_regularization": Between(low=1e-6, high=10.0, log=True),
    },
    "svm": {"C": Between(low=1e-2, high=1e3, log=True), "gamma": Between(low=1e-4, high=1.0, log=True)},
    "knn": {
        "n_neighbors": Between(low=1, high=50, log=True),
        "weights": OneOf(choices=("uniform", "distance")),
    },
    "mlp": {
        "hidden_layer_sizes": Between(low=16, high=256, log=True),
        "alpha": Between(low=1e-6, high=1e-1, log=True),
        "learning_rate_init": Between(low=1e-4, high=1e-1, log=True),
    },
}
SELECTED_BY: Mapping[Task, str] = {Task.CLASSIFICATION: "balanced_accuracy", Task.REGRESSION: "rmse"}
LEAST_FOLDS = 2


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


def parse_space(text: str, estimator: str) -> Space:
    """Return the space given as JSON, or the estimator's own where the text is empty.

    Raises
    ------
    InvalidInput
        The text is no space, or it is empty and the estimator has none of its own.
    """
    if not text and estimator in SPACES:
        return SPACES[estimator]
    try:
        space = SPACE.validate_json(text or "{}")
    except ValidationError as error:
        raise InvalidInput(
            f"space is not a JSON object of ranges: {error.errors()[0]['msg']}",
            code="wrong-space",
            hint=EXAMPLE_SPACE,
        ) from None
    if not space:
        raise InvalidInput(
            f"estimator '{estimator}' has no search space of its own, and none was given",
            code="no-space",
            hint=EXAMPLE_SPACE,
        )
    return space


def parse_trials(text: str) -> int:
    """Return how many proposals to try.

    Raises
    ------
    InvalidInput
        The text is no whole number above zero.
    """
    if not text.isdecimal() or int(text) == 0:
        raise InvalidInput(f"trials='{text}': expected a whole number above 0", code="wrong-trials", hint="trials=20")
    return int(text)


EXAMPLE_SPACE = 'space=\'{"alpha": {"low": 0.01, "high": 10, "log": true}, "kind": {"choices": ["a", "b"]}}\''


def tune(
    prepared: Prepared,
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
            f"none of {trials} trials could be measured; the first: {failures[0].message}",
            code="every-trial-failed",
            hint="correct params or space; the nested runs say why each failed",
        )
    return with_params(spec, best)


def _tried(prepared: Prepared, spec: TrainSpec, params: Mapping[str, Any], metric: str) -> Trial:
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
