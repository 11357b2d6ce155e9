"""The whole loop on a team's stack: PostgreSQL, a bucket, and a guarded server that is all that others reach."""

import shutil
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.servers.ceph import CephServer
from tests.servers.clones import run
from tests.servers.postgres import PostgresServer
from tests.servers.processes import answers, wait_for
from tests.servers.team import PASSWORD, Team

pytestmark = [pytest.mark.slow, pytest.mark.long]


def test_the_demo_runs_through_the_server_alone(
    clone: Path, tmp_path: Path, postgres: PostgresServer, ceph: CephServer, monkeypatch: pytest.MonkeyPatch
):
    """With its address, a name and a password; no database is made and no key of the bucket is known there."""
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(clone / "docs/demo-policy.yaml", folder / "promotion.yaml")
    team = Team(folder=folder, database=postgres.create_database(), bucket="demo", ceph=ceph)
    team.prepared()
    (clone / ".venv").symlink_to(Path(sys.prefix))
    us = {
        "MLFLOW_TRACKING_URI": team.url,
        "MLFLOW_TRACKING_USERNAME": "admin",
        "MLFLOW_TRACKING_PASSWORD": PASSWORD,
    }
    serving = team.start("up", "--team")
    try:
        wait_for(lambda: answers(f"{team.url}/health"), within_s=180)
        shown = run(clone, "bash", "docs/demo.sh", **us).stdout
        for name, value in us.items():
            monkeypatch.setenv(name, value)
        production = MlflowClient(team.url, team.url).get_model_version_by_alias("digits", "production")
    finally:
        serving.terminate()
        serving.communicate(timeout=60)
    assert '{"predictions":[' in shown
    assert (production.tags["slipway.estimator"], production.tags["slipway.by"]) == ("svm", "admin")
    assert not list(clone.rglob("*.db"))
    stored = [each["Key"] for each in ceph.client().list_objects_v2(Bucket="demo")["Contents"]]
    assert any(key.startswith("models/") and key.endswith("/MLmodel") for key in stored)
