"""What tuning searches: a range for each parameter, the estimator's own or written as JSON."""

import math
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from slipway.registry.errors import InvalidInput
from slipway.registry.text import cleaned
from slipway.training.spec import SHOWN_CHARACTERS, parse_json

EXAMPLE_SPACE = 'space=\'{"alpha": {"low": 0.01, "high": 10, "log": true}, "kind": {"choices": ["a", "b"]}}\''
LARGEST_WHOLE = 2**53  # above it, not every whole number has a double of its own, and proposals are drawn as doubles


class Between(BaseModel):
    """Numbers from `low` to `high`, whole where both are, on a log scale if asked."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    low: int | float
    high: int | float
    log: bool = False

    @field_validator("low", "high", mode="before")
    @classmethod
    def _drawn_from(cls, end: Any) -> Any:
        """Refuse what is no number, and those between which nothing can be drawn."""
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise ValueError("expected a number")
        if isinstance(end, int) and abs(end) > LARGEST_WHOLE:
            raise ValueError("expected a whole number of at most 2**53; larger ones are written as 1e16")
        if not math.isfinite(end):
            raise ValueError("expected a finite number")
        return end

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError("needs low < high, and low > 0 on a log scale")
        if not math.isfinite(self.high - self.low):
            raise ValueError("low and high lie too far apart: their difference is infinite")
        return self


class OneOf(BaseModel):
    """One of the listed values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: tuple[bool | int | float | str | None, ...]

    @field_validator("choices", mode="before")
    @classmethod
    def _plain_values(cls, choices: Any) -> Any:
        if not isinstance(choices, list | tuple) or not choices:
            raise ValueError("expected a list of at least one choice")
        for each in choices:
            if not isinstance(each, bool | int | float | str | None):
                raise ValueError("expected texts, numbers, true, false or null")
            if isinstance(each, float) and not math.isfinite(each):
                raise ValueError(f"{each} is no finite number")
        return choices


Range = Between | OneOf
Space = Mapping[str, Range]

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
    "xgboost": {
        "learning_rate": Between(low=0.01, high=0.3, log=True),
        "n_estimators": Between(low=50, high=400),
        "max_depth": Between(low=2, high=10),
        "min_child_weight": Between(low=0.5, high=20.0, log=True),
        "subsample": Between(low=0.5, high=1.0),
        "colsample_bytree": Between(low=0.5, high=1.0),
        "reg_lambda": Between(low=1e-3, high=10.0, log=True),
    },
    "lightgbm": {
        "learning_rate": Between(low=0.01, high=0.3, log=True),
        "n_estimators": Between(low=50, high=400),
        "num_leaves": Between(low=7, high=63, log=True),
        "min_child_samples": Between(low=5, high=50, log=True),
        "colsample_bytree": Between(low=0.5, high=1.0),
        "reg_lambda": Between(low=1e-6, high=10.0, log=True),
    },
    "catboost": {
        "learning_rate": Between(low=0.01, high=0.3, log=True),
        "n_estimators": Between(low=50, high=400),
        "max_depth": Between(low=2, high=8),
        "l2_leaf_reg": Between(low=0.5, high=20.0, log=True),
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


def parse_space(text: str, estimator: str) -> Space:
    """Return the space given as JSON, or the estimator's own where the text is empty.

    Raises
    ------
    InvalidInput
        The text is no space, or it is empty and the estimator has none of its own.
    """
    if not text:
        return _own(estimator)
    try:
        given = parse_json(text)
    except ValueError as error:
        raise _wrong(str(error)) from None
    if not isinstance(given, dict):
        raise _wrong(f"it is {_shown(given)}")
    if not given:
        raise _wrong("it names no parameter; leave space out for the estimator's own")
    return {name: _range(name, limits) for name, limits in given.items()}


def _own(estimator: str) -> Space:
    if estimator not in SPACES:
        raise InvalidInput(
            f"estimator '{estimator}' has no search space of its own, and none was given",
            code="no-space",
            hint=EXAMPLE_SPACE,
        )
    return SPACES[estimator]


def _range(name: str, given: object) -> Range:
    if not isinstance(given, dict):
        raise _wrong(f"'{name}' is {_shown(given)}; expected low and high, or choices")
    kind: type[Between] | type[OneOf] = OneOf if "choices" in given else Between
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise _wrong("; ".join(_one_wrong(name, problem) for problem in error.errors())) from None


def _one_wrong(name: str, problem: Mapping[str, Any]) -> str:
    path = ".".join([name, *map(str, problem["loc"][:2])])
    if problem["type"] == "extra_forbidden":
        return f"{path} is unknown; a range has low, high and log, or choices"
    if problem["type"] == "missing":
        return f"{path} is missing; a range has low, high and log, or choices"
    return f"{path}: {problem['msg'].removeprefix('Value error, ')}; got {_shown(problem['input'])}"


def _shown(value: object) -> str:
    return cleaned(repr(value), SHOWN_CHARACTERS)


def _wrong(why: str) -> InvalidInput:
    return InvalidInput(f"space is not a JSON object of ranges: {why}", code="wrong-space", hint=EXAMPLE_SPACE)
