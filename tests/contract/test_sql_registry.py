"""What is read from MLflow's tables is what MLflow itself answers about them, whatever lies in them."""

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import sqlalchemy as sa
from mlflow import MlflowClient

from slipway.registry.errors import SlipwayError
from slipway.registry.model_registry import Measured, ModelRegistry
from slipway.registry.sql_connection import existing_engine
from slipway.registry.version import VersionRef
from slipway.registry.versions.mlflow_registry import MlflowRegistry
from slipway.registry.versions.reader import sql_reader
from slipway.registry.versions.sql_examined import MLFLOW, revisions_of
from slipway.registry.versions.sql_registry import MLFLOW_REVISION, SqlRegistry
from tests.servers.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return the database of MLflow's default store, in one database after the other."""
    if request.param == "sqlite":
        yield f"sqlite:///{store}/mlflow.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    database = server.create_database()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", database)
    mlflow.set_tracking_uri(database)
    yield database
    mlflow.set_tracking_uri(None)


def nothing_else() -> ModelRegistry:
    """Refuse to be asked: what is compared here is read by SQL alone."""
    raise AssertionError("MLflow was asked")


def run_with_everything(client: MlflowClient) -> str:
    """Record what a run can have, with metrics that are no numbers."""
    with mlflow.start_run() as run:
        mlflow.log_metrics({"holdout_accuracy": 0.5, "nan": math.nan, "inf": math.inf, "less": -math.inf})
        mlflow.log_metric("steps", 1.0, step=1)
        mlflow.log_metric("steps", 2.0, step=2)
        mlflow.log_params({"depth": "3", "empty": "", "a b": "√'"})
        mlflow.set_tag("slipway.task", "regression")
        for name, context in (("rows", "training"), ("others", None)):
            frame = pd.DataFrame({name: [1.0]})
            mlflow.log_input(mlflow.data.from_pandas(frame, name=name, digest=f"d-{name}"), context=context)
    client.create_logged_model("0", name="m", source_run_id=run.info.run_id)
    return run.info.run_id


def fill(client: MlflowClient) -> None:
    """Make models of every kind that MLflow's calls can leave."""
    run_id = run_with_everything(client)
    deleted = client.create_run("0").info.run_id
    client.delete_run(deleted)
    lost = client.create_experiment("lost")
    in_lost = client.create_run(lost).info.run_id
    client.delete_experiment(lost)
    for name in ("b", "a", "Ä 'quoted' \"both\"", "none", "renamed", "B"):
        client.create_registered_model(name, tags={"owner": name}, description="of the model")
    for each in (run_id, None, deleted, in_lost, run_id):
        client.create_model_version("b", "file:///nowhere", each, tags={"colour": "red"}, description="words")
    client.create_model_version("a", "file:///nowhere", run_id)
    client.create_model_version("renamed", "file:///nowhere", run_id)
    client.rename_registered_model("renamed", "now")
    client.delete_model_version("b", "2")
    for alias, number in (("production", 3), ("champion", 3), ("Champion", 1)):
        client.set_registered_model_alias("b", alias, str(number))
    client.set_registered_model_alias("now", "production", "1")
    for number, stage in ((1, "Production"), (3, "Production"), (4, "Archived")):
        client.transition_model_version_stage("b", str(number), stage)
    client.register_prompt("greeting", "say {{x}}")
    client.set_registered_model_tag("a", "mlflow.prompt.is_prompt", "false")


def answers(registry: ModelRegistry | SqlRegistry) -> dict[str, object]:
    """Ask all that the reader's port has, in every form."""

    def told(call: object) -> object:
        try:
            return call()  # type: ignore[operator]
        except SlipwayError as error:
            return type(error), error.code, error.message, error.hint

    names = ["a", "b", "B", "now", "none", "renamed", "greeting", "Ä 'quoted'", "production"]
    models = registry.models()
    versions = [version for model in models if '"' not in model.name for version in registry.versions(model.name)]
    refs = [VersionRef(model=name, number=number) for name in names[:6] for number in (1, 2, 3, 9)]
    refs += [VersionRef(model=name, alias=alias) for name in names for alias in ("production", "champion", "x")]
    return {
        "models": models,
        "model": {name: told(lambda name=name: registry.model(name)) for name in names},
        "versions": versions,
        "newest": {name: told(lambda name=name: registry.versions(name, at_most=2)) for name in names},
        "version": {str(ref): told(lambda ref=ref: registry.version(ref)) for ref in refs},
        "numbered": [registry.numbered(model, [9, 1, 2, 3]) for model in models],
        "alias": registry.models_with_alias("production"),
        "measured": [comparable(registry.measured(version)) for version in versions],
        "measured each": [comparable(each) for each in registry.measured_each(versions)],
    }


def comparable(measured: Measured) -> Measured:
    """Return what a run recorded so that it can be compared: MLflow gives datasets in no order, and NaN is no NaN."""
    metrics = {name: str(value) for name, value in measured.metrics.items()}
    inputs = tuple(sorted(measured.inputs, key=lambda each: each.name))
    return replace(measured, metrics=metrics, inputs=inputs)  # type: ignore[arg-type]


def test_every_answer_is_mlflows(url: str) -> None:
    """Of models, versions, aliases and runs of every kind, and of those that are not there."""
    fill(MlflowClient())
    by_mlflow, by_sql = answers(MlflowRegistry()), answers(SqlRegistry(url, url, whole=nothing_else))
    assert len(by_sql["versions"]) == 6  # type: ignore[arg-type]
    for asked in by_mlflow:
        assert by_sql[asked] == by_mlflow[asked], asked


def test_the_tables_are_read_as_the_installed_mlflow_makes_them(store: Path) -> None:
    """Another MLflow's are left to it: whoever raises the pin reads its migrations first."""
    assert revisions_of(MLFLOW).needed == MLFLOW_REVISION
    assert sql_reader({}, store, whole=nothing_else) is not None
    with existing_engine(sa.make_url(f"sqlite:///{store}/mlflow.db")).begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'another'"))
    assert sql_reader({}, store, whole=nothing_else) is None


@pytest.mark.parametrize(
    "environ",
    [
        {"MLFLOW_TRACKING_URI": "http://127.0.0.1:5000"},
        {"MLFLOW_TRACKING_URI": "mlruns"},
        {"MLFLOW_TRACKING_URI": "sqlite:///missing.db"},
        {"MLFLOW_REGISTRY_URI": "mysql://somewhere/m"},
        {"MLFLOW_REGISTRY_URI": "sqlite:///missing.db"},
        {"MLFLOW_TRACKING_URI": "sqlite:///:memory:"},
        {"MLFLOW_ENABLE_WORKSPACES": "true"},
        {"MLFLOW_WORKSPACE": "team"},
    ],
    ids=str,
)
def test_what_only_mlflow_can_read_is_left_to_it(store: Path, environ: dict[str, str]) -> None:
    """Servers, files, other databases, tables that are not made yet, and workspaces."""
    assert sql_reader(environ, store, whole=nothing_else) is None
    assert not (store / "missing.db").exists()


def test_mlflows_old_store_of_files_is_left_to_it(store: Path) -> None:
    """MLflow takes it before its database, where nobody named one."""
    (store / "mlruns" / "7").mkdir(parents=True)
    (store / "mlruns" / "7" / "meta.yaml").touch()
    assert sql_reader({}, store, whole=nothing_else) is None
    named = {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    assert sql_reader(named, store, whole=nothing_else) is not None


@pytest.mark.parametrize("name", ["a b", "a#b", "a?b", "a%41b", "ä&=", "a'\""])
def test_a_database_is_found_in_a_folder_of_any_name(store: Path, name: str) -> None:
    """SQLite takes it as a part of an address."""
    folder = store / name
    folder.mkdir()
    shutil.copy(store / "mlflow.db", folder)
    engine = existing_engine(sa.URL.create("sqlite", database=str(folder / "mlflow.db")))
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM experiments")) == 1
    assert sorted(path.name for path in store.iterdir() if path.is_dir()) == [name]
