"""The runner `compiled` where the estimator is made of trees: it needs numpy and onnxruntime."""

from pathlib import Path

import numpy as np

from slipway.serving.runtimes.compiled.forests import Boosting, Leaves, Mean, Votes
from slipway.serving.runtimes.compiled.matrix_runner import MatrixRunner, matrix_runner
from slipway.serving.runtimes.compiled.open_formulas import stored_classes, stored_finite
from slipway.serving.runtimes.compiled.singles import SingleBoosting
from slipway.serving.runtimes.compiled.trees import Trees
from slipway.serving.runtimes.stored import StoredRunner


def open_trees(stored: StoredRunner, model_folder: Path) -> MatrixRunner:
    """Open compiled trees; the model's own files are not read."""
    return matrix_runner(stored, _estimator(stored).answers())


def _estimator(stored: StoredRunner) -> Votes | Leaves | Mean | Boosting | SingleBoosting:
    opening = stored.opening["estimator"]
    trees = Trees(stored.trees, n_features=opening["n_features"], n_targets=opening["n_targets"])
    classes, finite, n_trees = stored_classes(opening), stored_finite(opening), opening["n_trees"]
    match opening["estimator"]:
        case "votes" if classes is not None:
            return Votes(trees, classes, finite, n_trees=n_trees)
        case "leaves":
            return Leaves(trees, classes, finite, values=stored.arrays["values"], n_trees=n_trees)
        case "mean":
            return Mean(trees, finite, n_trees=n_trees)
        case "singles":
            values, base = (stored.arrays[name].astype(np.float32) for name in ("values", "base"))
            return SingleBoosting(trees, classes, finite, values=values, base=base, link=opening["link"])
        case _:
            return Boosting(trees, classes, finite, link=opening["link"], also_equal=opening["also_equal"])
