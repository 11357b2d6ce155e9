"""The first commands in an empty folder, several at once: MLflow's tables are made once."""

import json
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import mlflow
import pytest

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.registry.versions.sql_first_use import made_once, require_recordable
from slipway.training.data import load
from slipway.training.dataset import Dataset
from slipway.training.mlflow_run import open_run
from tests.generators.datasets import sources
from tests.servers.postgres import PostgresServer
from tests.servers.processes import environment

pytestmark = pytest.mark.slow
TRAIN = ["train", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "ridge", "--json"]
RUNS, ROUNDS = 6, 5
FIRST = [TRAIN, TRAIN, TRAIN, ["status", "--json"], ["versions", "none", "--json"], ["init", "--json"]]
NOT_MADE = ("no-store", "unknown-model")


def start(words: list[str], folder: Path, uri: str | None) -> subprocess.Popen[str]:
    """Start a command in a folder."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "SLIPWAY_"))}
    if uri:
        environ["MLFLOW_TRACKING_URI"] = uri
    command = [sys.executable, "-m", "slipway", *words]
    return subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def documents_of(said: list[tuple[str, str]]) -> list[dict]:
    """Return what each command wrote on standard output."""
    return [json.loads(out) for out, _ in said]


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_first_commands_at_once_all_succeed(database: str, tmp_path: Path, request: pytest.FixtureRequest):
    """Three trainings, and commands that only read: no traceback, three versions, one document each.

    Who reads before a file is there is told so, and makes none.
    """
    postgres: PostgresServer | None = request.getfixturevalue("postgres") if database == "postgresql" else None
    uri = postgres.create_database() if postgres else None
    running = [start(words, tmp_path, uri) for words in FIRST]
    said = [process.communicate(timeout=500) for process in running]
    status = documents_of(said)[3]
    is_made = "error" not in status
    assert is_made or status["error"]["code"] == "no-store"
    codes = [0, 0, 0, 0 if is_made else 1, 1, 0]
    assert [process.returncode for process in running] == codes, "\n".join(str(each) for each in said)
    assert not any("Traceback" in errors for _, errors in said)
    documents = documents_of(said)
    assert sorted(document["version"] for document in documents[:3]) == ["iris/1", "iris/2", "iris/3"]
    assert documents[4]["error"]["code"] in NOT_MADE
    assert not list(tmp_path.glob("*init.lock"))


def test_who_makes_the_tables_without_a_lock_is_waited_for(tmp_path: Path):
    """Half-made tables of somebody else are left to them, until they are whole."""
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE experiments (name TEXT)")
    finish = "import sqlite3, time; time.sleep(1); d = sqlite3.connect({0!r}); d.execute({1!r}); d.commit()"
    code = finish.format(str(path), "INSERT INTO experiments VALUES ('Default')")
    with subprocess.Popen([sys.executable, "-c", code]):
        made_once(f"sqlite:///{path}", lambda: pytest.fail("made beside somebody else"), with_runs=True)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    """No traceback of the driver's."""
    with pytest.raises(Unavailable, match=r"no database can be made in .*/none: No such file"):
        made_once(f"sqlite:///{tmp_path}/none/mlflow.db", lambda: None, with_runs=True)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_first_runs_at_once_log_the_same_dataset_into_one_experiment(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    """Who loses MLflow's race to insert an experiment or a dataset finds the winner's; no run fails."""
    postgres: PostgresServer | None = request.getfixturevalue("postgres") if database == "postgresql" else None
    uri = postgres.create_database() if postgres else f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    mlflow.MlflowClient().search_experiments()  # makes the tables
    dataset = load("sklearn:iris", "target", sources=sources())
    for number in range(ROUNDS):
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", f"first-{number}")
        together = Barrier(RUNS)
        with ThreadPoolExecutor(RUNS) as pool:
            logged = [pool.submit(log_together, together, dataset) for _ in range(RUNS)]
        experiments = {mlflow.get_run(each.result()).info.experiment_id for each in logged}
        assert len(experiments) == 1
        inputs = [mlflow.get_run(each.result()).inputs.dataset_inputs for each in logged]
        assert [len(each) for each in inputs] == [1] * RUNS


def log_together(together: Barrier, dataset: Dataset) -> str:
    """Open a run and log the dataset, each in the moment in which all others do."""
    together.wait(60)
    with open_run() as run:
        together.wait(60)
        run.log_dataset(dataset)
    return run.run_id


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a team's churn, 50%25 #1?", 'the "new" one'])
def test_a_folder_of_any_name_gets_a_store_and_leaves_none_beside(name: str, tmp_path: Path):
    """MLflow's own name for the default store makes a folder called `a%20team%27s…` beside it."""
    folder = tmp_path / "all" / name
    folder.mkdir(parents=True)
    words = [sys.executable, "-P", "-m", "slipway", "init"]
    done = subprocess.run(words, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.parent.iterdir()] == [name]
    with sqlite3.connect(folder / "mlflow.db") as database:
        ((location,),) = database.execute("SELECT artifact_location FROM experiments").fetchall()
    assert location == f"{folder}/mlruns/0"


@pytest.mark.parametrize("name", ["a 'quoted' \"folder\"", "back\\slash", "bell\a"])
def test_a_folder_that_mlflow_cannot_record_is_refused(name: str, tmp_path: Path):
    """It would be a syntax error of SQL, or files in another place than the one that is recorded."""
    with pytest.raises(InvalidInput, match="MLflow cannot record the folder"):
        require_recordable(tmp_path / name)
    require_recordable(tmp_path / "a team's churn")
