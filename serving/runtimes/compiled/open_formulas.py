"""The runner `compiled` where the estimator is a formula: it needs numpy alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.estimators import Linear, Network
from slipway.serving.runtimes.compiled.formulas import Classes, Finite
from slipway.serving.runtimes.compiled.matrix_runner import MatrixRunner, matrix_runner
from slipway.serving.runtimes.stored import StoredRunner


def open_formulas(stored: StoredRunner, model_folder: Path) -> MatrixRunner:
    """Open a compiled linear model or perceptron; the model's own files are not read."""
    opening, arrays = stored.opening["estimator"], stored.arrays
    make = _linear if opening["estimator"] == "linear" else _network
    return matrix_runner(stored, make(opening, arrays).answers())


def stored_classes(opening: Mapping[str, Any]) -> Classes | None:
    """Return a classifier's labels, and `None` for a regressor."""
    stored = opening["classes"]
    return Classes(np.array(stored["labels"], dtype=stored["dtype"])) if stored else None


def stored_finite(opening: Mapping[str, Any]) -> Finite:
    """Return what values the estimator takes."""
    return Finite(nan=opening["takes_nan"], infinite=opening["takes_infinite"], dtype=opening["dtype"])


def _linear(opening: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Linear:
    return Linear(
        coef=arrays["coef"],
        intercept=arrays["intercept"],
        finite=stored_finite(opening),
        classes=stored_classes(opening),
        probabilities=opening["probabilities"],
    )


def _network(opening: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Network:
    return Network(
        layers=[(arrays[f"coef.{place}"], arrays[f"intercept.{place}"]) for place in range(opening["layers"])],
        hidden=opening["hidden"],
        output=opening["output"],
        finite=stored_finite(opening),
        classes=stored_classes(opening),
    )
