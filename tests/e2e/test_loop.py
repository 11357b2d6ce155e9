"""The whole loop as a user types it: `mlflow run`, promote, `mlflow models serve`, ask."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer

from tests.generators.datasets import customers
from tests.servers.clones import run
from tests.servers.processes import answers, environment, free_port, post, process, wait_for

pytestmark = pytest.mark.slow


def mlflow_run(folder: Path, env_manager: str = "local", entry_point: str = "main", **parameters: str) -> None:
    """Run the project as the README says."""
    given = [word for name, value in parameters.items() for word in ("-P", f"{name}={value}")]
    words = ("mlflow", "run", ".", "-e", entry_point, "--env-manager", env_manager, *given)
    run(folder, *words, MLFLOW_ENV_ROOT=str(folder / "envs"))


@contextmanager
def served(folder: Path, uri: str) -> Iterator[str]:
    """Serve a model by MLflow's own server; yield where it takes requests."""
    port = free_port()
    words = ("mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "--port", str(port))
    log = folder / "serve.log"
    with process(*words, folder=folder, log=log):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ping"), within_s=90, log=log)
        yield f"http://127.0.0.1:{port}/invocations"


def client(folder: Path) -> MlflowClient:
    """Return a client of the store that a bare `mlflow run` made in the folder."""
    return MlflowClient(f"sqlite:///{folder}/mlflow.db", f"sqlite:///{folder}/mlflow.db")


def stored(folder: Path, number: int, model: str) -> str:
    """Return the folder that holds a version's files."""
    source = client(folder).get_model_version(model, str(number)).source.removeprefix("models:/")
    return str(folder / "mlruns" / "0" / "models" / source / "artifacts")


CANCER = {"data": "sklearn:breast_cancer", "target": "target", "model": "cancer", "estimator": "random_forest"}


@pytest.mark.long
def test_a_booster_is_added_to_the_environment_of_mlflow_run(clone: Path):
    """By taking the # away before its line in conda.yaml, as the docs say."""
    project = clone / "conda.yaml"
    project.write_text(project.read_text().replace("# - lightgbm", "- lightgbm"))
    mlflow_run(clone, "uv", **{**CANCER, "estimator": "lightgbm"})
    assert client(clone).get_model_version("cancer", "1").tags["slipway.estimator"] == "lightgbm"


@pytest.mark.parametrize("env_manager", ["local", "uv"])
def test_a_bare_mlflow_run_leaves_a_registered_version(clone: Path, env_manager: str):
    """With no variable set, in the current environment and in one that uv builds from conda.yaml."""
    mlflow_run(clone, env_manager, **CANCER)
    version = client(clone).get_model_version("cancer", "1")
    found = client(clone).get_run(version.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.metrics["holdout_accuracy"] > 0.9
    for folder in ("holdout", "reference", "slipway"):
        assert client(clone).list_artifacts(version.run_id, folder)


def test_every_entry_point_runs(clone: Path):
    """`main` has defaults for everything; tune and evaluate pass their parameters on."""
    mlflow_run(clone)
    mlflow_run(clone, entry_point="tune", data="sklearn:iris", model="iris", estimator="knn", trials="2", cv="2")
    mlflow_run(clone, entry_point="evaluate", version="cancer/1", data="sklearn:breast_cancer")
    assert [model.name for model in client(clone).search_registered_models()] == ["cancer", "iris"]


def test_alias_and_stage_are_served_also_after_an_older_version_replaced_a_newer(clone: Path):
    """Both URIs answer the input example with the older version's predictions."""
    mlflow_run(clone, **CANCER, params='{"n_estimators": 5}')
    mlflow_run(clone, **{**CANCER, "estimator": "logistic"})
    (clone / "promotion.yaml").write_text("stages: {production: {enter_from: any, checks: {lineage: {}}}}")
    for number in ("2", "1"):
        run(clone, "slipway", "promote", f"cancer/{number}", "--to", "production", "--reason", "test")
    rows = load_breast_cancer(as_frame=True).data
    older, newer = (mlflow.pyfunc.load_model(stored(clone, number, "cancer")).predict(rows) for number in (1, 2))
    assert older.tolist() != newer.tolist()
    for uri in ("models:/cancer@production", "models:/cancer/Production"):
        with served(clone, uri) as url:
            asked = json.dumps({"dataframe_split": rows.to_dict(orient="split")})
            assert json.loads(post(url, asked))["predictions"] == older.tolist()
            example = Path(stored(clone, 1, "cancer"), "serving_input_example.json").read_text()
            assert len(json.loads(post(url, example))["predictions"]) == 5


def test_a_csv_with_text_and_missing_values_is_served_with_unseen_categories(clone: Path):
    """A city that training never saw, a null, whole numbers: every row is answered."""
    customers().to_csv(clone / "customers.csv", index=False)
    mlflow_run(
        clone, data="customers.csv", target="churned", model="churn", estimator="hist_gradient_boosting", key="id"
    )
    rows = [
        {"age": 70, "city": "Lima", "income": 30000, "active": True},
        {"age": 20, "city": "Atlantis", "income": None, "active": False},
        {"age": 70, "city": None, "income": 1.5, "active": True},
    ]
    with served(clone, "models:/churn/1") as url:
        predictions = json.loads(post(url, json.dumps({"dataframe_records": rows})))["predictions"]
    assert predictions[0] == "yes"
    assert set(predictions) <= {"yes", "no"}


def test_a_refusal_reaches_the_terminal_and_the_run_through_mlflow_run(clone: Path):
    """The reason is printed, and is in the run that `mlflow run` opened."""
    words = ("mlflow", "run", ".", "--env-manager", "local", "-P", "data=nowhere.csv")
    done = subprocess.run(words, cwd=clone, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode != 0
    assert "error: no file" in done.stderr
    (failed,) = client(clone).search_runs(["0"])
    assert failed.info.status == "FAILED"
    assert failed.data.tags["slipway.error"].startswith("no file")
    assert client(clone).search_registered_models() == []


def test_the_demo_runs_also_where_it_ran_before(clone: Path):
    """It ends with status 0 and a scored answer, whatever numbers its versions get."""
    (clone / ".venv").symlink_to(Path(sys.prefix))
    run(clone, "slipway", "train", "--data", "sklearn:digits", "--target", "target", "--model", "digits")
    shown = run(clone, "bash", "docs/demo.sh").stdout
    assert '{"predictions":[' in shown
    assert "slipway up" in shown
    assert max(int(v.version) for v in client(clone).search_model_versions("name='digits'")) == 4
    production = client(clone).get_model_version_by_alias("digits", "production")
    assert production.tags["slipway.estimator"] == "svm"
