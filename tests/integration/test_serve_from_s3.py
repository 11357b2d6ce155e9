"""An engine whose models lie in S3: what it serves comes through the cache, whole, once, and in the face of outages."""

import json
import os
import re
from pathlib import Path
from random import Random

import mlflow
import pytest
from mlflow import MlflowClient

from slipway.command_line import run
from tests.servers.ceph import CephServer
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.processes import wait_for
from tests.servers.served import serving
from tests.servers.stored_in_s3 import LARGE_BYTES, gets, on_get

pytestmark = pytest.mark.slow
BODY = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}).encode()
WEIGHTS = "weights.bin"


def large_model() -> mlflow.pyfunc.PythonModel:
    """Return a model that answers with the size of its weights, stored with its class."""

    class Large(mlflow.pyfunc.PythonModel):
        def load_context(self, context):
            self.size_bytes = os.path.getsize(context.artifacts["weights"])

        def predict(self, context, model_input, params=None):
            return [self.size_bytes] * len(model_input)

    return Large()


class Team:
    """A registry whose models are in S3, and an engine's variables: its keys are in a file, as with `aws sso`."""

    def __init__(self, folder: Path, server: CephServer, proxy: CuttingProxy) -> None:
        self.folder = folder
        self.server = server
        self.bucket = server.create_bucket()
        self.experiment = MlflowClient().create_experiment("team", artifact_location=f"s3://{self.bucket}/team")
        self._keys = folder / "credentials"
        self.environment = {
            **server.environment,
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "MLFLOW_S3_ENDPOINT_URL": proxy.endpoint,
            "AWS_SHARED_CREDENTIALS_FILE": str(self._keys),
        }
        self.use_keys(server.access_key, server.secret_key)

    def use_keys(self, access_key: str, secret_key: str) -> None:
        """Let the engine have other keys."""
        self._keys.write_text(f"[default]\naws_access_key_id={access_key}\naws_secret_access_key={secret_key}\n")

    def register(self, size_bytes: int) -> None:
        """Log a model of some size as the next version, and have the history record its files."""
        (self.folder / WEIGHTS).write_bytes(Random(size_bytes).randbytes(size_bytes))
        with mlflow.start_run(experiment_id=self.experiment):
            logged = mlflow.pyfunc.log_model(
                name="model",
                python_model=large_model(),
                artifacts={"weights": str(self.folder / WEIGHTS)},
                registered_model_name="large",
                pip_requirements=["mlflow"],
            )
        assert run(["register", f"large/{logged.registered_model_version}", "--reason", "trained elsewhere"]) == 0

    def point(self, number: int) -> None:
        """Move the alias."""
        MlflowClient().set_registered_model_alias("large", "production", str(number))

    def key_of_weights(self, number: int) -> dict[str, str]:
        """Return what names a version's weights to boto3."""
        source = MlflowClient().get_model_version_download_uri("large", str(number))
        prefix = source.removeprefix(f"s3://{self.bucket}/")
        return {"Bucket": self.bucket, "Key": f"{prefix}/artifacts/{WEIGHTS}"}


@pytest.fixture
def team(store: Path, s3: CephServer, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> Team:
    """Return a registry with a small version in production, and the same with large weights beside it.

    They were registered on another machine, so to speak: what was cached there the engine does not find.
    """
    monkeypatch.setenv("SLIPWAY_REGISTRY__CACHE", str(store / "elsewhere"))
    team = Team(store, s3, proxy)
    team.register(10)
    team.register(LARGE_BYTES)
    team.point(1)
    return team


def test_a_version_comes_whole_though_the_store_restarts_meanwhile(team: Team, proxy: CuttingProxy):
    """In ranges, each once, while the version before answers; a start without the store serves from the cache."""
    with serving(team.folder, "large@production", **team.environment) as served:
        assert served.ask("/invocations", BODY)[1] == {"predictions": [10]}
        before = len([line for line in gets(proxy) if WEIGHTS in line])

        def restart() -> None:
            team.server.kill_gateway()
            assert served.ask("/invocations", BODY)[1] == {"predictions": [10]}
            team.server.start_gateway()

        on_get(proxy, 2, restart, of=WEIGHTS)
        team.point(2)
        served.wait_for_version(2, "large")
        assert served.ask("/invocations", BODY)[1] == {"predictions": [LARGE_BYTES]}
        assert len([line for line in gets(proxy) if WEIGHTS in line]) - before >= 3
    nowhere = {**team.environment, "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:1"}
    with serving(team.folder, "large@production", name="again", **nowhere) as served:
        assert served.ask("/invocations", BODY)[1] == {"predictions": [LARGE_BYTES]}


def test_keys_that_end_are_renewed_without_a_restart(team: Team, proxy: CuttingProxy):
    """The version before goes on, the engine says what to do, and what had come is not fetched again."""
    access_key, secret_key = team.server.create_user()
    team.server.allow(access_key, team.bucket, "s3:ListBucket", "s3:GetObject")
    with serving(team.folder, "large@production", **team.environment) as served:
        team.use_keys(access_key, secret_key)
        on_get(proxy, 3, lambda: team.server.delete_key(access_key), of=WEIGHTS)
        team.point(2)
        wait_for(lambda: served.model("large")["problem"], within_s=120, log=served.log)
        problem = served.model("large")["problem"]
        assert "the store answered AccessDenied" in problem
        assert "check AWS_ACCESS_KEY_ID" in problem
        assert problem.endswith("; 1 goes on")
        assert served.ask("/invocations", BODY)[1] == {"predictions": [10]}
        sent = team.server.bytes_sent()
        team.use_keys(team.server.access_key, team.server.secret_key)
        served.wait_for_version(2, "large")
        assert served.ask("/invocations", BODY)[1] == {"predictions": [LARGE_BYTES]}
        assert team.server.bytes_sent() - sent < LARGE_BYTES / 2


def test_other_bytes_than_were_registered_are_never_served(team: Team):
    """Though they have the same size, and would be loaded without a word."""
    team.server.client().put_object(**team.key_of_weights(2), Body=bytes(LARGE_BYTES))
    with serving(team.folder, "large@production", **team.environment) as served:
        team.point(2)
        wait_for(lambda: served.model("large")["problem"], within_s=120, log=served.log)
        assert re.search(r"changed: artifacts/weights.bin.*1 goes on", served.model("large")["problem"])
        assert served.model("large")["version"] == 1
