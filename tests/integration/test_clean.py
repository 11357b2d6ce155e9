"""clean through the command line: what may go on this disk, and what MLflow's own command may not take yet."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LinearRegression

from slipway import command_line
from slipway.registry.artifacts.artifact_cache import ArtifactCache


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


def a_week_ago(path: Path) -> None:
    """Make a file as old as if it had been left."""
    then = time.time() - 7 * 24 * 3600
    os.utime(path, (then, then))


@pytest.fixture
def folder(store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with 1 MB in its cache, and temporary files of its own."""
    monkeypatch.setenv("TMPDIR", str(store))
    monkeypatch.setattr("tempfile.tempdir", str(store))
    cache = ArtifactCache(store / ".slipway" / "cache" / "files", max_bytes=1 << 30)
    kept = cache.adopt(lambda into: (into / "model").write_bytes(bytes(1_000_000)), source="s")[1]
    a_week_ago(kept.with_name(f"{kept.name}.lock"))
    return store


def test_clean_shows_first_and_removes_with_apply(folder: Path, capsys: pytest.CaptureFixture[str]):
    """With sizes; the store and what is not in the cache stay as they are."""
    assert call("clean") == 0
    shown = capsys.readouterr()
    assert "1.0 MB may go" in shown.out
    assert "next: slipway clean --apply" in shown.err
    assert call("clean", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["applied"], document["size_bytes"]) == (False, 1_000_000)
    assert Path(document["leftovers"][0]["place"]).is_dir()
    assert call("clean", "--apply") == 0
    assert "removed 1 of 1: 1.0 MB" in capsys.readouterr().err
    assert not Path(document["leftovers"][0]["place"]).exists()
    assert call("clean") == 0
    assert "nothing here may go" in capsys.readouterr().err
    assert (folder / "mlflow.db").is_file()


def logged(name: str | None) -> str:
    """Log a run with a model, and register it where it has a name; return the run's id."""
    with mlflow.start_run() as run:
        mlflow.log_text("x" * 5000, "note.txt")
        if name:
            mlflow.sklearn.log_model(
                LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), name="model", registered_model_name=name
            )
    return run.info.run_id


def test_mlflows_own_clean_up_is_named_when_no_version_needs_what_it_takes(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    """Before, what is needed is named, with the command that restores it; and what is named works."""
    needed, other = logged("churn"), logged(None)
    client = MlflowClient()
    for run_id in (needed, other):
        client.delete_run(run_id)
    capsys.readouterr()
    assert call("clean") == 0
    said = capsys.readouterr().err
    assert "MLflow keeps 2 deleted runs" in said
    assert "Do not run `mlflow gc` yet" in said
    assert f"churn/1 needs run {needed}: mlflow runs restore --run-id {needed}" in said
    client.restore_run(needed)
    assert call("clean") == 0
    (command,) = re.findall(r"mlflow (gc .*)", capsys.readouterr().err)
    # In a process of its own: MLflow's command (3.17) sets the tracking store of whoever runs it.
    gc = [sys.executable, "-m", "mlflow", *shlex.split(command)]
    done = subprocess.run(gc, capture_output=True, text=True, check=True)
    assert f"Run with ID {other} has been permanently deleted" in done.stdout + done.stderr
    assert call("clean", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mlflow"]["deleted_runs"] == []
    assert mlflow.sklearn.load_model("models:/churn/1").predict([[3.0]]) == pytest.approx(3.0)
    assert client.get_run(needed).info.lifecycle_stage == "active"


def test_a_version_whose_logged_model_was_deleted_is_named(folder: Path, capsys: pytest.CaptureFixture[str]):
    """MLflow's clean-up would take its files for good, whatever else it is asked for."""
    client = MlflowClient()
    logged("churn")
    client.delete_logged_model(client.get_model_version("churn", "1").source.rpartition("/")[2])
    client.delete_run(logged(None))
    assert call("clean") == 0
    assert "the logged model of churn/1 is deleted" in capsys.readouterr().err


def test_without_a_store_none_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """To ask what may go changes nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert call("clean") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_keeps_nothing_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """What is on this disk may go all the same, and what is not known is said."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert call("clean", "--apply") == 0
    said = capsys.readouterr().err
    assert "removed 1 of 1" in said
    assert "what MLflow keeps of deleted runs cannot be told: nothing answers at http://127.0.0.1:9" in said
