"""The runner `prepared`: the preparation is ours, the estimator scikit-learn's own, asked about the matrix directly."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skops import io

from slipway.registry.gate.safety.native_content import require_sound
from slipway.serving.runtimes.compiled.estimators import Formula
from slipway.serving.runtimes.compiled.matrix_runner import MatrixRunner, matrix_runner
from slipway.serving.runtimes.stored import StoredRunner

METHODS = ("predict", "predict_proba", "predict_log_proba")


def open_prepared(stored: StoredRunner, model_folder: Path) -> MatrixRunner:
    """Open a prepared runner; the model's own files are not read.

    Raises
    ------
    NotApproved
        An earlier release prepared what would lead compiled code out of the estimator's arrays.
    """
    estimator = io.loads(stored.estimator, trusted=stored.opening["trusted"])
    require_sound(estimator)
    return matrix_runner(stored, _answers(estimator))


def _answers(estimator: Any) -> Mapping[str, Formula]:
    # With names, scikit-learn warns of every matrix that has none.
    estimator.__dict__.pop("feature_names_in_", None)
    return {name: getattr(estimator, name) for name in METHODS if hasattr(estimator, name)}
