"""The door to MLflow's experiments: which one a run goes into.

What the user chose wins: MLflow's variables, `mlflow run --experiment-name`, a run that is open already. Otherwise it
is the experiment that is named after the model, so that the runs of two models are not one list.
"""

import os

from mlflow import MlflowClient
from mlflow.entities import Experiment

from slipway.registry.errors import Conflict, NotApproved
from slipway.registry.mlflow_races import repeated_after_races

CHOSEN_BY = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME")
DELETED = "deleted"


def experiment_of(model: str | None) -> str | None:
    """Return the id of the experiment that is named after a model, made where there is none yet.

    `None` where the user chose one, or there is no model to name it after: then MLflow decides.

    Raises
    ------
    Conflict
        That experiment is deleted: MLflow keeps its name, and lets no run into it.
    """
    if not model or any(os.environ.get(name) for name in CHOSEN_BY):
        return None
    found = repeated_after_races(lambda: _found_or_made(model))
    if found.lifecycle_stage == DELETED:
        raise Conflict(
            f"experiment '{model}', which is named after the model, is deleted, and MLflow lets no run into it",
            code="experiment-deleted",
            hint=f"mlflow experiments restore --experiment-id {found.experiment_id}, "
            "or set MLFLOW_EXPERIMENT_NAME to another",
        )
    return str(found.experiment_id)


def refuse_experiment(model: str | None) -> NotApproved:
    """Return the error for an experiment of a tracking server that somebody else may log into."""
    chosen = not model or any(os.environ.get(name) for name in CHOSEN_BY)
    which = "this experiment" if chosen else f"experiment '{model}'"
    return NotApproved(
        f"the tracking server does not let you log runs into {which}",
        code="not-your-experiment",
        hint="set MLFLOW_EXPERIMENT_NAME to one of your own (its first run makes it), or be given EDIT of this one",
    )


def _found_or_made(model: str) -> Experiment:
    client = MlflowClient()
    return client.get_experiment_by_name(model) or client.get_experiment(client.create_experiment(model))
