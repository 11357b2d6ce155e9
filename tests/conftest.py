"""What tests share: an MLflow store of their own, made once and copied."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from registry.sql_store import move_artifact_locations
from tests.postgres import PostgresServer, binaries

VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_RUN_ID",
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an MLflow database with tables and nothing in them but the default experiment."""
    path = tmp_path_factory.mktemp("template") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def store(tmp_path: Path, empty_database: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder whose `mlflow.db` is MLflow's default store, with artifacts in `mlruns/`."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    move_artifact_locations(f"sqlite:///{tmp_path}/mlflow.db", {"0": f"{tmp_path}/mlruns/0"})
    return tmp_path


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a real PostgreSQL; where none is installed the test is skipped, and in CI it fails."""
    programs = binaries()
    if programs is None:
        missing = "PostgreSQL is not installed (Debian: apt-get install postgresql-15): its tests are NOT run"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    server = PostgresServer(programs)
    yield server
    server.stop()
