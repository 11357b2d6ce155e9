"""A server's own copies, in a folder: whole or not there, and never of other files than were asked for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR

from slipway.registry.errors import Corrupt, NotFound, Unavailable
from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.manifest import manifest_of
from slipway.registry.server.guard.sql_copies import SqlCopies
from slipway.registry.server.mlflow_kept_copies import KeptCopies, passed_on

LOGGED = "mlflow-artifacts:/1/models/m-1/artifacts"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which a server keeps artifacts."""
    monkeypatch.setenv(ARTIFACTS_DESTINATION_ENV_VAR, f"slipway+{(tmp_path / 'store').as_uri()}")
    return tmp_path / "store"


@pytest.fixture
def logged(store: Path) -> Path:
    """Return a version's files, as they were logged."""
    folder = store / "1/models/m-1/artifacts"
    (folder / "code").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "code" / "x.py").write_text("1")
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def copies(request: pytest.FixtureRequest, tmp_path: Path) -> KeptCopies:
    """Return a server's copies, noted in either database."""
    sqlite = f"sqlite:///{tmp_path}/ledger.db"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres").create_database()
    open_history(url, beside_mlflow=False)
    return KeptCopies(SqlCopies(url))


def stored(location: str) -> Path:
    """Return the folder that a server finds at a location."""
    folder = Path(passed_on(location).removeprefix("file://"))
    if not folder.is_dir():
        raise NotFound("nothing is stored there", code="artifacts-gone", hint=None)
    return folder


def test_a_copy_is_found_when_it_is_whole(copies: KeptCopies, logged: Path):
    """Of that very content at that very place; kept once, it stays where it is."""
    digest = manifest_of(logged).digest
    assert copies.find(LOGGED, digest) is None
    copies.keep(LOGGED, digest, "m/1", stored)
    found = copies.find(LOGGED, digest)
    assert found is not None
    assert manifest_of(stored(found)) == manifest_of(logged)
    (logged / "MLmodel").write_text("late")
    copies.keep(LOGGED, digest, "m/1", stored)
    assert copies.find(LOGGED, digest) == found
    assert copies.find(LOGGED, "sha256:other") is copies.find(f"{LOGGED}-2", digest) is None


@pytest.mark.parametrize("harm", ["changed", "extra", "gone"])
def test_a_copy_that_was_harmed_is_made_anew(copies: KeptCopies, logged: Path, harm: str):
    """By whoever has keys to the store, or a rule of it that removes what is old: elsewhere, from what was logged."""
    digest = manifest_of(logged).digest
    copies.keep(LOGGED, digest, "m/1", stored)
    before = copies.find(LOGGED, digest) or ""
    there = stored(before)
    match harm:
        case "changed":
            (there / "MLmodel").write_text("changed")
        case "extra":
            (there / "extra.py").write_text("1")
        case "gone":
            there.rename(there.parent / "elsewhere")
    copies.keep(LOGGED, digest, "m/1", stored)
    found = copies.find(LOGGED, digest) or ""
    assert found != before
    assert manifest_of(stored(found)).digest == digest


def test_a_store_that_is_moved_takes_its_copies_along(
    copies: KeptCopies, store: Path, logged: Path, monkeypatch: pytest.MonkeyPatch
):
    """With all that is in it, to another disk or bucket: what was written over in the meantime is not served."""
    digest = manifest_of(logged).digest
    copies.keep(LOGGED, digest, "m/1", stored)
    (logged / "MLmodel").write_text("late")
    moved = store.rename(store.parent / "bigger-disk")
    monkeypatch.setenv(ARTIFACTS_DESTINATION_ENV_VAR, moved.as_uri())
    assert manifest_of(stored(copies.find(LOGGED, digest) or "")).digest == digest


def test_two_that_are_made_at_once_are_both_whole(copies: KeptCopies, logged: Path):
    """Of a logged model that is two models' version: neither writes where the other does, and one is found."""
    digest, start = manifest_of(logged).digest, threading.Barrier(4)

    def keep(number: int) -> None:
        start.wait()
        copies.keep(LOGGED, digest, f"m-{number}/1", stored)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(keep, range(4)))
    made = list((logged.parent / "slipway-kept").iterdir())
    assert {manifest_of(each).digest for each in made} == {digest}
    assert stored(copies.find(LOGGED, digest) or "") in made


def test_what_lies_there_and_was_not_made_here_is_no_copy(copies: KeptCopies, logged: Path):
    """It may have been stored before the server kept any copies, by anybody."""
    digest = manifest_of(logged).digest
    planted = logged.parent / "slipway-kept" / digest.removeprefix("sha256:")
    planted.mkdir(parents=True)
    (planted / "MLmodel").write_text("planted")
    planted.with_suffix(".json").write_text("{}")
    assert copies.find(LOGGED, digest) is None
    copies.keep(LOGGED, digest, "m/1", stored)
    assert manifest_of(stored(copies.find(LOGGED, digest) or "")).digest == digest


def test_other_files_than_were_chosen_are_not_copied(copies: KeptCopies, logged: Path):
    """They were changed since they were compared."""
    chosen = manifest_of(logged).digest
    (logged / "MLmodel").write_text("changed")
    with pytest.raises(Corrupt, match="m/1 is not stored as it was registered"):
        copies.keep(LOGGED, chosen, "m/1", stored)
    assert copies.find(LOGGED, chosen) is None
    assert not (logged.parent / "slipway-kept").exists()


def test_what_is_read_back_otherwise_is_no_copy(copies: KeptCopies, logged: Path, tmp_path: Path):
    """A store that loses or changes something is told, before anything rests on it."""
    chosen = manifest_of(logged).digest
    (tmp_path / "lost").mkdir()
    with pytest.raises(Unavailable) as refused:
        copies.keep(LOGGED, chosen, "m/1", lambda at: stored(at) if at == LOGGED else tmp_path / "lost")
    assert refused.value.code == "copy-not-whole"
    assert copies.find(LOGGED, chosen) is None


def test_there_is_no_copy_of_what_the_server_does_not_keep(
    copies: KeptCopies, store: Path, logged: Path, monkeypatch: pytest.MonkeyPatch
):
    """A place beside, that its team trusts; and nothing where the server passes nothing on."""
    digest = manifest_of(logged).digest
    copies.keep("s3://team/models/m-1", digest, "m/1", stored)
    assert copies.find("s3://team/models/m-1", digest) is None
    monkeypatch.delenv(ARTIFACTS_DESTINATION_ENV_VAR)
    copies.keep(LOGGED, digest, "m/1", stored)
    assert copies.find(LOGGED, digest) is None
    with pytest.raises(Unavailable, match="does not") as refused:
        passed_on(LOGGED)
    assert refused.value.hint == "start it with --serve-artifacts"
