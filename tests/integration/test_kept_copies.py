"""A server's own copies, in a folder: whole or not there, and never of other files than were asked for."""

from pathlib import Path

import pytest
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR

from slipway.registry.errors import Corrupt, Unavailable
from slipway.registry.manifest import manifest_of
from slipway.registry.server.mlflow_kept_copies import KeptCopies

COPY = "mlflow-artifacts:/1/models/m-1/slipway-kept/ab"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which a server keeps artifacts."""
    monkeypatch.setenv(ARTIFACTS_DESTINATION_ENV_VAR, f"slipway+{(tmp_path / 'store').as_uri()}")
    return tmp_path / "store"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Return a version's files."""
    (tmp_path / "files" / "code").mkdir(parents=True)
    (tmp_path / "files" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "files" / "code" / "x.py").write_text("1")
    return tmp_path / "files"


def as_stored(place: str) -> Path:
    """Return the folder that a server finds at a place."""
    return Path(place.removeprefix("file://"))


def test_a_copy_is_there_when_it_is_whole(store: Path, files: Path):
    """Another worker finds it as well."""
    assert not KeptCopies().has(COPY)
    made = KeptCopies()
    made.make(COPY, manifest_of(files).digest, files, as_stored)
    assert made.has(COPY)
    assert KeptCopies().has(COPY)
    assert manifest_of(store / "1/models/m-1/slipway-kept/ab") == manifest_of(files)


def test_one_that_broke_off_is_written_over(store: Path, files: Path):
    """Half of it is no copy, nor is one with half a file."""
    half = store / "1/models/m-1/slipway-kept/ab"
    half.mkdir(parents=True)
    (half / "MLmodel").write_text("fla")
    copies = KeptCopies()
    assert not copies.has(COPY)
    copies.make(COPY, manifest_of(files).digest, files, as_stored)
    assert manifest_of(half) == manifest_of(files)


def test_other_files_than_were_chosen_are_not_copied(store: Path, files: Path):
    """They were changed since they were compared."""
    chosen = manifest_of(files).digest
    (files / "MLmodel").write_text("changed")
    with pytest.raises(Corrupt) as refused:
        KeptCopies().make(COPY, chosen, files, as_stored)
    assert refused.value.code == "artifacts-changed"
    assert not KeptCopies().has(COPY)
    assert not store.exists()


def test_what_is_read_back_otherwise_is_no_copy(store: Path, files: Path, tmp_path: Path):
    """A store that loses or changes something is told, before anything rests on it."""
    lost = tmp_path / "lost"
    lost.mkdir()
    with pytest.raises(Unavailable) as refused:
        KeptCopies().make(COPY, manifest_of(files).digest, files, lambda place: lost)
    assert refused.value.code == "copy-not-whole"
    assert not KeptCopies().has(COPY)


def test_a_server_that_passes_nothing_on_says_so(files: Path, monkeypatch: pytest.MonkeyPatch):
    """With the option that it lacks."""
    monkeypatch.delenv(ARTIFACTS_DESTINATION_ENV_VAR, raising=False)
    with pytest.raises(Unavailable, match="does not") as refused:
        KeptCopies().has(COPY)
    assert refused.value.hint == "start it with --serve-artifacts"
