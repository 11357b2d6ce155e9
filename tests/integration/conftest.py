"""What tests with real components share: prepared registries on each database."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from slipway.registry.manifest import manifest_of
from slipway.registry.versions.sql_store import move_artifact_locations
from tests.generators.deciding import Copies
from tests.servers.ceph import CephServer
from tests.servers.guarded import GuardedServer, serve
from tests.servers.postgres import PostgresServer
from tests.servers.served import Served
from tests.servers.stored_in_s3 import Stored, store, write_large_model
from tests.servers.tensor_models import serving_tensors


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Return prepared registries on each database."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = Copies(folder=tmp_path_factory.mktemp(request.param), postgres=server)
    made.prepare()
    return made


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """Return the name of a database with MLflow's tables and nothing in them."""
    url = postgres.create_database()
    MlflowClient(url, url).search_experiments()
    SqlAlchemyStore._get_or_create_engine(url).dispose()  # a database with connections is no template
    return url.rpartition("/")[2]


@pytest.fixture(params=["postgresql"], scope="session")
def database(request: pytest.FixtureRequest) -> Callable[[Path], str]:
    """Return what makes a database with MLflow's tables, beside a server's folder or in PostgreSQL."""

    def beside(folder: Path) -> str:
        shutil.copy(request.getfixturevalue("empty_database"), folder / "mlflow.db")
        return f"sqlite:///{folder}/mlflow.db"

    def in_postgres(folder: Path) -> str:
        template = request.getfixturevalue("postgres_template")
        return request.getfixturevalue("postgres").create_database(template)

    def make(folder: Path) -> str:
        made = (beside if request.param == "sqlite" else in_postgres)(folder)
        move_artifact_locations(made, {"0": "mlflow-artifacts:/0"})  # as a server that is started first makes it
        return made

    return make


@pytest.fixture(scope="session")
def server(database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    """Return a guarded server on each database; tests use models of their own."""
    folder = tmp_path_factory.mktemp("guarded")
    with serve(folder, database(folder), SLIPWAY_REGISTRY__ARTIFACT_PLACES=f'["{folder}/trusted"]') as running:
        yield running


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give every test an environment and a folder that it may leave as it likes."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "SLIPWAY_REGISTRY__HISTORY_URI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def original(ceph: CephServer, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Return a model in the object store, for other buckets to be filled from."""
    folder = tmp_path_factory.mktemp("original")
    write_large_model(folder)
    stored = Stored(ceph, tmp_path_factory.mktemp("downloads"), manifest_of(folder))
    store(folder, stored)
    return stored


@pytest.fixture
def stored(s3: CephServer, tmp_path: Path, original: Stored) -> Stored:
    """Return a stored model that the test may harm."""
    stored, client = Stored(s3, tmp_path, original.manifest), s3.client()
    for file in original.manifest.files:
        client.copy_object(**stored.key(file.path), CopySource=original.key(file.path))
    return stored


@pytest.fixture(scope="session")
def tensor_engine(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Served]:
    """Return the engine of the tests over tensors, which are one group; the last of them stops it."""
    with serving_tensors(tmp_path_factory.mktemp("tensors"), empty_database) as engine:
        yield engine
