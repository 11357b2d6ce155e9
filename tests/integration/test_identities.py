"""Models that are deleted and made again, renamed, confused with prompts, or whose files are gone."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from slipway import command_line
from tests.generators.deciding import MODEL, Place, prepare, promote_second, require_agreement
from tests.servers.processes import environment


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


@pytest.fixture
def place(store: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a registry with two versions, the first in production, the second in staging."""
    uri = f"sqlite:///{store}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    made = Place(folder=store, uri=uri)
    prepare(made, 2)
    return made


def test_a_model_that_was_made_again_begins_anew(place: Place, capsys: pytest.CaptureFixture[str]):
    """Version 1 of the new one is not the version 1 that was in production."""
    client = MlflowClient()
    first = client.get_model_version(MODEL, "1")
    client.delete_registered_model(MODEL)
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, first.source, first.run_id)
    capsys.readouterr()
    assert call("status") == 0
    assert "cancer" not in capsys.readouterr().out
    assert call("rollback", MODEL, "--reason", "x") == 1
    assert "no version of cancer was in production" in capsys.readouterr().err
    assert call("promote", "cancer/1", "--to", "staging", "--reason", "anew") == 0
    capsys.readouterr()
    assert call("history", MODEL) == 0
    assert "cancer: 2 events" in capsys.readouterr().out
    assert require_agreement(place) == {"staging": 1}


def test_a_renamed_model_keeps_its_history(place: Place, capsys: pytest.CaptureFixture[str]):
    """Under the new name, and found by the old one."""
    MlflowClient().rename_registered_model(MODEL, "tumour")
    assert call("promote", "tumour/2", "--to", "production", "--reason", "renamed") == 0
    assert call("rollback", "tumour", "--reason", "back") == 0
    assert {alias: int(n) for alias, n in MlflowClient().get_registered_model("tumour").aliases.items()} == {
        "production": 1
    }
    for name in ("tumour", MODEL):
        capsys.readouterr()
        assert call("history", name, "--verify") == 0
        assert "events of" in capsys.readouterr().err
    assert call("status", "--json") == 0
    assert '"tumour"' in capsys.readouterr().out


def test_a_name_that_went_round_means_the_model_that_has_it_now(place: Place, capsys: pytest.CaptureFixture[str]):
    """Its history is shown and verified, and a forged note of its head is seen."""
    client = MlflowClient()
    first = client.get_model_version(MODEL, "1")
    client.rename_registered_model(MODEL, "aside")
    client.create_registered_model(MODEL)
    client.create_model_version(MODEL, first.source, first.run_id)
    capsys.readouterr()
    assert call("history", MODEL) == 1
    said = capsys.readouterr().err
    assert f"nothing was decided yet about the model that is called '{MODEL}' now" in said
    assert "another model had that name, and has a history of its own: slipway history default/" in said
    assert call("history", "aside", "--verify") == 0, "before anything is decided under the new name"
    assert call("promote", f"{MODEL}/1", "--to", "staging", "--reason", "the new one") == 0
    client.rename_registered_model(MODEL, "tmp")
    client.rename_registered_model("aside", MODEL)
    assert call("promote", f"{MODEL}/2", "--to", "production", "--reason", "after the round") == 0
    for name, own, others in ((MODEL, "after the round", "the new one"), ("tmp", "the new one", "after the round")):
        capsys.readouterr()
        assert call("history", name, "--json") == 0
        reasons = [each["reason"] for each in json.loads(capsys.readouterr().out)["events"]]
        assert own in reasons
        assert others not in reasons
    client.set_registered_model_tag(MODEL, "slipway.head", "99:" + "f" * 64)
    assert call("history", "tmp", "--verify") == 0
    assert call("history", MODEL, "--verify") == 1
    assert f"the history of '{MODEL}' is not as it was written" in capsys.readouterr().err


def test_models_of_one_millisecond_are_not_mixed_up(place: Place):
    """Whoever registers many models at once makes two of one creation time; neither is the other renamed."""
    client = MlflowClient()
    client.create_registered_model("other")
    first = client.get_model_version(MODEL, "1")
    client.create_model_version("other", first.source, first.run_id)
    with sqlite3.connect(place.folder / "mlflow.db") as database:
        database.execute("UPDATE registered_models SET creation_time = 1")
        database.execute("DROP TRIGGER slipway_events_no_DELETE")
        database.execute("DELETE FROM slipway_events")
        database.execute("DELETE FROM registered_model_tags")
    for name in (MODEL, "other"):
        client.delete_registered_model_alias(name, "production")
        client.delete_registered_model_alias(name, "staging")
        assert call("promote", f"{name}/1", "--to", "staging", "--reason", "test") == 0
    for name in (MODEL, "other"):
        assert call("history", name, "--verify") == 0
        assert {alias: int(n) for alias, n in client.get_registered_model(name).aliases.items()} == {"staging": 1}
    client.rename_registered_model("other", "tumour")
    assert call("history", "other", "--verify") == 0
    assert call("promote", "tumour/1", "--to", "production", "--reason", "renamed") == 0
    assert call("history", "tumour", "--verify") == 0
    assert require_agreement(place) == {"staging": 1}


def test_a_prompt_is_left_alone(place: Place, capsys: pytest.CaptureFixture[str]):
    """Prompts share MLflow's tables and alias calls with models."""
    mlflow.genai.register_prompt(name="greeting", template="Hi {{name}}")
    mlflow.genai.set_prompt_alias("greeting", alias="production", version=1)
    capsys.readouterr()
    assert call("status", "--json") == 0
    assert "greeting" not in capsys.readouterr().out
    for words in (
        ("promote", "greeting/1", "--to", "staging"),
        ("rollback", "greeting"),
        ("adopt", "greeting@production"),
    ):
        assert call(*words, "--reason", "x") == 1
        assert "'greeting' is a prompt" in capsys.readouterr().err
    assert mlflow.genai.load_prompt("prompts:/greeting@production").version == 1


def test_nothing_goes_back_to_a_version_whose_files_are_gone(place: Place, capsys: pytest.CaptureFixture[str]):
    """The one in production stays."""
    promote_second(place)
    shutil.rmtree(MlflowClient().get_model_version(MODEL, "1").source)
    capsys.readouterr()
    assert call("rollback", MODEL, "--reason", "x") == 1
    assert "cancer/1 has no stored files any more" in capsys.readouterr().err
    assert require_agreement(place) == {"production": 2}


def test_a_version_that_mlflow_gc_took_is_refused(place: Place, capsys: pytest.CaptureFixture[str]):
    """By rollback and by the gate; the alias that points at nothing is no reason to crash."""
    for estimator in ("knn", "ridge"):
        train = ("--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", estimator)
        assert call("train", *train) == 0
    for number in (1, 2):
        for stage in ("staging", "production"):
            assert call("promote", f"iris/{number}", "--to", stage, "--reason", "test") == 0
    client = MlflowClient()
    version = client.get_model_version("iris", "1")
    client.delete_logged_model(version.model_id or version.source.rpartition("/")[2])
    client.delete_run(version.run_id)
    gc = ("mlflow", "gc", "--backend-store-uri", place.uri)
    subprocess.run(gc, cwd=place.folder, env=environment(MLFLOW_TRACKING_URI=place.uri), check=True)
    capsys.readouterr()
    assert call("rollback", "iris", "--reason", "x") == 1
    shown = capsys.readouterr().err
    assert "iris/1 has no stored files any more" in shown
    assert call("gate", "iris/1", "--to", "staging") in (3, 4)
    assert call("versions", "iris") == 0
    assert call("status") == 0
    assert client.get_model_version_by_alias("iris", "production").version == 2
