"""versions, compare, promote and init through the command line, on a real MLflow store."""

import json
import shutil
import sqlite3
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from slipway import command_line
from slipway.registry.errors import NotFound
from slipway.registry.versions.sql_store import move_artifact_locations

ANYTHING_GOES = """
stages:
  staging: {enter_from: any, checks: {lineage: {}}}
  production: {enter_from: any, checks: {lineage: {}}}
"""


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """Return a database with two versions of `iris`, whose files stay where they were stored."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copy(empty_database, folder / "mlflow.db")
    move_artifact_locations(f"sqlite:///{folder}/mlflow.db", {"0": f"{folder}/mlruns/0"})
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for estimator in ("knn", "ridge"):
            words = ("--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", estimator)
            assert call("train", *words) == 0
    return folder / "mlflow.db"


@pytest.fixture
def two_versions(store: Path, trained: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Have two versions of `iris` in a database of one's own."""
    shutil.copy(trained, store / "mlflow.db")
    capsys.readouterr()
    return store


def test_versions_are_shown_newest_first(two_versions: Path, capsys: pytest.CaptureFixture[str]):
    """With stages, headline metrics, age and run; the JSON holds the same."""
    (two_versions / "promotion.yaml").write_text(ANYTHING_GOES)
    call("promote", "iris/1", "--to", "staging", "--reason", "try it")
    capsys.readouterr()
    assert call("versions", "iris") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "iris: 2 versions"
    assert [name.strip() for name in lines[2].split("┃")[1:-1]] == [
        "version",
        "aliases",
        "MLflow stage",
        "accuracy",
        "f1",
        "roc_auc",
        "age",
        "run",
    ]
    assert [cell.strip() for cell in lines[5].split("│")[1:4]] == ["1", "staging", "Staging"]
    assert call("versions", "iris", "--json", "--most", "1") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["more"], [row["version"] for row in document["versions"]]) == (True, [2])
    assert 0 < document["versions"][0]["metrics"]["holdout_accuracy"] <= 1


def test_two_versions_are_compared_with_the_better_marked(two_versions: Path, capsys: pytest.CaptureFixture[str]):
    """k-nearest neighbours is better than a linear model on iris."""
    assert call("compare", "iris/1", "iris/2") == 0
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if "holdout_accuracy" in line)
    assert row.split("│")[2].strip().endswith("✓")
    assert "knn" in shown
    assert call("compare", "iris/1", "iris/2", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert next(row for row in document["metrics"] if row["name"] == "holdout_accuracy")["better"] == "a"
    assert {"name": "estimator", "a": "knn", "b": "ridge", "differs": True} in document["params"]


def resolved() -> tuple[str, str]:
    """Return the versions that MLflow resolves for alias and stage of production."""
    client = MlflowClient()
    by_stage = max(
        int(v.version) for v in client.search_model_versions("name='iris'") if v.current_stage == "Production"
    )
    return str(client.get_model_version_by_alias("iris", "production").version), str(by_stage)


def test_alias_and_stage_agree_also_after_an_older_version_replaced_a_newer(two_versions: Path):
    """`models:/iris@production` and `models:/iris/Production` are the same model each time."""
    (two_versions / "promotion.yaml").write_text(ANYTHING_GOES)
    for number in ("2", "1"):
        assert call("promote", f"iris/{number}", "--to", "production", "--reason", "test") == 0
        assert resolved() == (number, number)
        by_alias, by_stage = (
            mlflow.pyfunc.load_model(uri) for uri in ("models:/iris@production", "models:/iris/Production")
        )
        assert by_alias.metadata.run_id == by_stage.metadata.run_id


def test_a_dry_run_prints_the_plan_and_changes_nothing(two_versions: Path, capsys: pytest.CaptureFixture[str]):
    """The plan is the one that is carried out."""
    (two_versions / "promotion.yaml").write_text(ANYTHING_GOES)
    words = ("promote", "iris/2", "--to", "production", "--reason", "test", "--json")
    call(*words, "--dry-run")
    proposed = json.loads(capsys.readouterr().out)
    assert MlflowClient().get_registered_model("iris").aliases == {}
    call(*words)
    done = json.loads(capsys.readouterr().out)
    assert proposed == {**done, "dry_run": True, "seq": done["seq"] - 1}, "only the verdict was not recorded"
    call(*words)
    assert json.loads(capsys.readouterr().out)["changes"] == []


def test_who_and_why_are_tags(two_versions: Path, monkeypatch: pytest.MonkeyPatch):
    """The user of the tracking server where there is one."""
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    (two_versions / "promotion.yaml").write_text(ANYTHING_GOES)
    call("promote", "iris/1", "--to", "staging", "--reason", "looks good")
    tags = MlflowClient().get_model_version("iris", "1").tags
    assert (tags["slipway.by"], tags["slipway.reason"], tags["slipway.stage"]) == ("ann", "looks good", "staging")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("versions", "irs"), "no model 'irs' (did you mean 'iris'?); there are: iris"),
        (("compare", "iris/1", "iris/9"), "model 'iris' has no version 9; the latest is 2"),
        (("compare", "iris/1", "iris@live"), "model 'iris' has no alias 'live'; it has: none"),
        (("promote", "iris", "--to", "staging", "--reason", "x"), "'iris' names no version; write churn/5"),
        (("promote", "iris/1", "--to", "prod", "--reason", "x"), "no stage 'prod' (did you mean 'production'?)"),
        (("promote", "iris/1", "--to", "staging", "--reason", " "), "a decision needs a reason"),
    ],
)
def test_an_error_says_what_was_asked_and_what_there_is(
    two_versions: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
):
    """For people on standard error, for programs as the one document on standard output."""
    assert call(*words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {said}")
    assert call(*words, "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"]["message"].startswith(said)


def test_wrong_usage_exits_with_2(store: Path, capsys: pytest.CaptureFixture[str]):
    """In one line, and as JSON where that is asked for."""
    assert call("promote", "iris/1", "--to", "staging") == 2
    assert capsys.readouterr().err == "error: Missing option '--reason'.\nhint: slipway promote --help\n"
    assert call("promote", "--jsn") == 2
    assert call("promote", "iris/1", "--json") == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_wrong_settings_stop_a_promotion(two_versions: Path, capsys: pytest.CaptureFixture[str]):
    """All bad keys at once."""
    (two_versions / "slipway.yaml").write_text("registry: {polcy: a, mirror_stages: perhaps}")
    assert call("promote", "iris/1", "--to", "staging", "--reason", "x") == 1
    shown = capsys.readouterr().err
    assert "registry.polcy is unknown (did you mean 'policy'?)" in shown
    assert "registry.mirror_stages='perhaps'" in shown


def test_a_server_that_does_not_answer_is_said(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    """Not a traceback after minutes."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert call("versions", "iris") == 1
    shown = capsys.readouterr().err
    assert "127.0.0.1" in shown
    assert "hint: check MLFLOW_TRACKING_URI" in shown


def test_init_mends_a_store_that_only_a_server_can_use(store: Path, capsys: pytest.CaptureFixture[str]):
    """It says what it did, and a second call has nothing to do."""
    own = MlflowClient().create_experiment("iris")
    with sqlite3.connect(store / "mlflow.db") as database:
        database.execute("UPDATE experiments SET artifact_location = 'mlflow-artifacts:/' || experiment_id")
    words = ("train", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "knn")
    assert call(*words) == 1
    assert f"artifacts behind a tracking server (mlflow-artifacts:/{own})" in (shown := capsys.readouterr().err)
    assert "hint: slipway init mends it" in shown
    assert call("init", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mended_experiments"] == {
        number: f"{store.as_uri()}/mlruns/{number}" for number in ("0", own)
    }
    assert call(*words) == 0
    capsys.readouterr()
    assert call("init", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mended_experiments"] == {}


def test_init_has_nothing_to_do_with_a_server(store: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    """Its store is not here."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert call("init") == 1
    assert "no database that can be prepared from here" in capsys.readouterr().err


def test_a_traceback_is_shown_only_when_asked_for(store: Path):
    """`--debug` lets the error through."""
    with pytest.raises(NotFound):
        call("--debug", "versions", "iris")
