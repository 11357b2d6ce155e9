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
# Those that load what the version, or whoever prepared it, stored: all others read arrays, or load nothing here.
LOADING = ("sklearn", "mlflow")
HARMLESS = ("slipway.serving.runtimes.harmless", "require_harmless")


def open_runner(prepared: Path, model_folder: Path, *, among_others: bool = False) -> Runner:
    """Open what `prepare_runner` wrote into `prepared` for the model in `model_folder`.

    In a process that answers for other models too, `among_others`, a model that could run code is not loaded whatever
    was prepared: its code ran where that was written.

    Raises
    ------
    Corrupt
        The prepared files are not what was written, or were written by another release.
    NotApproved
        The model could run code.
    """
    stored = read_stored(prepared)
    if stored.opener not in OPENERS:
        raise Corrupt(
            f"the prepared runner in {prepared} is of the kind '{stored.opener}', which is not known here",
            code="runner-corrupt",
            hint="delete the folder, and the version is prepared again",
        )
    if among_others and stored.opener in LOADING:
        module, function = HARMLESS
        getattr(importlib.import_module(module), function)(model_folder)
    module, function = OPENERS[stored.opener]
    runner: Runner = getattr(importlib.import_module(module), function)(stored, model_folder)
    return runner
