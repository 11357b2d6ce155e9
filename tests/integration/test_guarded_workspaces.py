"""A guarded server with workspaces, its artifacts in a bucket: what is in a stage stays, whichever workspace asks."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest

from tests.servers.ceph import CephServer
from tests.servers.guarded import Answer, GuardedServer, Made, put, serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("workspaces")]
TEAM = {"X-MLFLOW-WORKSPACE": "team"}


@pytest.fixture(scope="module")
def shared(
    database: Callable[[Path], str], ceph: CephServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedServer]:
    """Return a server with a workspace beside the default one, as that asks it."""
    folder, bucket = tmp_path_factory.mktemp("workspaces"), f"w-{secrets.token_hex(4)}"
    ceph.client().create_bucket(Bucket=bucket)
    keys = ceph.environment
    at = f"s3://{bucket}/mlflow"
    with serve(folder, database(folder), "--enable-workspaces", artifacts=at, **keys) as running:
        made = running.ask("POST", "api/3.0/mlflow/workspaces", {"name": "team"})
        assert made.status in (200, 201), made
        yield replace(running, headers=TEAM)


@pytest.fixture(scope="module")
def held(shared: GuardedServer) -> Made:
    """Return a version in production of the team's workspace."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_WORKSPACE", "team")
        made = shared.make("m", shared.client().create_experiment("of the team"))
    return shared.in_stage(made, "production")


def refused(answer: Answer) -> bool:
    """Return whether the guard refused, with the command to use."""
    return answer.status == 403 and "m/1 is in production" in answer.text and "slipway demote m/1" in answer.text


def test_in_its_own_workspace_it_is_protected_as_in_the_default_one(shared: GuardedServer, held: Made):
    """Alias, version, run, logged model and bytes."""
    api = "api/2.0/mlflow"
    moved = {"name": "m", "alias": "production", "version": "1"}
    assert shared.ask("POST", f"{api}/registered-models/alias", moved).status == 403
    assert refused(shared.ask("DELETE", f"{api}/model-versions/delete", {"name": "m", "version": "1"}))
    assert refused(shared.ask("POST", f"{api}/runs/delete", {"run_id": held.run_id}))
    assert refused(shared.ask("DELETE", f"{api}/logged-models/{held.model_id}"))
    assert refused(shared.ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{held.files}/MLmodel", b"other"))
    assert refused(shared.ask("DELETE", f"api/2.0/mlflow-artifacts/artifacts/{held.files}"))


def test_another_workspace_does_not_reach_it_by_its_path(shared: GuardedServer, held: Made):
    """Neither to write nor to delete."""
    default = replace(shared, headers={})
    path = f"api/2.0/mlflow-artifacts/artifacts/workspaces/team/{held.files}"
    for answer in (default.ask("PUT", f"{path}/MLmodel", b"other"), default.ask("DELETE", path)):
        assert answer.status in (400, 403), answer
    stored = shared.ask("GET", f"api/2.0/mlflow-artifacts/artifacts/{held.files}/MLmodel")
    assert (stored.status, stored.text) == (200, "flavors: {}")


def test_what_it_serves_is_its_own_copy(
    shared: GuardedServer, held: Made, ceph: CephServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """By the alias, for whoever is in the workspace; whatever comes late to where it was logged."""
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", shared.url)
    buckets = [each["Name"] for each in ceph.client().list_buckets()["Buckets"] if each["Name"].startswith("w-")]
    found = [
        (bucket, each["Key"])
        for bucket in buckets
        for each in ceph.client().list_objects_v2(Bucket=bucket).get("Contents", [])
        if each["Key"].endswith(f"{held.files}/MLmodel")
    ]
    ((bucket, key),) = found
    ceph.client().put_object(Bucket=bucket, Key=key, Body=b"late")
    folder = Path(mlflow.artifacts.download_artifacts("models:/m@production", dst_path=str(tmp_path)))
    assert (folder / "MLmodel").read_text() == "flavors: {}"
    ceph.client().put_object(Bucket=bucket, Key=key, Body=b"flavors: {}")


def test_the_workspace_is_not_deleted_under_it(shared: GuardedServer, held: Made):
    """Whatever is to become of what is in it."""
    for mode in ("RESTRICT", "SET_DEFAULT", "CASCADE"):
        assert refused(replace(shared, headers={}).ask("DELETE", f"api/3.0/mlflow/workspaces/team?mode={mode}")), mode


@pytest.mark.parametrize("step", ["create", "complete"])
def test_no_upload_in_parts_goes_past_the_server(shared: GuardedServer, held: Made, step: str):
    """Of anybody's files: what is in no stage now may be in one before the addresses expire."""
    body = {"path": "MLmodel", "upload_id": "u", "num_parts": 1, "parts": [{"part_number": 1, "etag": "e"}]}
    for files in (held.files, f"{held.experiment_id}/models/m-other/artifacts"):
        answer = shared.ask("POST", f"api/2.0/mlflow-artifacts/mpu/{step}/{files}", body)
        assert (answer.status, "upload through the server" in answer.text) == (501, True), answer


def test_no_address_to_upload_to_is_given(shared: GuardedServer, held: Made, monkeypatch: pytest.MonkeyPatch):
    """It would let a client write into the bucket by itself, for as long as it asked for; whoever's run it is."""
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    run = shared.client().create_run(held.experiment_id).info.run_id
    for whose in ({"model_id": held.model_id}, {"run_id": run}):
        asked = {**whose, "path": "MLmodel", "expiration": 604800}
        answer = shared.ask("POST", "api/2.0/mlflow/artifacts/presigned-upload-url", asked)
        assert (answer.status, "upload through the server" in answer.text) == (501, True), answer


def test_mlflows_client_uploads_large_files_through_the_server(
    shared: GuardedServer, held: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """It asks for addresses, is told that there are none, and sends the file in one piece."""
    monkeypatch.setenv("MLFLOW_WORKSPACE", "team")
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(2**20))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 * 2**20))
    content = secrets.token_bytes(12 * 2**20)
    (tmp_path / "large.bin").write_bytes(content)
    client = shared.client()
    run = client.create_run(held.experiment_id).info.run_id
    client.log_artifact(run, str(tmp_path / "large.bin"))
    assert Path(client.download_artifacts(run, "large.bin", str(tmp_path))).read_bytes() == content


def test_what_is_in_no_stage_is_written_and_deleted(shared: GuardedServer, held: Made):
    """Beside it in the same bucket."""
    put(shared, f"{held.experiment_id}/models/m-other/artifacts/MLmodel", b"mine")
    gone = shared.ask("DELETE", f"api/2.0/mlflow-artifacts/artifacts/{held.experiment_id}/models/m-other/artifacts")
    assert gone.status == 200, gone


def test_each_workspace_sees_its_own_history(shared: GuardedServer, held: Made):
    """A model of the same name elsewhere is another."""
    default = replace(shared, headers={})
    assert shared.ask("GET", "slipway/models/m/history").document["events"]
    assert default.ask("GET", "slipway/models/m/history").status == 404
    assert default.ask("GET", "slipway/status").document == {"stages": [], "problems": []}
