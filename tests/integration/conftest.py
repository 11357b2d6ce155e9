"""What tests with real components share: prepared registries on each database."""

from pathlib import Path

import pytest

from registry.manifest import manifest_of
from tests.ceph import CephServer
from tests.deciding import Copies
from tests.stored_in_s3 import Stored, store, write_large_model


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Return prepared registries on each database."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    made = Copies(folder=tmp_path_factory.mktemp(request.param), postgres=server)
    made.prepare()
    return made


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give every test an environment and a folder that it may leave as it likes."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "SLIPWAY_REGISTRY__HISTORY_URI"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def original(ceph: CephServer, tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """Return a model in the object store, for other buckets to be filled from."""
    folder = tmp_path_factory.mktemp("original")
    write_large_model(folder)
    stored = Stored(ceph, tmp_path_factory.mktemp("downloads"), manifest_of(folder))
    store(folder, stored)
    return stored


@pytest.fixture
def stored(s3: CephServer, tmp_path: Path, original: Stored) -> Stored:
    """Return a stored model that the test may harm."""
    stored, client = Stored(s3, tmp_path, original.manifest), s3.client()
    for file in original.manifest.files:
        client.copy_object(**stored.key(file.path), CopySource=original.key(file.path))
    return stored
