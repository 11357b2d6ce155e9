"""MLflow's models in a real object store: where they are, that they come once, and that a change is noticed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from random import Random

import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

from slipway.command_line import run
from slipway.registry.artifacts.mlflow_location import location_of
from slipway.registry.decisions.wiring import open_ledger
from slipway.registry.errors import Corrupt, NotFound, Unavailable
from slipway.registry.manifest import manifest_of
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.version import VersionRef
from slipway.registry.versions.mlflow_registry import MlflowRegistry
from slipway.training.mlflow_version import loaded_version
from tests.servers.ceph import CephServer
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.processes import answers, free_port, process, wait_for
from tests.servers.stored_in_s3 import LARGE_BYTES, on_get, settle


class Team:
    """A registry whose artifacts are in S3, with one registered version."""

    def __init__(self, folder: Path, location: str) -> None:
        self.folder = folder
        self.client = MlflowClient()
        experiment = self.client.create_experiment("team", artifact_location=location)
        with mlflow.start_run(experiment_id=experiment) as run:
            fitted = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
            self.model = mlflow.sklearn.log_model(
                fitted, name="model", registered_model_name="m", pip_requirements=["scikit-learn"]
            )
            mlflow.log_text("ids", "holdout/ids.txt")
        self.run_id = run.info.run_id
        self.client.set_registered_model_alias("m", "production", "1")
        self.location = location_of(f"models:/{self.model.model_id}", self.client)

    @property
    def registry(self) -> ModelRegistry:
        """Return the registry, as a command opens it."""
        return open_ledger(os.environ, self.folder).registry

    def uris(self) -> tuple[str, ...]:
        """Return the ways to name the model."""
        return (
            f"models:/{self.model.model_id}",
            "models:/m/1",
            "models:/m@production",
            f"runs:/{self.run_id}/model",
            self.location,
        )


@pytest.fixture
def team(store: Path, proxy: CuttingProxy, s3: CephServer) -> Team:
    """Return a registry with its artifacts in S3."""
    return Team(store, f"s3://{s3.create_bucket()}/artifacts")


def gets(proxy: CuttingProxy) -> int:
    """Return how many objects were asked for."""
    return sum(line.startswith("GET") and "list-type" not in line for line in proxy.requests)


def key_of(team: Team, path: str) -> dict[str, str]:
    """Return what names a file of the model to boto3."""
    bucket, _, prefix = team.location.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": f"{prefix}/{path}"}


def test_however_a_model_is_named_it_comes_once(team: Team, proxy: CuttingProxy):
    """Every command is a process of its own, and finds the folder that another one left."""
    settle()
    before = gets(proxy)
    folders = {team.registry.stored_files(uri) for uri in team.uris()}
    (folder,) = folders
    assert folder.parent == team.folder / ".slipway" / "cache" / "files"
    assert gets(proxy) - before == len(manifest_of(folder).files)


def test_mlflow_loads_what_was_fetched(team: Team):
    """It is the model's folder, whole."""
    folder = team.registry.stored_files("models:/m/1")
    assert list(mlflow.sklearn.load_model(str(folder)).predict([[1.0]])) == [1]


def test_a_run_s_files_come_from_there_too(team: Team):
    """The held-out rows, for one; a path without files has none."""
    registry = team.registry
    assert (registry.run_files(team.run_id, "holdout") / "ids.txt").read_text() == "ids"
    assert registry.run_files(team.run_id, "nowhere") is None


def test_an_overwritten_file_is_noticed_though_the_version_is_cached(team: Team, s3: CephServer):
    """What is compared with the ledger's manifest is what is stored now, of the same size or not."""
    before = manifest_of(team.registry.stored_files("models:/m/1"))
    stored = s3.client().get_object(**key_of(team, "MLmodel"))["Body"].read()
    s3.client().put_object(**key_of(team, "MLmodel"), Body=stored[::-1])
    assert manifest_of(team.registry.stored_files("models:/m/1")) != before


def test_a_deleted_model_is_said_to_be_gone(team: Team, s3: CephServer):
    """Though it is still in the cache: the gate asks whether it is stored."""
    registry = team.registry
    for file in manifest_of(registry.stored_files("models:/m/1")).files:
        s3.client().delete_object(**key_of(team, file.path))
    with pytest.raises(NotFound, match="nothing is stored at") as caught:
        registry.stored_files("models:/m/1")
    assert caught.value.code == "artifacts-gone"


def test_files_on_this_disk_stay_where_they_are(store: Path):
    """Nothing is copied."""
    team = Team(store, f"{store}/mlruns/team")
    assert team.registry.stored_files("models:/m/1") == Path(team.location.removeprefix("file://"))
    assert not (store / ".slipway").exists()


def test_without_a_cache_mlflow_downloads(team: Team):
    """As it did before there was one."""
    folder = MlflowRegistry().stored_files("models:/m/1")
    assert not folder.is_relative_to(team.folder)


def test_a_model_is_compared_with_the_history_before_it_is_loaded(team: Team, s3: CephServer):
    """To evaluate it, for one: bytes of somebody else's would be run otherwise."""
    ledger = open_ledger(os.environ, team.folder)
    version = ledger.registry.version(VersionRef(model="m", number=1))
    assert run(["register", "m/1", "--reason", "trained elsewhere"]) == 0
    with loaded_version(version, ledger) as loaded:
        assert list(loaded.model.predict([[1.0]])) == [1]
    stored = s3.client().get_object(**key_of(team, "model.skops"))["Body"].read()
    s3.client().put_object(**key_of(team, "model.skops"), Body=stored[::-1])
    with (
        pytest.raises(Corrupt, match=r"m/1 is not stored as it was registered: changed: model\.skops"),
        loaded_version(version, ledger),
    ):
        pass


def test_a_large_file_is_stored_in_parts(team: Team, s3: CephServer):
    """MLflow has boto3 send them in parallel, and none is left over."""
    (team.folder / "large").write_bytes(Random(0).randbytes(LARGE_BYTES))
    MlflowClient().log_artifact(team.run_id, str(team.folder / "large"))
    bucket, _, prefix = MlflowClient().get_run(team.run_id).info.artifact_uri.removeprefix("s3://").partition("/")
    assert s3.client().head_object(Bucket=bucket, Key=f"{prefix}/large")["ETag"].endswith('-5"')
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)


@pytest.fixture
def training(team: Team, monkeypatch: pytest.MonkeyPatch) -> Team:
    """Return a team in whose experiment this process trains."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "team")
    return team


TRAIN = ["train", "--data", "sklearn:iris", "--target", "target", "--model", "iris"]


@pytest.mark.slow
def test_training_stores_there_and_what_it_stored_is_gated(training: Team, proxy: CuttingProxy):
    """Through the commands; nothing of it lies on this disk but what is cached."""
    assert run(TRAIN) == 0
    assert run(["gate", "iris/1", "--to", "staging"]) == 0
    settle()
    assert run(["evaluate", "iris/1", "--data", "sklearn:iris", "--target", "target"]) == 0
    before = gets(proxy)
    assert run(["evaluate", "iris/1", "--data", "sklearn:iris", "--target", "target"]) == 0
    assert gets(proxy) == before, "it was in the cache"


@pytest.mark.slow
@pytest.mark.parametrize("what", ["models", "holdout"])
def test_training_says_when_the_store_refuses(
    training: Team, s3: CephServer, proxy: CuttingProxy, capsys: pytest.CaptureFixture[str], what: str
):
    """With what to do, and leaves no version: of the model, or of what lies beside it."""

    def refuse(line: str) -> None:
        if line.startswith("PUT") and what in line:
            proxy.refuse(1, status="403 Forbidden", body=b"<Error><Code>AccessDenied</Code></Error>")

    proxy.on_request = refuse
    assert run([*TRAIN, "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["kind"], error["code"]) == ("Unavailable", "s3-credentials-refused")
    assert "AWS_ACCESS_KEY_ID" in error["hint"]
    assert not MlflowClient().search_model_versions("name = 'iris'")


@pytest.fixture
def server(store: Path, s3: CephServer, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return a tracking server that has its artifacts in S3, behind the proxy."""
    port = free_port()
    uri, log = f"http://127.0.0.1:{port}", store / "server.log"
    words = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{store}/mlflow.db", "--workers", "1"]
    words += ["--artifacts-destination", f"s3://{s3.create_bucket()}/artifacts", "--port", str(port)]
    with process(*words, folder=store, log=log, **{**s3.environment, "MLFLOW_S3_ENDPOINT_URL": proxy.endpoint}):
        wait_for(lambda: answers(f"{uri}/health"), within_s=90, log=log)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.setenv("SLIPWAY_REGISTRY__HISTORY_URI", f"sqlite:///{store}/history.db")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MLFLOW_S3_ENDPOINT_URL"):
            monkeypatch.delenv(name)
        yield uri


@pytest.mark.slow
def test_files_behind_a_tracking_server_come_through_it(server: str, store: Path):
    """Into the cache too, where the same bytes are kept once; this process has no access to S3."""
    team = Team(store, "mlflow-artifacts:/team")
    (folder,) = {team.registry.stored_files(uri) for uri in ("models:/m/1", f"models:/{team.model.model_id}")}
    assert folder.parent == store / ".slipway" / "cache" / "files"
    assert "MLmodel" in [file.path for file in manifest_of(folder).files]


@pytest.mark.slow
def test_a_tracking_server_whose_store_stops_gives_no_half_model(
    server: str, store: Path, s3: CephServer, proxy: CuttingProxy, monkeypatch: pytest.MonkeyPatch
):
    """Some files had come through the server, and the next look finds all of them."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
    team = Team(store, "mlflow-artifacts:/team")
    on_get(proxy, 1, s3.kill_gateway, of="MLmodel")
    with pytest.raises(Unavailable) as caught:
        team.registry.stored_files("models:/m/1")
    s3.start_gateway()
    assert "MLFLOW_TRACKING_URI" in str(caught.value.hint)
    assert not [path for path in (store / ".slipway" / "cache" / "files").iterdir() if path.is_dir()]
    assert (team.registry.stored_files("models:/m/1") / "model.skops").is_file()
