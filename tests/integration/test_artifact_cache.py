"""The artifact cache between processes: one fetch, no half folder, whoever dies when."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random

import pytest

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.errors import NotFound, Unavailable
from slipway.registry.gate.check_server import CONTEXT, warm_up
from slipway.registry.manifest import Manifest, manifest_of
from tests.servers.processes import wait_for

ROOMY = 1 << 30
KB = 1 << 10


def write_model(folder: Path, name: str, *, size: int = 64 * KB) -> None:
    """Write the files of a model that is told by its name."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(name)
    (folder / "data" / "weights").write_bytes(Random(name).randbytes(size))


def manifest_named(name: str, folder: Path) -> Manifest:
    """Return the manifest of a model."""
    write_model(folder / name, name)
    return manifest_of(folder / name)


def cache_in(folder: Path, max_bytes: int = ROOMY, spare_s: float = 60.0) -> ArtifactCache:
    """Return the cache that all processes share."""
    return ArtifactCache(folder / "cache", max_bytes=max_bytes, spare_s=spare_s, wait_s=60)


def obtain(folder: Path, manifest: Manifest, number: int, *, stop: bool = False) -> None:
    """Obtain a model in a process of its own; write down each fetch, and what was found; stop in its middle if told."""

    def fetch(into: Path) -> None:
        with (folder / "fetches").open("a") as log:
            log.write(f"{number} found {len(list(into.iterdir()))}\n")
        (into / "MLmodel").write_text("half")
        if stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        write_model(into, "model")

    found = cache_in(folder).obtain(manifest, fetch)
    assert manifest_of(found) == manifest


def adopt_and_stop(folder: Path) -> None:
    """Adopt what no source names, and stop in the middle."""

    def fetch(into: Path) -> None:
        (into / "MLmodel").write_text("half")
        os.kill(os.getpid(), signal.SIGSTOP)

    cache_in(folder).adopt(fetch)


def work(folder: Path, manifests: dict[str, Manifest], seed: int) -> None:
    """Obtain models at random and read what is held, in a cache that has no room for all of them."""
    rng = Random(seed)
    cache = cache_in(folder, max_bytes=160 * KB, spare_s=0)
    for _ in range(60):
        name = rng.choice(list(manifests))
        found = cache.obtain(manifests[name], lambda into, name=name: write_model(into, name))
        try:
            with cache.hold(found):
                assert manifest_of(found) == manifests[name]
        except NotFound:
            continue


def start(function: Callable[..., None], *words: object, **named: object) -> ForkServerProcess:
    """Start a function in a process of its own."""
    warm_up()
    process = CONTEXT.Process(target=function, args=words, kwargs=named)
    process.start()
    return process


def wait_until_stopped(process: ForkServerProcess) -> None:
    """Wait until a process has stopped itself."""
    wait_for(lambda: Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T", within_s=60)


def kill(process: ForkServerProcess) -> None:
    """End a process at once."""
    process.kill()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def join(processes: list[ForkServerProcess]) -> None:
    """Wait until all processes have ended well."""
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def fetches(folder: Path) -> list[str]:
    """Return what the fetches wrote down."""
    return (folder / "fetches").read_text().splitlines()


def folders(folder: Path) -> list[str]:
    """Return the names of the folders in the cache."""
    return sorted(path.name for path in (folder / "cache").iterdir() if path.is_dir())


def test_when_ten_ask_at_once_one_fetches(tmp_path: Path):
    """The others wait for it and find the folder."""
    manifest = manifest_named("model", tmp_path)
    join([start(obtain, tmp_path, manifest, number) for number in range(10)])
    assert len(fetches(tmp_path)) == 1
    assert len(folders(tmp_path)) == 1


def test_when_the_one_that_fetches_dies_another_goes_on(tmp_path: Path):
    """With what it left; nobody saw the half folder."""
    manifest = manifest_named("model", tmp_path)
    first = start(obtain, tmp_path, manifest, 0, stop=True)
    wait_until_stopped(first)
    others = [start(obtain, tmp_path, manifest, number) for number in range(1, 4)]
    assert folders(tmp_path) == [f"{manifest.digest.removeprefix('sha256:')}.partial"]
    kill(first)
    join(others)
    (died, went_on) = fetches(tmp_path)
    assert died == "0 found 0"
    assert went_on.endswith("found 1")
    assert folders(tmp_path) == [manifest.digest.removeprefix("sha256:")]


def test_what_a_dead_process_left_for_nobody_is_swept(tmp_path: Path):
    """Files without a source's name cannot be resumed."""
    first = start(adopt_and_stop, tmp_path)
    wait_until_stopped(first)
    other = manifest_named("other", tmp_path)
    cache_in(tmp_path).obtain(other, lambda into: write_model(into, "other"))
    assert len(folders(tmp_path)) == 2, "it lives, and its folder with it"
    kill(first)
    more = manifest_named("more", tmp_path)
    cache_in(tmp_path).obtain(more, lambda into: write_model(into, "more"))
    assert not [name for name in folders(tmp_path) if name.startswith("once-")]


def test_whoever_waits_too_long_is_told_which_lock(tmp_path: Path):
    """A process that hangs in its fetch makes nobody hang."""
    manifest = manifest_named("model", tmp_path)
    first = start(obtain, tmp_path, manifest, 0, stop=True)
    wait_until_stopped(first)
    impatient = ArtifactCache(tmp_path / "cache", max_bytes=ROOMY, wait_s=0.1)
    with pytest.raises(Unavailable, match=r"another process has held .*\.lock"):
        impatient.obtain(manifest, lambda into: write_model(into, "model"))
    kill(first)


def test_many_share_a_cache_that_is_too_small(tmp_path: Path):
    """Folders come and go; what is held is whole, and in the end the bound holds."""
    manifests = {name: manifest_named(name, tmp_path) for name in "abcde"}
    join([start(work, tmp_path, manifests, seed) for seed in range(4)])
    last = manifest_named("last", tmp_path)
    cache_in(tmp_path, max_bytes=160 * KB, spare_s=0).obtain(last, lambda into: write_model(into, "last"))
    assert len(folders(tmp_path)) <= 2


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of four megabytes."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(mounted)]
    done = subprocess.run(words, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("this user may not mount a disk of its own: a disk that is really full is NOT tested")
    yield mounted
    subprocess.run(["umount", "-l", str(mounted)], check=True)


def test_a_disk_that_fills_is_emptied_of_what_was_fetched(small_disk: Path, tmp_path: Path):
    """Nobody knew how much would come: the fetch fails, says so, and leaves the room as it was."""
    with pytest.raises(Unavailable, match="the disk of the artifact cache is full"):
        cache_in(small_disk).adopt(lambda into: write_model(into, "large", size=8192 * KB), source="s3://b/large")
    assert folders(small_disk) == []


def test_other_models_give_way_before_the_disk_is_full(small_disk: Path, tmp_path: Path):
    """Also those used just now, but none that is held."""
    write_model(tmp_path / "b", "b", size=3072 * KB)
    manifest = manifest_of(tmp_path / "b")
    cache = ArtifactCache(small_disk / "cache", max_bytes=ROOMY)
    _, old = cache.adopt(lambda into: write_model(into, "a", size=2048 * KB), source="a")
    with cache.hold(old), pytest.raises(Unavailable, match="3 MB are needed"):
        cache.obtain(manifest, lambda into: write_model(into, "b", size=3072 * KB))
    assert folders(small_disk) == [old.name]
    new = cache.obtain(manifest, lambda into: write_model(into, "b", size=3072 * KB))
    assert folders(small_disk) == [new.name]
