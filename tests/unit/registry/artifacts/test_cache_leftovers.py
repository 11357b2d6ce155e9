"""What may go of the cache of stored files: nothing that somebody needs, holds, fetches or has just used."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.artifacts.cache_entry import CacheEntry
from slipway.registry.artifacts.cache_leftovers import BROKEN, CACHED, REMOVED, cached_leftovers
from slipway.registry.artifacts.file_locks import held_alone
from slipway.registry.leftover import Leftover

HOUR_S = 3600.0


@pytest.fixture
def cached(tmp_path: Path) -> Callable[[str], Path]:
    """Return how to put a model's files into a cache, as they are a week later."""
    cache = ArtifactCache(tmp_path / "cache", max_bytes=1 << 30)

    def put(content: str) -> Path:
        folder = cache.adopt(lambda into: (into / "MLmodel").write_text(content), source=content)[1]
        age(tmp_path / "cache" / f"{folder.name}.lock")
        return folder

    return put


def age(path: Path, days: float = 7) -> None:
    """Make a file as old as if it had been left for some days."""
    then = time.time() - days * 24 * HOUR_S
    os.utime(path, (then, then))


def left(root: Path, *needed: Path) -> dict[Path, Leftover]:
    """Return what may go, by its place."""
    return {each.place: each for each in cached_leftovers(root / "cache", needed=needed, spare_s=HOUR_S)}


def everything(root: Path) -> dict[Path, int]:
    """Return all files with their times of change."""
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_what_nobody_needs_may_go_and_is_only_shown(tmp_path: Path, cached: Callable[[str], Path]):
    """To look changes nothing; to remove frees the bytes, leaves what is needed, and is done once."""
    old, needed = cached("old" * 1000), cached("needed")
    before = everything(tmp_path)
    found = left(tmp_path, needed)
    assert everything(tmp_path) == before
    assert [(place, each.kind, each.size_bytes) for place, each in found.items()] == [(old, CACHED, 3000)]
    assert [each.remove() for each in found.values()] == [True]
    assert not old.exists()
    assert (needed / "MLmodel").read_text() == "needed"
    assert left(tmp_path, needed) == {}


def test_what_was_removed_is_fetched_again(tmp_path: Path, cached: Callable[[str], Path]):
    """Whoever asks for it next."""
    old = cached("old")
    assert all(each.remove() for each in left(tmp_path).values())
    assert cached("old") == old
    assert (old / "MLmodel").read_text() == "old"


def test_what_is_held_or_fetched_or_was_just_used_stays(tmp_path: Path, cached: Callable[[str], Path]):
    """Also where that began after it was found."""
    cache = ArtifactCache(tmp_path / "cache", max_bytes=1 << 30)
    held, fetched, used = cached("held"), cached("fetched"), cached("used")
    entry = CacheEntry(tmp_path / "cache", fetched.name)
    (old,) = [each for each in left(tmp_path).values() if each.place == used]
    with cache.hold(held), held_alone(entry.lock, wait_s=0):
        age(CacheEntry(tmp_path / "cache", held.name).lock)
        assert set(left(tmp_path)) == {used}
    CacheEntry(tmp_path / "cache", used.name).touch()
    assert set(left(tmp_path)) == {fetched}
    assert not old.remove()
    assert used.exists()


def test_a_download_that_may_be_resumed_stays_for_a_day(tmp_path: Path):
    """One that broke off before goes, and what a process was removing when it died."""
    root = tmp_path / "cache"
    for name in ("today.partial", "before.partial", "trash-1"):
        (root / name).mkdir(parents=True)
        (root / name / "model").write_text("half")
    (root / "today.lock").touch()
    (root / "before.lock").touch()
    age(root / "before.lock")
    found = left(tmp_path)
    assert {place.name: each.kind for place, each in found.items()} == {"before.partial": BROKEN, "trash-1": REMOVED}
    assert all(each.remove() for each in found.values())
    assert sorted(path.name for path in root.iterdir()) == ["today.lock", "today.partial"]


def test_a_cache_that_is_not_there_is_not_made(tmp_path: Path):
    """To ask what may go leaves nothing."""
    assert left(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []
