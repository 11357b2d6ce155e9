"""What is judged is what is registered and served, and rests on what was registered: on a real MLflow store."""

import os
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import sqlalchemy as sa
import yaml
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

from slipway import command_line
from slipway.registry.artifacts.kept_copies import KEPT
from slipway.registry.decisions.wiring import open_ledger
from slipway.registry.errors import Conflict
from slipway.registry.ledger.last_word import require_last_word
from slipway.registry.version import VersionRef, parse_ref
from slipway.registry.versions.file_integrity import place_to_read, records_about
from slipway.registry.versions.mlflow_registry import MlflowRegistry

TRACED = {"lineage": {"require": ["run", "data"]}}


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with an MLflow store on each database."""
    if request.param == "postgresql":
        template = request.getfixturevalue("postgres_template")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("postgres").create_database(template))
    mlflow.create_experiment("judged")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "judged")  # set_experiment would be kept for the tests that follow
    return store


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


def policy(folder: Path, checks: dict) -> None:
    """Write a policy with one stage."""
    (folder / "promotion.yaml").write_text(yaml.safe_dump({"stages": {"production": {"checks": checks}}}))


def log(at: float = 0.5, *, data: bool = True, model: str = "model") -> tuple[str, str]:
    """Log a model that says 1 above a threshold, in a run of its own; return the run and the logged model."""
    with mlflow.start_run() as run:
        rows = pd.DataFrame({"x": [at - 0.1, at + 0.1]})
        if data:
            mlflow.log_input(mlflow.data.from_pandas(rows, name="rows"), context="training")
        mlflow.log_metric("accuracy", at)
        fitted = LogisticRegression().fit(rows, [0, 1])
        logged = mlflow.sklearn.log_model(fitted, name=model, input_example=rows, pip_requirements=["scikit-learn"])
        return run.info.run_id, logged.model_id


def version_of(model_id: str, name: str, run_id: str | None = None) -> str:
    """Register a logged model by MLflow's own client, maybe with another run."""
    client = MlflowClient()
    if not client.search_registered_models(filter_string=f"name='{name}'"):
        client.create_registered_model(name)
    return f"{name}/{client.create_model_version(name, f'models:/{model_id}', run_id).version}"


def made_again(name: str, model_id: str) -> None:
    """Delete a model and make another under its name."""
    MlflowClient().delete_registered_model(name)
    version_of(model_id, name)


def read_by_slipway(text: str) -> str:
    """Return where Slipway reads a version's files."""
    ledger = open_ledger(os.environ, Path.cwd())
    version = ledger.registry.version(parse_ref(text))
    return place_to_read(version, records_about(version, ledger), ledger.registry)


def read_by_mlflow(name: str) -> str:
    """Return where MLflow reads version 1 of a model."""
    return MlflowClient().get_model_version_download_uri(name, "1")


def test_a_version_that_was_made_from_a_name_that_now_means_another_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
):
    """By whatever is to record, judge or move it; with what to do instead."""
    policy(place, {"lineage": {"require": ["run"]}})
    (_, honest), (_, other) = log(0.5), log(0.9)
    version_of(honest, "tmp")
    client = MlflowClient()
    client.create_registered_model("churn")
    client.create_model_version("churn", "models:/tmp/1")
    made_again("tmp", other)
    client.set_registered_model_alias("churn", "production", "1")
    for words in (
        ("register", "churn/1", "--reason", "x"),
        ("gate", "churn/1", "--to", "production"),
        ("adopt", "churn@production", "--reason", "x"),
    ):
        capsys.readouterr()
        assert call(*words) == 1, words
        said = capsys.readouterr().err
        assert "churn/1 was made from models:/tmp/1, which leads to" in said
        assert "mlflow.register_model" in said
    assert read_by_slipway("churn/1") == read_by_mlflow("churn")


def test_what_was_recorded_is_read_where_it_was_recorded(place: Path):
    """Also after the name that it was made from came to mean something else."""
    policy(place, {"artifact": {}, "lineage": {"require": ["run"]}})
    (_, honest), (_, other) = log(0.5), log(0.9)
    version_of(honest, "tmp")
    MlflowClient().copy_model_version("models:/tmp/1", "churn")
    assert call("register", "churn/1", "--reason", "copied") == 0
    made_again("tmp", other)
    assert call("promote", "churn/1", "--to", "production", "--reason", "x") == 0
    there = MlflowClient().get_logged_model(honest).artifact_location
    assert read_by_slipway("churn/1") == read_by_mlflow("churn") == there
    MlflowClient().delete_registered_model("tmp")
    assert call("gate", "churn/1", "--to", "production") == 0


def test_a_version_that_mlflow_finds_by_a_reference_is_refused(place: Path, capsys: pytest.CaptureFixture[str]):
    """A model of that name that is logged tomorrow would be served; MLflow takes schemes in capitals, too.

    One that is called as the server's own copies are is no copy.
    """
    policy(place, {"lineage": {"require": ["run"]}})
    run_id, model_id = log()
    client = MlflowClient()
    client.create_registered_model("churn")
    sources = [f"{scheme}{run_id}/model" for scheme in ("runs:/", "RUNS:/", "runs:///", "Runs:///")]
    for number, source in enumerate([*sources, f"runs:/{run_id}/{KEPT}/model"], start=1):
        client.create_model_version("churn", source, run_id)
        for words in (("register", f"churn/{number}"), ("promote", f"churn/{number}", "--to", "production")):
            assert call(*words, "--reason", "x") == 1
            assert f"MLflow finds the files of churn/{number} by {source}" in capsys.readouterr().err
    version_of(model_id, "churn")
    assert call("register", "churn/6", "--reason", "x") == 0


def test_files_that_were_moved_are_recorded_once_more(place: Path, capsys: pytest.CaptureFixture[str]):
    """Where they are the same files; until then MLflow and the history disagree, and nothing is promoted."""
    policy(place, {"artifact": {}})
    run_id, model_id = log()
    client = MlflowClient()
    version_of(model_id, "churn")
    assert call("register", "churn/1", "--reason", "x") == 0
    assert call("register", "churn/1", "--reason", "x") == 1
    assert "recorded already" in capsys.readouterr().err
    registry = MlflowRegistry()
    version = registry.version(VersionRef(model="churn", number=1))
    there = Path(registry.location(version).removeprefix("file://"))
    elsewhere = place / "elsewhere"
    there.rename(elsewhere)
    move_in_database(str(there), str(elsewhere))
    assert call("gate", "churn/1", "--to", "production") == 1
    assert f"MLflow serves it from {elsewhere}" in capsys.readouterr().err
    assert call("register", "churn/1", "--reason", "moved") == 0
    assert call("promote", "churn/1", "--to", "production", "--reason", "x") == 0
    assert (run_id, client.get_model_version_by_alias("churn", "production").version) == (run_id, 1)


def move_in_database(before: str, after: str) -> None:
    """Do what an administrator does who moves an artifact store."""
    engine = sa.create_engine(mlflow.get_tracking_uri())
    with engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE model_versions SET storage_location = replace(storage_location, :a, :b)"),
            {"a": before, "b": after},
        )
        connection.execute(
            sa.text("UPDATE logged_models SET artifact_location = replace(artifact_location, :a, :b)"),
            {"a": before, "b": after},
        )
    engine.dispose()


def test_lineage_is_not_borrowed_from_somebody_elses_run(place: Path, capsys: pytest.CaptureFixture[str]):
    """Whoever registers own files with a run that was better kept; also where a metric is to be borrowed."""
    policy(place, TRACED)
    theirs, _ = log(0.9)
    _, mine = log(0.1, data=False)
    borrowed = version_of(mine, "churn", theirs)
    assert call("register", borrowed, "--reason", "x") == 0
    assert call("gate", borrowed, "--to", "production") == 3
    assert "it borrows the lineage of a run" in capsys.readouterr().out.replace("\n", " ")
    own, logged = log(0.5)
    assert call("gate", version_of(logged, "churn", own), "--to", "production") == 0


REWRITES: dict[str, Callable[[MlflowClient, str, Path], object]] = {
    "metric": lambda client, run_id, _: client.log_metric(run_id, "holdout_accuracy", 0.9999, step=1),
    "rows": lambda client, run_id, folder: client.log_artifact(run_id, str(rewritten_rows(folder)), "holdout"),
    "row ids": lambda client, run_id, folder: client.log_text(run_id, "x", "holdout/row_ids.npz"),
}


def rewritten_rows(folder: Path) -> Path:
    """Return rows with other targets."""
    path = folder / "rows.parquet"
    pd.DataFrame({"sepal length (cm)": [1.0], "target": [0]}).to_parquet(path)
    return path


@pytest.mark.parametrize("what", REWRITES)
def test_a_run_that_is_rewritten_after_registration_is_found(
    place: Path, what: str, capsys: pytest.CaptureFixture[str]
):
    """Whether anybody measures on it or not: lineage says what was changed."""
    policy(place, {**TRACED, "metric": {"limits": {"holdout_accuracy": {"min": 0.5}}}})
    assert call("train", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "knn") == 0
    assert call("promote", "iris/1", "--to", "production", "--reason", "x") == 0
    assert call("train", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "knn") == 0
    assert call("gate", "iris/2", "--to", "production") == 0
    REWRITES[what](MlflowClient(), MlflowClient().get_model_version("iris", "2").run_id, place)
    assert call("promote", "iris/2", "--to", "production", "--reason", "x") == 3
    assert "was rewritten after the version was registered" in capsys.readouterr().err
    evaluate = ("evaluate", "iris/2", "--data", "sklearn:iris", "--target", "target")
    assert call(*evaluate) == (0 if what == "metric" else 1)
    assert ("is not what was recorded" in capsys.readouterr().err) == (what != "metric")


def test_a_later_fail_replaces_a_pass(place: Path, capsys: pytest.CaptureFixture[str]):
    """On the command line; and whoever holds the number of the PASS is refused too."""
    policy(place, {"own": {"mine": {"command": ["cat", str(place / "answer.json")]}}})
    answer = place / "answer.json"
    _, model_id = log()
    version_of(model_id, "churn")
    assert call("register", "churn/1", "--reason", "x") == 0
    answer.write_text('{"outcome": "PASS", "reason": "fine"}')
    assert call("gate", "churn/1", "--to", "production") == 0
    answer.write_text('{"outcome": "FAIL", "reason": "not fine"}')
    assert call("gate", "churn/1", "--to", "production") == 3
    assert call("promote", "churn/1", "--to", "production", "--reason", "x") == 3
    capsys.readouterr()
    ledger = open_ledger(os.environ, place)
    about = records_about(ledger.registry.version(parse_ref("churn/1")), ledger)
    first = next(each for each in about if each.kind == "GateAssessed")
    with pytest.raises(Conflict, match="was replaced by that of event"):
        require_last_word(about, "production", None, seq=first.seq)
