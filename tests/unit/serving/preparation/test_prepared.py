"""The index of what was prepared: found again by a new engine, and not when a byte was changed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.registry.errors import Corrupt
from slipway.registry.manifest import manifest_of
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.target import Sighting, Target

TARGET = Target("cancer", "production")


def index(root: Path, *, registry: str = "sqlite:///mlflow.db", accelerate: bool = True) -> PreparedVersions:
    """Return the index, as an engine opens it."""
    return PreparedVersions(root, registry=registry, accelerate=accelerate)


def prepare(root: Path, identity: str = "default/17", said: str = "{}") -> Prepared:
    """Prepare a version and note it."""
    folder = root / "files"
    folder.mkdir(exist_ok=True)
    (folder / "MLmodel").write_text("flavors: {}")
    digest = manifest_of(folder).digest
    place, runner_digest = index(root).make(digest, lambda draft: (draft / "runner.json").write_text(said))
    prepared = Prepared(
        identity=identity,
        number=3,
        digest=digest,
        folder=str(folder),
        runner=str(place),
        runner_digest=runner_digest,
    )
    index(root).keep(prepared)
    return prepared


def test_what_was_prepared_is_found_by_the_next_engine(tmp_path: Path):
    """For this registry, this version and these libraries, and for no other."""
    prepared = prepare(tmp_path)
    seen = Sighting(identity="default/17", number=3)
    assert index(tmp_path).find(seen) == prepared
    assert index(tmp_path).find(replace(seen, manifest=prepared.digest)) == prepared
    assert index(tmp_path).find(replace(seen, manifest="sha256:recorded-later")) is None, "it had other files then"
    assert index(tmp_path).find(replace(seen, number=4)) is None
    assert index(tmp_path).find(replace(seen, identity="default/18")) is None
    assert index(tmp_path, registry="sqlite:///other.db").find(seen) is None
    assert index(tmp_path, accelerate=False).find(seen) is None


def test_whoever_prepares_the_same_files_again_takes_nothing_from_others(tmp_path: Path):
    """Another model's version of them has a runner of its own, that says how long it took; the same one lies once."""
    first = prepare(tmp_path, said='{"row_s": 1}')
    second = prepare(tmp_path, "default/18", said='{"row_s": 2}')
    assert (first.digest, first.runner == second.runner) == (second.digest, False)
    for each in (first, second, prepare(tmp_path, "default/19", said='{"row_s": 2}')):
        assert index(tmp_path).find(each.sighting) == each
    assert len(list((tmp_path / "runners").iterdir())) == 2


def test_what_another_engine_evicts_meanwhile_is_prepared_anew(tmp_path: Path):
    """A file that cannot be read stands for one that goes while it is read."""
    prepared = prepare(tmp_path)
    (Path(prepared.folder) / "gone").symlink_to("/proc/self/mem")
    with pytest.raises(Corrupt, match="is not as it was when it was prepared"):
        index(tmp_path).find(prepared.sighting)


@pytest.mark.parametrize("left", ["", "{", "[]", "\x00"])
def test_what_a_crash_left_in_pieces_is_not_there(tmp_path: Path, left: str):
    """An engine that reads it prepares anew, and does not end."""
    prepared = prepare(tmp_path)
    index(tmp_path).remember(TARGET, prepared.sighting, is_recorded=False)
    for path in (tmp_path / "index").rglob("*.json"):
        path.write_text(left)
    assert index(tmp_path).find(prepared.sighting) is None
    assert index(tmp_path).remembered(TARGET) is None
    assert index(tmp_path).targets("production") == ()
    assert index(tmp_path).was_recorded(TARGET)


@pytest.mark.parametrize("what", ["folder", "runner"])
def test_a_changed_byte_is_seen_and_the_version_is_prepared_anew(tmp_path: Path, what: str):
    """In the model's files as well as in the runner's."""
    prepared = prepare(tmp_path)
    next(Path(getattr(prepared, what)).iterdir()).write_text("{ }")
    with pytest.raises(Corrupt, match="is not as it was when it was prepared"):
        index(tmp_path).find(prepared.sighting)
    assert index(tmp_path).find(prepared.sighting) is None
    assert index(tmp_path).find(prepare(tmp_path).sighting) is not None


def test_runners_that_nobody_looked_for_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Those that were, stay."""
    monkeypatch.setattr("slipway.serving.preparation.prepared.MOST_RUNNERS", 2)
    used = prepare(tmp_path)
    os.utime(used.runner, (1, 1))
    for number in range(3):
        place, _ = index(tmp_path).make(f"sha256:{number}", lambda draft: (draft / "runner.json").write_text("{}"))
        os.utime(place, (10 + number, 10 + number))
        assert index(tmp_path).find(used.sighting) == used
    assert len(list((tmp_path / "runners").iterdir())) == 2


def test_what_is_in_place_is_remembered_per_target(tmp_path: Path):
    """So that an engine starts while the registry is away."""
    assert index(tmp_path).remembered(TARGET) is None
    for number in (3, 4):
        index(tmp_path).remember(TARGET, Sighting(identity="default/17", number=number))
    index(tmp_path).remember(Target("iris", "staging"), Sighting(identity="default/9", number=1))
    assert index(tmp_path).remembered(TARGET) == Sighting(identity="default/17", number=4)
    assert index(tmp_path).targets("production") == (TARGET,)


def fail_half_way(root: Path) -> None:
    """Make half a runner."""

    def write(draft: Path) -> None:
        (draft / "half").write_text("")
        raise ZeroDivisionError

    index(root).make("sha256:1", write)


def test_a_runner_that_could_not_be_made_leaves_nothing(tmp_path: Path):
    """Whatever went wrong half-way."""
    with pytest.raises(ZeroDivisionError):
        fail_half_way(tmp_path)
    assert list((tmp_path / "runners").iterdir()) == []


def test_what_cannot_be_noted_leaves_no_note_of_what_was_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An engine that starts later would begin with a version that was replaced, and maybe ruled out since."""
    index(tmp_path).remember(TARGET, Sighting(identity="default/17", number=1))

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("slipway.serving.preparation.prepared.os.replace", no_room)
    with pytest.raises(OSError, match="No space left"):
        index(tmp_path).remember(TARGET, Sighting(identity="default/17", number=2))
    assert index(tmp_path).remembered(TARGET) is None
