"""Open a prepared version: import what its kind needs, and nothing else.

A compiled version is open in milliseconds in a process that never imported MLflow, scikit-learn or pandas.
"""

import importlib
from pathlib import Path

from slipway.registry.errors import Corrupt
from slipway.serving.runtimes.runner import Runner
from slipway.serving.runtimes.stored import read_stored

OPENERS = {
    "formulas": ("slipway.serving.runtimes.compiled.open_formulas", "open_formulas"),
    "trees": ("slipway.serving.runtimes.compiled.open_trees", "open_trees"),
    "sklearn": ("slipway.serving.runtimes.compiled.sklearn_prepared", "open_prepared"),
    "mlflow": ("slipway.serving.runtimes.mlflow_runner", "open_mlflow"),
    "isolated": ("slipway.serving.runtimes.isolated", "open_isolated"),
}


def open_runner(prepared: Path, model_folder: Path) -> Runner:
    """Open what `prepare_runner` wrote into `prepared` for the model in `model_folder`.

    Raises
    ------
    Corrupt
        The prepared files are not what was written, or were written by another release.
    """
    stored = read_stored(prepared)
    if stored.opener not in OPENERS:
        raise Corrupt(
            f"the prepared runner in {prepared} is of the kind '{stored.opener}', which is not known here",
            code="runner-corrupt",
            hint="delete the folder, and the version is prepared again",
        )
    module, function = OPENERS[stored.opener]
    runner: Runner = getattr(importlib.import_module(module), function)(stored, model_folder)
    return runner
