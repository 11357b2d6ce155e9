"""Model files from a real object store: whole, once for all processes, and never others than were registered."""

import os
from pathlib import Path

import pytest

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.artifacts.s3_artifacts import look
from slipway.registry.errors import Corrupt, InvalidInput, NotFound
from slipway.registry.gate.check_server import CONTEXT, warm_up
from slipway.registry.manifest import Manifest, manifest_of
from tests.servers.cutting_proxy import CuttingProxy
from tests.servers.stored_in_s3 import LARGE_BYTES, Stored, gets, settle


def test_what_is_stored_comes_back(stored: Stored):
    """Byte for byte, large files and empty ones, whatever their names, and with or without a manifest."""
    stored.download()
    assert stored.is_whole()
    stored.look().download(stored.into)
    assert stored.is_whole()


def test_a_second_download_fetches_nothing(proxy: CuttingProxy, stored: Stored):
    """It asks what is stored, and finds it done."""
    cache = ArtifactCache(stored.into / "cache", max_bytes=1 << 30)
    settle()
    for _ in range(2):
        found = stored.look()
        manifest, _ = cache.adopt(found.download, source=found.fingerprint, size_bytes=found.size_bytes)
        assert manifest == stored.manifest
    assert len(gets(proxy)) == 3 + 6


def test_where_nothing_is_stored_that_is_said(stored: Stored):
    """The bucket is there, the model is not."""
    with pytest.raises(NotFound, match=r"nothing is stored at s3://.*/nowhere any more"):
        look(f"s3://{stored.bucket}/nowhere")


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
        stored.look().download(stored.into)
    assert not list(stored.into.parent.glob("evil"))


def obtain(root: Path, uri: str, manifest: Manifest, variables: dict[str, str]) -> None:
    """Obtain a model in a process of its own, which has the variables of the first that was ever forked so."""
    os.environ.update(variables)
    found = ArtifactCache(root, max_bytes=1 << 30).obtain(manifest, lambda into: look(uri).download(into))
    assert manifest_of(found) == manifest


def test_when_ten_processes_ask_at_once_the_store_sends_it_once(stored: Stored, tmp_path: Path):
    """Counted by the store itself."""
    warm_up()
    before = stored.server.bytes_sent()
    words = (tmp_path / "cache", stored.uri, stored.manifest, stored.server.environment)
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
        cache.obtain(stored.manifest, stored.fetch)
    assert not [path for path in (stored.into / "cache").iterdir() if path.is_dir()]


def test_a_missing_file_is_named(proxy: CuttingProxy, stored: Stored):
    """Before anything is fetched."""
    stored.server.client().delete_object(**stored.key("data/empty"))
    with pytest.raises(Corrupt, match="missing: data/empty"):
        stored.download()
    assert not gets(proxy)


def test_a_file_too_many_is_named(proxy: CuttingProxy, stored: Stored):
    """Somebody put it there, and a model may read whatever lies beside it; MLflow's own note is no such file."""
    client = stored.server.client()
    client.put_object(**stored.key("registered_model_meta"), Body=b"MLflow's")
    stored.download()
    client.put_object(**stored.key("code/evil.py"), Body=b"evil")
    before = len(gets(proxy))
    with pytest.raises(Corrupt, match=r"extra: code/evil\.py"):
        stored.download()
    assert len(gets(proxy)) == before
