"""The door to the store behind MLflow: whether runs without a server can write into it.

A tracking server that is started first in an empty folder makes a default experiment whose artifacts
lie behind `mlflow-artifacts:`, which only a server can reach (MLflow 3.17).
"""

import os
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Experiment, ViewType

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Conflict, InvalidInput
from slipway.registry.versions.sql_first_use import made_once

BEHIND_SERVER = "mlflow-artifacts:"
DEFAULT_EXPERIMENT_ID = "0"
PREPARED_HERE = ("sqlite:", "postgresql")


def database_uri() -> str:
    """Return the URI of the database behind MLflow here.

    Raises
    ------
    InvalidInput
        MLflow is configured for a server, or for its old store of plain files.
    """
    uri = str(mlflow.get_tracking_uri())
    if not uri.startswith(("sqlite:", "postgresql", "mysql", "mssql")):
        raise InvalidInput(
            f"MLflow is configured for {uri}, which is no database that can be prepared from here",
            code="not-a-database",
            hint="unset MLFLOW_TRACKING_URI to use this folder's own store",
        )
    return uri


@translated()
def prepare_tables() -> None:
    """Make MLflow's tables where the databases that MLflow is configured for have none yet, once among processes.

    Servers make their own. Raises as `made_once`.
    """
    runs, registry = str(mlflow.get_tracking_uri()), str(mlflow.get_registry_uri())
    for uri in dict.fromkeys((runs, registry)):
        if uri.startswith(PREPARED_HERE) and uri not in ("sqlite://", "sqlite:///:memory:"):
            made_once(uri, _search_runs if uri == runs else _search_registry, with_runs=uri == runs)


@translated()
def require_usable_store(own_experiment: str | None = None) -> None:
    """Make the store's tables where there are none, and refuse to start a run whose artifacts could not be stored.

    `own_experiment` is the name of the experiment that the run goes into where the user chose none.

    Raises
    ------
    Conflict
        The experiment that runs go into lies behind a server, and no server is configured.
    """
    prepare_tables()
    if str(mlflow.get_tracking_uri()).startswith(("http:", "https:")):
        return
    experiment = _selected_experiment(own_experiment)
    if experiment is not None and str(experiment.artifact_location).startswith(BEHIND_SERVER):
        raise Conflict(
            f"experiment '{experiment.name}' keeps its artifacts behind a tracking server "
            f"({experiment.artifact_location}), and no server is configured: it was made by a server",
            code="store-behind-server",
            hint="slipway init mends it; or set MLFLOW_TRACKING_URI to the server's address",
        )


@translated()
def prepare_store() -> tuple[Experiment, ...]:
    """Create MLflow's tables and its default experiment where missing; return experiments that need mending."""
    prepare_tables()
    found = MlflowClient().search_experiments(view_type=ViewType.ALL)
    return tuple(each for each in found if str(each.artifact_location).startswith(BEHIND_SERVER))


def local_location(experiment: Experiment) -> str:
    """Return where the experiment's artifacts would lie without a server: where MLflow itself would put them."""
    return (Path.cwd() / "mlruns" / str(experiment.experiment_id)).as_uri()


def _search_runs() -> None:
    """Look at the runs' store: MLflow makes its tables and its default experiment for that."""
    MlflowClient().search_experiments()


def _search_registry() -> None:
    MlflowClient().search_registered_models()


def _selected_experiment(own: str | None) -> Experiment | None:
    """Return the experiment that the next run goes into, as MLflow's fluent API and `mlflow run` choose it."""
    client = MlflowClient()
    if run_id := os.environ.get("MLFLOW_RUN_ID"):
        return client.get_experiment(client.get_run(run_id).info.experiment_id)
    if name := os.environ.get("MLFLOW_EXPERIMENT_NAME"):
        return client.get_experiment_by_name(name)
    if own and not os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return client.get_experiment_by_name(own)
    return client.get_experiment(os.environ.get("MLFLOW_EXPERIMENT_ID", DEFAULT_EXPERIMENT_ID))
