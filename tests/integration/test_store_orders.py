"""Runs first and a server later, or a server first and runs later: both find the same things."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.servers.processes import answers, environment, free_port, process, wait_for

pytestmark = pytest.mark.slow
TRAIN = ("train", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "knn")


def slipway(folder: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run `slipway` as a process in a folder, with more variables."""
    command = [sys.executable, "-m", "slipway", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(**more), check=False)


def runs_through(port: int) -> list[dict]:
    """Return the runs that the server shows, whatever their experiment."""
    found = asked(port, "experiments/search", max_results=10)["experiments"]
    return asked(port, "runs/search", experiment_ids=[each["experiment_id"] for each in found]).get("runs", [])


def asked(port: int, path: str, **body: object) -> dict:
    """Return what MLflow's API answers."""
    url, content = f"http://127.0.0.1:{port}/api/2.0/mlflow/{path}", json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=30))


def plain_server(folder: Path, port: int):
    """Start `mlflow server` as people do, without options."""
    words = (sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1")
    return process(*words, folder=folder, log=folder / "server.log", MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false")


def test_runs_first_and_a_server_later(tmp_path: Path):
    """A plain `mlflow server` started later in the folder shows the run and its artifacts."""
    assert slipway(tmp_path, *TRAIN).returncode == 0
    port = free_port()
    with plain_server(tmp_path, port):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), within_s=90, log=tmp_path / "server.log")
        (run,) = runs_through(port)
        listing = f"http://127.0.0.1:{port}/api/2.0/mlflow/artifacts/list?run_id={run['info']['run_id']}"
        files = json.load(urllib.request.urlopen(listing, timeout=30))["files"]
        assert "roc.png" in {file["path"] for file in files}


def test_a_server_first_and_runs_later(tmp_path: Path):
    """A plain `mlflow server` in an empty folder leaves a default experiment that runs cannot use until `slipway init`.

    A model has an experiment of its own, unless somebody asks for another.
    """
    port = free_port()
    with plain_server(tmp_path, port):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), within_s=90, log=tmp_path / "server.log")
        runs_through(port)
    refused = slipway(tmp_path, *TRAIN, MLFLOW_EXPERIMENT_ID="0")
    assert refused.returncode == 1
    assert "keeps its artifacts behind a tracking server" in refused.stderr
    assert slipway(tmp_path, *TRAIN).returncode == 0
    assert list((tmp_path / "mlruns" / "1").glob("*/artifacts/roc.png"))
    assert slipway(tmp_path, "init").returncode == 0
    assert slipway(tmp_path, *TRAIN, MLFLOW_EXPERIMENT_ID="0").returncode == 0
    assert list((tmp_path / "mlruns" / "0").glob("*/artifacts/roc.png"))


def test_a_server_of_slipway_first_and_runs_later(tmp_path: Path):
    """`slipway up` in an empty folder makes a store that works both ways, while it runs too."""
    port = free_port()
    up = (sys.executable, "-m", "slipway", "up", "--port", str(port), "--no-scoring")
    with process(*up, folder=tmp_path, log=tmp_path / "up.log"):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), within_s=90, log=tmp_path / "up.log")
        assert slipway(tmp_path, *TRAIN).returncode == 0
        assert len(runs_through(port)) == 1
