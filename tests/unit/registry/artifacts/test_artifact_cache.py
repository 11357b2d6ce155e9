"""The artifact cache: whole files or none, fetched once, within its bound."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.errors import Corrupt, NotFound, Unavailable
from slipway.registry.manifest import Manifest, manifest_of

ROOMY = 1 << 30
MB = 1 << 20


class Source:
    """Files to fetch; `calls` counts how often that was done, `found` lists what was in the folder before."""

    def __init__(self, folder: Path, **files: str | bytes) -> None:
        self.files = {
            name.replace("_", "/"): text if isinstance(text, bytes) else text.encode() for name, text in files.items()
        }
        self.calls = 0
        self.found: list[list[str]] = []
        self.fetch(folder)
        self.manifest = manifest_of(folder)
        self.calls = 0

    def fetch(self, into: Path) -> None:
        """Write the files."""
        self.calls += 1
        self.found.append(sorted(path.name for path in into.glob("*")))
        for name, content in self.files.items():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            (into / name).write_bytes(content)


@pytest.fixture
def source(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Source]:
    """Return how to make a source."""
    return lambda **files: Source(tmp_path_factory.mktemp("source"), **files)


def cache_in(folder: Path, *, max_bytes: int = ROOMY, spare_s: float = 0.0) -> ArtifactCache:
    """Return a cache."""
    return ArtifactCache(folder / "cache", max_bytes=max_bytes, spare_s=spare_s, wait_s=5)


def entries(folder: Path) -> list[str]:
    """Return the names of the folders in the cache."""
    return sorted(path.name for path in (folder / "cache").iterdir() if path.is_dir())


def test_a_manifests_files_are_fetched_once(tmp_path: Path, source: Callable[..., Source]):
    """Another process, with a cache object of its own, finds them."""
    model = source(MLmodel="m", data_model="bytes")
    first = cache_in(tmp_path).obtain(model.manifest, model.fetch)
    again = cache_in(tmp_path).obtain(model.manifest, model.fetch)
    assert first == again
    assert manifest_of(first) == model.manifest
    assert model.calls == 1


def test_what_is_not_in_the_manifest_is_never_published(tmp_path: Path, source: Callable[..., Source]):
    """Each difference is named, and nothing is left of it."""
    wanted, other = source(MLmodel="m", a="1", b="2"), source(MLmodel="n", b="2", c="3")
    with pytest.raises(Corrupt, match=r"missing: a; changed: MLmodel; extra: c"):
        cache_in(tmp_path).obtain(wanted.manifest, other.fetch)
    assert entries(tmp_path) == []


@pytest.mark.parametrize("harm", ["overwrite", "truncate", "remove"])
def test_a_cached_file_that_was_harmed_is_fetched_again(tmp_path: Path, source: Callable[..., Source], harm: str):
    """Also when its size and its time are what they were."""
    model = source(MLmodel="m", data="whole")
    folder = cache_in(tmp_path).obtain(model.manifest, model.fetch)
    before = (folder / "data").stat()
    match harm:
        case "overwrite":
            (folder / "data").write_text("WHOLE")
            os.utime(folder / "data", ns=(before.st_atime_ns, before.st_mtime_ns))
        case "truncate":
            os.truncate(folder / "data", 2)
        case "remove":
            (folder / "data").unlink()
    assert manifest_of(cache_in(tmp_path).obtain(model.manifest, model.fetch)) == model.manifest
    assert model.calls == 2


def test_a_file_that_was_only_touched_is_read_and_kept(tmp_path: Path, source: Callable[..., Source]):
    """A backup that sets times makes nobody download a model."""
    model = source(MLmodel="m")
    folder = cache_in(tmp_path).obtain(model.manifest, model.fetch)
    os.utime(folder / "MLmodel")
    cache_in(tmp_path).obtain(model.manifest, model.fetch)
    assert model.calls == 1


def test_bytecode_that_python_left_is_no_part_of_a_model(tmp_path: Path, source: Callable[..., Source]):
    """A model's own code is compiled beside it when it is imported."""
    model = source(MLmodel="m", code_own="x = 1")
    folder = cache_in(tmp_path).obtain(model.manifest, model.fetch)
    (folder / "code" / "__pycache__").mkdir()
    (folder / "code" / "__pycache__" / "own.pyc").write_bytes(b"\0")
    assert manifest_of(cache_in(tmp_path).obtain(model.manifest, model.fetch)) == model.manifest
    assert model.calls == 1


def test_after_a_boot_the_bytes_are_read_again(tmp_path: Path, source: Callable[..., Source]):
    """A power cut may have kept the names and lost the bytes."""
    model = source(MLmodel="m", data="whole")
    folder = cache_in(tmp_path).obtain(model.manifest, model.fetch)
    (seal,) = (tmp_path / "cache").glob("*.seal")
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    sealed = seal.read_text()
    (folder / "data").write_text("zeros")
    now = (folder / "data").stat()
    assert boot in sealed
    seal.write_text(forged(sealed, now).replace(boot, "an earlier boot"))
    cache_in(tmp_path).obtain(model.manifest, model.fetch)
    assert model.calls == 2


def forged(sealed: str, state: os.stat_result) -> str:
    """Return the seal that would hold for the file as it is now."""
    document = json.loads(sealed)
    boot = document["states"]["data"][-1]
    document["states"]["data"] = [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, boot]
    return json.dumps(document)


def test_a_broken_fetch_goes_on_where_it_was(tmp_path: Path, source: Callable[..., Source]):
    """What it left is there for the next one, and nobody else sees it."""
    model = source(MLmodel="m", data="whole")

    def breaks(into: Path) -> None:
        (into / "MLmodel").write_text("m")
        raise Unavailable("the store is down", code="s3-unreachable", hint=None)

    with pytest.raises(Unavailable, match="the store is down"):
        cache_in(tmp_path).obtain(model.manifest, breaks)
    assert manifest_of(cache_in(tmp_path).obtain(model.manifest, model.fetch)) == model.manifest
    assert model.found[-1] == ["MLmodel"]


def test_what_a_broken_fetch_left_wrong_is_fetched_anew(tmp_path: Path, source: Callable[..., Source]):
    """Bytes that a crash of the machine lost are no reason to call the store corrupt."""
    model = source(MLmodel="m")

    def breaks(into: Path) -> None:
        (into / "extra").write_text("?")
        raise Unavailable("down", code="s3-unreachable", hint=None)

    with pytest.raises(Unavailable):
        cache_in(tmp_path).obtain(model.manifest, breaks)
    cache_in(tmp_path).obtain(model.manifest, model.fetch)
    assert model.found[-2:] == [["extra"], []]


def test_the_folder_used_longest_ago_gives_way(tmp_path: Path, source: Callable[..., Source]):
    """The bound holds after every fetch, and what was just fetched stays."""
    models = {name: source(MLmodel=name, data=os.urandom(MB)) for name in "abc"}
    cache = cache_in(tmp_path, max_bytes=5 * MB // 2)
    folders = {name: cache.obtain(models[name].manifest, models[name].fetch) for name in "ab"}
    cache.obtain(models["a"].manifest, models["a"].fetch)
    folders["c"] = cache.obtain(models["c"].manifest, models["c"].fetch)
    assert entries(tmp_path) == sorted([folders["a"].name, folders["c"].name])
    assert models["a"].calls == 1


def test_a_folder_that_somebody_holds_stays(tmp_path: Path, source: Callable[..., Source]):
    """However long ago it was fetched; the cache grows over its bound instead."""
    models = {name: source(MLmodel=name, data=os.urandom(MB)) for name in "abc"}
    cache = cache_in(tmp_path, max_bytes=3 * MB // 2)
    held = cache.obtain(models["a"].manifest, models["a"].fetch)
    with cache_in(tmp_path).hold(held):
        for name in "bc":
            last = cache.obtain(models[name].manifest, models[name].fetch)
        assert entries(tmp_path) == sorted([held.name, last.name])
    cache.obtain(models["b"].manifest, models["b"].fetch)
    assert held.name not in entries(tmp_path)


def test_what_was_used_just_now_stays_until_it_is_held(tmp_path: Path, source: Callable[..., Source]):
    """Between `obtain` and `hold` another process may need room."""
    models = {name: source(MLmodel=name, data=os.urandom(MB)) for name in "ab"}
    cache = cache_in(tmp_path, max_bytes=MB, spare_s=60)
    folders = [cache.obtain(models[name].manifest, models[name].fetch) for name in "ab"]
    assert entries(tmp_path) == sorted(folder.name for folder in folders)


def test_holding_what_gave_way_is_said(tmp_path: Path, source: Callable[..., Source]):
    """Whoever only remembers a path obtains it again."""
    a, b = source(MLmodel="a", data=os.urandom(MB)), source(MLmodel="b", data=os.urandom(MB))
    cache = cache_in(tmp_path, max_bytes=MB)
    gone = cache.obtain(a.manifest, a.fetch)
    cache.obtain(b.manifest, b.fetch)
    with pytest.raises(NotFound, match="not in the cache any more"), cache.hold(gone):
        pass


def test_verify_reads_every_byte(tmp_path: Path, source: Callable[..., Source]):
    """What it finds wrong is fetched again by the next `obtain`."""
    model = source(MLmodel="m", data="whole")
    cache = cache_in(tmp_path)
    folder = cache.obtain(model.manifest, model.fetch)
    assert cache.verify(folder) == model.manifest
    (folder / "data").write_text("WHOLE")
    with pytest.raises(Corrupt, match="changed: data"):
        cache.verify(folder)
    assert cache.verify(cache.obtain(model.manifest, model.fetch)) == model.manifest


def test_the_same_source_is_adopted_once(tmp_path: Path, source: Callable[..., Source]):
    """Its manifest is made of what came, and is found by the source's name."""
    model = source(MLmodel="m", data="whole")
    first = cache_in(tmp_path).adopt(model.fetch, source="s3://b/m at 1")
    again = cache_in(tmp_path).adopt(model.fetch, source="s3://b/m at 1")
    assert first == again == (model.manifest, first[1])
    assert model.calls == 1
    cache_in(tmp_path).adopt(model.fetch, source="s3://b/m at 2")
    assert model.calls == 2
    assert entries(tmp_path) == [first[1].name]


def test_without_a_source_everything_is_adopted_anew(tmp_path: Path, source: Callable[..., Source]):
    """And kept once: the same bytes are the same folder. Nothing else is left of it."""
    model = source(MLmodel="m")
    folders = [cache_in(tmp_path).adopt(model.fetch)[1] for _ in range(2)]
    assert model.calls == 2
    assert entries(tmp_path) == [folders[0].name] == [folders[1].name]
    assert not list((tmp_path / "cache").glob("once-*"))


def test_an_adopted_source_that_gave_way_is_adopted_again(tmp_path: Path, source: Callable[..., Source]):
    """Its name leads nowhere any more."""
    a, b = source(MLmodel="a", data=os.urandom(MB)), source(MLmodel="b", data=os.urandom(MB))
    cache = cache_in(tmp_path, max_bytes=MB)
    for _ in range(2):
        assert cache.adopt(a.fetch, source="a")[0] == a.manifest
        cache.adopt(b.fetch, source="b")
    assert (a.calls, b.calls) == (2, 2)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_what_was_fetched_makes_room(
    tmp_path: Path, source: Callable[..., Source], number: int
):
    """The next one finds the disk as it was."""
    model = source(MLmodel="m")

    def fills(into: Path) -> None:
        model.fetch(into)
        raise OSError(number, os.strerror(number))

    with pytest.raises(Unavailable, match="the disk of the artifact cache is full") as caught:
        cache_in(tmp_path).obtain(model.manifest, fills)
    assert (caught.value.code, "SLIPWAY_REGISTRY__CACHE" in str(caught.value.hint)) == ("disk-full", True)
    assert entries(tmp_path) == []


def test_a_model_larger_than_the_disk_is_not_begun(tmp_path: Path, source: Callable[..., Source]):
    """The room is checked before anything is fetched."""
    model = source(MLmodel="m")
    (file,) = model.manifest.files
    huge = Manifest(files=(type(file)(path=file.path, size_bytes=1 << 60, sha256=file.sha256),))
    with pytest.raises(Unavailable, match=r"1,152,921,504,607 MB are needed"):
        cache_in(tmp_path).obtain(huge, model.fetch)
    assert model.calls == 0


def test_a_cache_that_cannot_be_made_is_said(tmp_path: Path, source: Callable[..., Source]):
    """With the setting that puts it elsewhere."""
    (tmp_path / "cache").write_text("a file")
    model = source(MLmodel="m")
    with pytest.raises(Unavailable, match="cannot be made") as caught:
        cache_in(tmp_path).obtain(model.manifest, model.fetch)
    assert "SLIPWAY_REGISTRY__CACHE" in str(caught.value.hint)
