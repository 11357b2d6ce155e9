"""What tests share: an MLflow store of their own, made once and copied."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from mlflow import MlflowClient

from slipway.registry.versions.sql_store import move_artifact_locations
from tests.servers.ceph import CephServer, is_installed
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.postgres import PostgresServer, binaries

# How long an example takes says something of what else this machine does, and nothing of the code.
settings.register_profile("slipway", deadline=None)
settings.load_profile("slipway")

# They import clients that lie in environments of their own.
collect_ignore_glob = ["clients/*.py"]

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


def missing(what: str) -> NoReturn:
    """Skip the test loudly for want of a real server; in CI, fail it."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a real PostgreSQL; where none is installed the test is skipped, and in CI it fails."""
    programs = binaries()
    if programs is None:
        missing("PostgreSQL is not installed (Debian: apt-get install postgresql-15): its tests are NOT run")
    server = PostgresServer(programs)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def ceph() -> Iterator[CephServer]:
    """Return a real object store; where Ceph is not installed the test is skipped, and in CI it fails."""
    if not is_installed():
        missing("Ceph is not installed (Debian: apt-get install ceph-mon ceph-osd radosgw): its tests are NOT run")
    server = CephServer()
    yield server
    server.stop()


@pytest.fixture
def s3(ceph: CephServer, monkeypatch: pytest.MonkeyPatch) -> CephServer:
    """Return the object store, with this process's variables leading to it."""
    for name, value in ceph.environment.items():
        monkeypatch.setenv(name, value)
    return ceph


@pytest.fixture
def proxy(s3: CephServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[CuttingProxy]:
    """Return what is between this process and the object store."""
    between = CuttingProxy(s3.port)
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", between.endpoint)
    yield between
    between.stop()
