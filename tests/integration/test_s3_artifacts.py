"""Model files to and from a real object store, whatever happens to it meanwhile: whole, or an error that says why."""

import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from registry.artifact_cache import ArtifactCache
from registry.check_runner import CONTEXT, warm_up
from registry.errors import Corrupt, InvalidInput, NotFound, Unavailable
from registry.manifest import Manifest, manifest_of
from registry.s3_artifacts import download_folder, look, upload_folder
from registry.s3_attempts import Patience
from registry.s3_client import connect
from tests.ceph import CephServer
from tests.cutting_proxy import CuttingProxy

MB = 1 << 20
LARGE_BYTES = 40 * MB
HASTY = Patience(connect_s=1, read_s=1, stalled_s=1, total_s=60)


class Stored:
    """A model in a bucket of its own, the manifest that it was stored with, and where it is downloaded to."""

    def __init__(self, server: CephServer, folder: Path, manifest: Manifest) -> None:
        self.server = server
        self.manifest = manifest
        self.bucket = server.create_bucket()
        self.uri = f"s3://{self.bucket}/1/models/m-1/artifacts"
        self.into = folder / "into"
        self.into.mkdir()

    def key(self, path: str) -> dict[str, str]:
        """Return what names an object to boto3."""
        return {"Bucket": self.bucket, "Key": f"1/models/m-1/artifacts/{path}"}

    def download(self, patience: Patience = HASTY) -> None:
        """Download by the manifest, as this process's variables say."""
        download_folder(self.uri, self.into, self.manifest, connect(os.environ, patience))

    def require_whole(self) -> None:
        """Everything that was stored is there, and nothing else."""
        assert manifest_of(self.into) == self.manifest


@pytest.fixture(scope="module")
def original(ceph: CephServer, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Return a model that was uploaded, for other buckets to be filled from."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "data").mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights").write_bytes(Random(0).randbytes(LARGE_BYTES))
    for number in range(5):
        (folder / "data" / f"part {number} ü+&.txt").write_text(str(number))
    (folder / "data" / "empty").touch()
    stored = Stored(ceph, tmp_path_factory.mktemp("downloads"), manifest_of(folder))
    with pytest.MonkeyPatch.context() as here:
        for name, value in ceph.environment.items():
            here.setenv(name, value)
        upload_folder(folder, stored.uri)
    return stored


@pytest.fixture
def stored(s3: CephServer, tmp_path: Path, original: Stored) -> Stored:
    """Return a stored model that the test may harm."""
    stored, client = Stored(s3, tmp_path, original.manifest), s3.client()
    for file in original.manifest.files:
        client.copy_object(**stored.key(file.path), CopySource=original.key(file.path))
    return stored


def on_get(proxy: CuttingProxy, number: int, act: Callable[[], object], *, of: str = "weights") -> None:
    """Do something once, before the n-th request for a file's bytes reaches the server."""
    numbers = itertools.count(1)

    def look_at(line: str) -> None:
        if line.startswith("GET") and of in line and next(numbers) == number:
            act()

    proxy.on_request = look_at


def gets(proxy: CuttingProxy) -> list[str]:
    """Return the requests for files' bytes that were made."""
    return [line for line in proxy.requests if line.startswith("GET") and "list-type" not in line]


def test_what_is_stored_comes_back(stored: Stored):
    """Byte for byte, large files and empty ones, whatever their names, and with or without a manifest."""
    stored.download()
    stored.require_whole()
    download_folder(stored.uri, stored.into, None)
    stored.require_whole()


def test_large_files_are_stored_in_parts(original: Stored):
    """And no part is left over."""
    client = original.server.client()
    assert client.head_object(**original.key("data/weights"))["ETag"].endswith('-3"')
    assert "Uploads" not in client.list_multipart_uploads(Bucket=original.bucket)


def test_a_second_download_fetches_nothing(proxy: CuttingProxy, stored: Stored):
    """It asks what is stored, and finds it done."""
    cache = ArtifactCache(stored.into / "cache", max_bytes=1 << 30)
    for _ in range(2):
        found = look(stored.uri)
        manifest, _ = cache.adopt(found.download, source=found.fingerprint, size_bytes=found.size_bytes)
        assert manifest == stored.manifest
    assert len(gets(proxy)) == 3 + 6


def test_an_upload_that_fails_leaves_no_part_and_no_loadable_model(proxy: CuttingProxy, s3: CephServer, tmp_path: Path):
    """The parts would be paid for, and never be seen."""
    (tmp_path / "MLmodel").write_text("flavors: {}")
    (tmp_path / "weights").write_bytes(bytes(LARGE_BYTES))
    bucket = s3.create_bucket()

    def deny(line: str) -> None:
        if "partNumber=2" in line:
            proxy.refuse(1, status="403 Forbidden", body=b"<Error><Code>AccessDenied</Code></Error>")

    proxy.on_request = deny
    with pytest.raises(Unavailable, match="AccessDenied"):
        upload_folder(tmp_path, f"s3://{bucket}/m")
    assert "Uploads" not in s3.client().list_multipart_uploads(Bucket=bucket)
    assert "Contents" not in s3.client().list_objects_v2(Bucket=bucket)


def test_an_upload_outlasts_a_store_that_restarts(proxy: CuttingProxy, s3: CephServer, tmp_path: Path):
    """Each part is sent until it is there."""
    (tmp_path / "weights").write_bytes(Random(1).randbytes(LARGE_BYTES))
    bucket, into = s3.create_bucket(), tmp_path / "into"

    def restart(line: str) -> None:
        if "partNumber=2" in line:
            proxy.on_request = lambda _: None
            s3.kill_gateway()
            s3.start_gateway()

    proxy.on_request = restart
    upload_folder(tmp_path, f"s3://{bucket}/m")
    into.mkdir()
    download_folder(f"s3://{bucket}/m", into, None)
    assert (into / "weights").read_bytes() == (tmp_path / "weights").read_bytes()


def test_a_download_goes_on_when_the_store_is_back(proxy: CuttingProxy, stored: Stored):
    """The store was killed in the middle; what had come is not fetched again, and nobody takes it for whole."""
    on_get(proxy, 3, stored.server.kill_gateway)
    proxy.cut_after(10 * MB, times=3)
    with pytest.raises(Unavailable, match="downloading s3://") as caught:
        stored.download()
    assert caught.value.code == "s3-unavailable"
    assert "MLFLOW_S3_ENDPOINT_URL" in str(caught.value.hint)
    assert manifest_of(stored.into) != stored.manifest
    stored.server.start_gateway()
    before = len(gets(proxy))
    stored.download()
    stored.require_whole()
    assert len(gets(proxy)) - before < 3 + 6


def test_a_download_outlasts_a_store_that_restarts(proxy: CuttingProxy, stored: Stored):
    """Whoever asked does not notice."""

    def restart() -> None:
        stored.server.kill_gateway()
        stored.server.start_gateway()

    on_get(proxy, 2, restart)
    stored.download(Patience())
    stored.require_whole()


def test_broken_connections_cost_only_what_was_lost(proxy: CuttingProxy, stored: Stored):
    """A range goes on from the byte that it had reached."""
    proxy.cut_after(5 * MB, times=6)
    stored.download()
    stored.require_whole()
    assert proxy.bytes_back < LARGE_BYTES + 2 * MB


@pytest.fixture
def frozen(stored: Stored) -> Iterator[CephServer]:
    """Return the server, to be frozen, and thaw it afterwards."""
    yield stored.server
    stored.server.thaw_gateway()


def test_a_store_that_says_nothing_makes_nobody_hang(proxy: CuttingProxy, stored: Stored, frozen: CephServer):
    """Its connections stay open, and no byte comes."""
    on_get(proxy, 2, frozen.freeze_gateway)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="downloading s3://") as caught:
        stored.download()
    assert caught.value.code == "s3-unavailable"
    assert time.monotonic() - started < 15
    frozen.thaw_gateway()
    stored.download()
    stored.require_whole()


def test_bytes_that_trickle_end_in_time(proxy: CuttingProxy, stored: Stored):
    """There is always one more byte, and never the model."""
    on_get(proxy, 1, lambda: setattr(proxy, "trickles", True))
    with pytest.raises(Unavailable, match="was not done within 2 s"):
        stored.download(Patience(total_s=2))


def test_throttling_is_waited_out(proxy: CuttingProxy, stored: Stored):
    """The store asks to slow down, and that is done."""
    on_get(proxy, 1, lambda: proxy.refuse(10))
    stored.download(Patience())
    stored.require_whole()


def test_throttling_without_end_is_said(proxy: CuttingProxy, stored: Stored):
    """After nothing has come for as long as patience lasts."""
    on_get(proxy, 1, lambda: proxy.refuse(10_000))
    with pytest.raises(Unavailable, match="SlowDown") as caught:
        stored.download()
    assert caught.value.code == "s3-throttled"


def test_a_file_of_another_size_is_not_even_fetched(proxy: CuttingProxy, stored: Stored):
    """A half-written object is told by its size."""
    stored.server.client().put_object(**stored.key("data/weights"), Body=b"half")
    with pytest.raises(Corrupt, match=r"changed: data/weights \(4 bytes, not 41,943,040\)"):
        stored.download()
    assert not gets(proxy)


def test_other_bytes_of_the_same_size_are_never_published(stored: Stored):
    """The cache reads what came."""
    stored.server.client().put_object(**stored.key("MLmodel"), Body=b"flavors: []")
    cache = ArtifactCache(stored.into / "cache", max_bytes=1 << 30)
    with pytest.raises(Corrupt, match="changed: MLmodel"):
        cache.obtain(stored.manifest, lambda into: download_folder(stored.uri, into, stored.manifest))
    assert not [path for path in (stored.into / "cache").iterdir() if path.is_dir()]


def test_a_file_that_is_overwritten_meanwhile_is_noticed(proxy: CuttingProxy, stored: Stored):
    """No mixture of two files is ever taken for one."""
    other = Random(1).randbytes(LARGE_BYTES)
    on_get(proxy, 2, lambda: stored.server.client().put_object(**stored.key("data/weights"), Body=other))
    with pytest.raises(Corrupt, match="PreconditionFailed") as caught:
        stored.download()
    assert caught.value.code == "artifacts-changed"


def test_a_missing_file_is_named(proxy: CuttingProxy, stored: Stored):
    """Before anything is fetched."""
    stored.server.client().delete_object(**stored.key("data/empty"))
    with pytest.raises(Corrupt, match="missing: data/empty"):
        stored.download()
    assert not gets(proxy)


def test_a_file_that_is_deleted_meanwhile_is_said(proxy: CuttingProxy, stored: Stored):
    """It was listed, and is gone."""
    on_get(proxy, 1, lambda: stored.server.client().delete_object(**stored.key("data/weights")))
    with pytest.raises(NotFound, match="NoSuchKey"):
        stored.download()


def test_where_nothing_is_stored_that_is_said(stored: Stored):
    """The bucket is there, the model is not."""
    with pytest.raises(NotFound, match=r"nothing is stored at s3://.*/nowhere any more"):
        download_folder(f"s3://{stored.bucket}/nowhere", stored.into, None)


def test_a_bucket_that_vanishes_is_no_missing_file(proxy: CuttingProxy, stored: Stored):
    """It says nothing about the model: the candidate must not fail for it."""
    client = stored.server.client()

    def vanish() -> None:
        for found in client.list_objects_v2(Bucket=stored.bucket)["Contents"]:
            client.delete_object(Bucket=stored.bucket, Key=found["Key"])
        client.delete_bucket(Bucket=stored.bucket)

    vanish()
    with pytest.raises(Unavailable, match="NoSuchBucket") as caught:
        stored.download()
    assert caught.value.code == "s3-no-bucket"


def test_nobody_who_listens_is_said(stored: Stored, monkeypatch: pytest.MonkeyPatch):
    """With the address that was tried."""
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1") as caught:
        stored.download()
    assert caught.value.code == "s3-unavailable"


def wrong_key(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a key that nobody has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")


def wrong_secret(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a secret that does not belong to the key."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")


def stranger(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use keys of somebody who may not read here."""
    access_key, secret = server.create_user()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)


def no_keys(server: CephServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no keys at all."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")


@pytest.mark.parametrize(
    ("lose", "code"),
    [
        (wrong_key, "s3-credentials-refused"),
        (wrong_secret, "s3-credentials-refused"),
        (stranger, "s3-credentials-refused"),
        (no_keys, "s3-no-credentials"),
    ],
)
def test_wrong_credentials_are_no_fault_of_the_model(
    stored: Stored, monkeypatch: pytest.MonkeyPatch, lose: Callable[..., None], code: str
):
    """They are said at once, with the variables to look at."""
    lose(stored.server, monkeypatch)
    with pytest.raises(Unavailable) as caught:
        stored.download()
    assert caught.value.code == code
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


def test_credentials_that_end_meanwhile_are_said(proxy: CuttingProxy, stored: Stored, monkeypatch: pytest.MonkeyPatch):
    """A key was taken away in the middle of a download; with another one it goes on."""
    access_key, secret = stored.server.create_user()
    allowed = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam:::user/{access_key}"},
        "Action": ["s3:ListBucket", "s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{stored.bucket}", f"arn:aws:s3:::{stored.bucket}/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    stored.server.client().put_bucket_policy(Bucket=stored.bucket, Policy=policy)
    on_get(proxy, 2, lambda: stored.server.delete_key(access_key))
    with monkeypatch.context() as theirs:
        theirs.setenv("AWS_ACCESS_KEY_ID", access_key)
        theirs.setenv("AWS_SECRET_ACCESS_KEY", secret)
        with pytest.raises(Unavailable, match="InvalidAccessKeyId"):
            stored.download()
    stored.download()
    stored.require_whole()


def test_expired_credentials_are_to_be_renewed(proxy: CuttingProxy, stored: Stored):
    """The store says so, and trying again would not help."""
    proxy.refuse(1, status="400 Bad Request", body=b"<Error><Code>ExpiredToken</Code></Error>")
    with pytest.raises(Unavailable, match="ExpiredToken") as caught:
        stored.download()
    assert caught.value.code == "s3-credentials-expired"
    assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("../evil", "is no path of a file"),
        ("a//b", "is no path of a file"),
        ("MLmodel/below", "both as a file and as a folder"),
    ],
)
def test_keys_that_are_no_paths_are_refused(stored: Stored, key: str, said: str):
    """Nothing is ever written beside the folder."""
    stored.server.client().put_object(**stored.key(key), Body=b"evil")
    with pytest.raises(Corrupt, match=said):
        download_folder(stored.uri, stored.into, None)
    assert not list(stored.into.parent.glob("evil"))


def obtain(root: Path, uri: str, manifest: Manifest) -> None:
    """Obtain a model in a process of its own, as an engine's worker does."""
    cache = ArtifactCache(root, max_bytes=1 << 30)
    found = cache.obtain(manifest, lambda into: download_folder(uri, into, manifest))
    assert manifest_of(found) == manifest


def test_when_ten_processes_ask_at_once_the_store_sends_it_once(stored: Stored, tmp_path: Path):
    """Counted by the store itself."""
    warm_up()
    before = stored.server.bytes_sent()
    words = (tmp_path / "cache", stored.uri, stored.manifest)
    processes = [CONTEXT.Process(target=obtain, args=words) for _ in range(10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 10
    assert stored.server.bytes_sent() - before < 1.01 * LARGE_BYTES


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_S3_ENDPOINT_URL", "no address"),
        ("MLFLOW_S3_UPLOAD_EXTRA_ARGS", "no JSON"),
        ("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "sideways"),
        ("AWS_PROFILE", "nobody"),
    ],
)
def test_settings_that_cannot_be_are_said(stored: Stored, monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    """As wrong input, with what to look at."""
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput) as caught:
        stored.download()
    assert caught.value.code == "s3-settings"
    assert caught.value.hint
