"""A server of which only a part is guarded does not begin to answer."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.server.constants import (
    ARTIFACTS_DESTINATION_ENV_VAR,
    BACKEND_STORE_URI_ENV_VAR,
    REGISTRY_STORE_URI_ENV_VAR,
    SERVE_ARTIFACTS_ENV_VAR,
)

pytestmark = pytest.mark.slow
ASKED = "import slipway.registry.server.mlflow_app as app; app.require_guarded_server(); print('guarded')"
DATABASE, FOLDER = "slipway+sqlite:///{0}/mlflow.db", "slipway+file://{0}/kept"
HALVES = {
    "artifacts in MLflow's own folder": (DATABASE, DATABASE, "{0}/kept"),
    "artifacts in MLflow's own bucket": (DATABASE, DATABASE, "s3://bucket/kept"),
    "a folder that MLflow looks for below its own": (DATABASE, DATABASE, "slipway+{0}/kept"),
    "no artifacts named": (DATABASE, DATABASE, ""),
    "MLflow's own tracking": ("sqlite:///{0}/mlflow.db", DATABASE, FOLDER),
    "MLflow's own registry": (DATABASE, "sqlite:///{0}/mlflow.db", FOLDER),
    "a folder of another host": (DATABASE, DATABASE, "slipway+file://host{0}/kept"),
    "a folder below one called FILE:": (DATABASE, DATABASE, "SLIPWAY+FILE://{0}/kept"),
    "two databases": (DATABASE, "slipway+sqlite:///{0}/other.db", FOLDER),
}


@pytest.fixture
def folder(tmp_path: Path, empty_database: Path) -> Path:
    """Return a server's folder, with two databases that have MLflow's tables."""
    for name in ("mlflow.db", "other.db"):
        shutil.copy(empty_database, tmp_path / name)
    return tmp_path


def asked(
    folder: Path, tracking: str, registry: str, artifacts: str, **more: str
) -> "subprocess.CompletedProcess[str]":
    """Ask in a process of its own, as each worker of a server does."""
    set_by_mlflow = {
        BACKEND_STORE_URI_ENV_VAR: tracking.format(folder),
        REGISTRY_STORE_URI_ENV_VAR: registry.format(folder),
        ARTIFACTS_DESTINATION_ENV_VAR: artifacts.format(folder),
        SERVE_ARTIFACTS_ENV_VAR: "true",
    }
    words = [sys.executable, "-c", ASKED]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **set_by_mlflow, **more}
    return subprocess.run(words, cwd=folder, env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_a_server_that_is_guarded_wholly_begins(folder: Path):
    """Database and artifacts with the word before them."""
    done = asked(folder, DATABASE, DATABASE, FOLDER)
    assert done.stdout.strip() == "guarded", done.stderr


def test_workspaces_are_guarded_where_the_server_has_them(folder: Path):
    """They are kept where the backend is; in MLflow's own store one could be deleted under a protected stage."""
    enabled = {"MLFLOW_ENABLE_WORKSPACES": "true"}
    done = asked(folder, DATABASE, DATABASE, FOLDER, **enabled)
    assert done.stdout.strip() == "guarded", done.stderr
    done = asked(
        folder, DATABASE, DATABASE, FOLDER, **enabled, MLFLOW_WORKSPACE_STORE_URI=f"sqlite:///{folder}/mlflow.db"
    )
    assert "the workspaces of this server are not guarded" in done.stderr


def test_a_server_that_runs_its_users_code_is_refused(folder: Path):
    """It would have the passwords of database and store."""
    done = asked(folder, DATABASE, DATABASE, FOLDER, MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS="true")
    assert "would run the code of its users' scorers" in done.stderr


@pytest.mark.parametrize("half", HALVES)
def test_half_a_guard_is_refused(half: str, folder: Path):
    """The error says what is not guarded."""
    done = asked(folder, *HALVES[half])
    assert "guarded" not in done.stdout
    assert "InvalidInput" in done.stderr or "NotApproved" in done.stderr, done.stderr
    assert not (folder / "slipway+").exists()
