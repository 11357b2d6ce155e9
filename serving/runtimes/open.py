"""Open a prepared version: import what its kind needs, and nothing else.

A compiled version is open in milliseconds in a process that never imported MLflow, scikit-learn or pandas.
"""

import importlib
from pathlib import Path

from serving.runtimes.runner import Runner
from serving.runtimes.stored import read_stored

OPENERS = {
    "formulas": ("serving.runtimes.compiled_formulas", "open_formulas"),
    "trees": ("serving.runtimes.compiled_trees", "open_trees"),
    "sklearn": ("serving.runtimes.sklearn_prepared", "open_prepared"),
    "mlflow": ("serving.runtimes.mlflow_runner", "open_mlflow"),
    "isolated": ("serving.runtimes.isolated", "open_isolated"),
}


def open_runner(prepared: Path, model_folder: Path) -> Runner:
    """Open what `prepare_runner` wrote into `prepared` for the model in `model_folder`.

    Raises
    ------
    Corrupt
        The prepared files are not what was written.
    """
    stored = read_stored(prepared)
    module, function = OPENERS[stored.opener]
    runner: Runner = getattr(importlib.import_module(module), function)(stored, model_folder)
    return runner
