"""The door through which a program of one's own logs its held-out rows into an MLflow run: `slipway.holdout.log`."""

import json
import tempfile
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Conflict, InvalidInput
from slipway.training.own_holdout import own_holdout, write

PLACE = "holdout"
DOCUMENT = f"{PLACE}/holdout.json"


def log(
    frame: pd.DataFrame,
    *,
    target: str,
    train: pd.DataFrame | None = None,
    key: str | None = None,
    run_id: str | None = None,
) -> None:
    """Store held-out rows with a run, so that a gate compares the model that it logged on them.

    For models that are trained in a notebook or a program of one's own; `slipway train` does it by itself. Call it in
    the run that logs the model, before the version is registered or recorded (`slipway register`): what a version rests
    on is recorded then, and files that come later speak against it. The rows are stored as they are, with all values:
    whoever reads the run reads them.

    A second call with the same rows changes nothing.

    Parameters
    ----------
    frame
        The held-out rows: the columns that the model takes, and the target. The index is not stored.
    target
        The column that the model predicts.
    train
        The rows that the model was trained on, with the same columns; a target is not needed. Only their 64-bit
        identifiers are stored. Without them a later version is compared on those of its rows alone that this run held
        out as well: keep one held-out table for all versions, or give the training rows.
    key
        A column that identifies a row, or what several rows are about; without it rows are told apart by all features.
    run_id
        The run; the active one without it.

    Raises
    ------
    slipway.registry.errors.InvalidInput, slipway.registry.errors.NotFound
        No run is active, or the rows cannot be used: the message says why.
    slipway.registry.errors.Conflict
        Other rows are stored with the run already.

    Examples
    --------
    ::

        with mlflow.start_run():
            mlflow.log_input(mlflow.data.from_pandas(train, targets="churned"), context="training")
            slipway.holdout.log(test, target="churned", train=train)
            mlflow.sklearn.log_model(model, name="model", registered_model_name="churn")
    """
    found = own_holdout(frame, target, train, key)
    into = _run(run_id)
    with translated():
        client = MlflowClient()
        if any(each.path == DOCUMENT for each in client.list_artifacts(into, PLACE)):
            _require_same(into, found.document())
            return
        with tempfile.TemporaryDirectory(prefix="slipway-holdout-") as folder:
            write(found, Path(folder))
            client.log_artifacts(into, folder, PLACE)


def _run(run_id: str | None) -> str:
    active = mlflow.active_run()
    if run_id is None and active is None:
        raise InvalidInput(
            "no MLflow run is active to log held-out rows with",
            code="no-active-run",
            hint="call it within `with mlflow.start_run():`, or give run_id=…",
        )
    return run_id or str(active.info.run_id)  # type: ignore[union-attr]


def _require_same(run_id: str, document: dict[str, Any]) -> None:
    stored = json.loads(mlflow.artifacts.load_text(f"runs:/{run_id}/{DOCUMENT}"))
    if stored != document:
        raise Conflict(
            f"run {run_id} has other held-out rows already, and what a version rests on is recorded once",
            code="other-holdout",
            hint="log these with a new run, and its model with them",
        )
