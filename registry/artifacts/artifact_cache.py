"""The artifact cache: each version's stored files once on this machine, named by what they are, for all its processes.

What is in it was compared with its manifest byte for byte, and appears whole, in one rename. Where the files come
from is the caller's: the object store, a tracking server.
"""

import errno
import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.registry.artifacts.cache_entry import CacheEntry, remove
from slipway.registry.artifacts.cache_room import LINK, ONCE, SOURCE, disk_full, make_room
from slipway.registry.artifacts.file_locks import held_alone, held_shared
from slipway.registry.errors import Corrupt, NotFound, Unavailable
from slipway.registry.manifest import Manifest, differences, manifest_of

Fetch = Callable[[Path], object]

FILES = "files"  # where it lies in a folder that holds more than stored files
NAMED_AT_MOST = 5
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_BELOW_BYTES = 1 << 20
WAIT_S = 2 * 3600.0


class ArtifactCache:
    """Folders of stored files below a root, shared by processes, together at most `max_bytes`.

    Whoever works with a folder for long holds it (`hold`): folders that nobody holds are evicted, the one that was used
    longest ago first, when another needs their room; not within `spare_s` seconds after their last use, so that what
    `obtain` returns is there until it is held. When everything is held, the cache grows over its bound.
    """

    def __init__(self, root: Path, *, max_bytes: int, spare_s: float = 60.0, wait_s: float = WAIT_S) -> None:
        self._root = root.absolute()
        self._max_bytes = max_bytes
        self._spare_s = spare_s
        self._wait_s = wait_s

    def obtain(self, manifest: Manifest, fetch: Fetch) -> Path:
        """Return the folder of a manifest's files, from the cache if they are whole there.

        Else `fetch(into)` writes them into an empty folder, or into one with what an earlier fetch left when it was
        broken off: it may go on from there. One process fetches, the others wait for it; when it dies, the next goes
        on. A second call reads no byte again unless a file was touched or the machine was started anew.

        Raises
        ------
        Corrupt
            What was fetched is not what the manifest says; the differences are named, nothing is published.
        Unavailable
            The disk is full, or another process holds the lock for hours. Whatever `fetch` raises is passed on.
        """
        with self._alone(manifest.digest.removeprefix("sha256:")) as entry:
            if not entry.is_whole(manifest):
                size_bytes = sum(file.size_bytes for file in manifest.files)
                self._fill(entry, fetch, size_bytes=size_bytes, known=manifest)
                entry.publish(entry.partial, manifest)
            entry.touch()
        return entry.folder

    def adopt(self, fetch: Fetch, *, source: str | None = None, size_bytes: int = 0) -> tuple[Manifest, Path]:
        """Return the manifest and the folder of files of which no manifest is known: it is made of what comes.

        `source` names what is fetched so exactly that other bytes would have another name (a store's listing with its
        checksums): the same source is fetched once, and a broken fetch goes on. Without it everything is fetched anew.
        `size_bytes`, where it is known, is the room that is made before. Raises as `obtain` does.
        """
        key = ONCE + uuid.uuid4().hex if source is None else SOURCE + hashlib.sha256(source.encode()).hexdigest()
        with self._alone(key) as fetched:
            known = self._adopted(fetched)
            if known is None:
                manifest = self._fill(fetched, fetch, size_bytes=size_bytes, known=None)
                known = manifest, self._take_over(fetched, manifest)
                self._remember(fetched, manifest)
        self._make_room(known[1].name, 0)
        return known

    @contextmanager
    def hold(self, folder: Path) -> Iterator[Path]:
        """Keep a folder of this cache from giving way, while the context lasts or until the process ends.

        Raises
        ------
        NotFound
            It has given way already: obtain it again.
        """
        entry = CacheEntry(self._root, folder.name)
        if not entry.folder.is_dir():
            raise _not_cached(folder)
        with held_shared(entry.held, wait_s=self._wait_s):
            if not entry.folder.is_dir():
                raise _not_cached(folder)
            entry.touch()
            yield folder
            entry.touch()

    def verify(self, folder: Path) -> Manifest:
        """Read every byte of a folder again, and return its manifest.

        Raises
        ------
        NotFound
            The cache has no such folder, or nothing is known of its files.
        Corrupt
            A file is not what it was; the next `obtain` fetches it again.
        """
        with self._alone(folder.name) as entry:
            manifest = entry.manifest()
            if manifest is None or not entry.folder.is_dir():
                raise _not_cached(folder)
            differing = entry.reread(manifest)
        if differing:
            raise _corrupt(f"the files cached in {folder} are not what they were", differing)
        return manifest

    @contextmanager
    def _alone(self, key: str) -> Iterator[CacheEntry]:
        """Hold an entry's lock: nobody else fills, checks or removes it meanwhile."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the artifact cache cannot be made at {self._root}: {error.strerror}",
                code="cache-not-writable",
                hint="put it elsewhere: SLIPWAY_REGISTRY__CACHE=/path",
            ) from error
        entry = CacheEntry(self._root, key)
        with held_alone(entry.lock, wait_s=self._wait_s):
            yield entry

    def _fill(self, entry: CacheEntry, fetch: Fetch, *, size_bytes: int, known: Manifest | None) -> Manifest:
        """Fetch into the partial folder, and return the manifest of what came."""
        goes_on = entry.partial.is_dir()
        entry.touch()
        self._make_room(entry.key, size_bytes)
        entry.partial.mkdir(exist_ok=True)
        try:
            fetch(entry.partial)
            found = manifest_of(entry.partial)
        except Exception as error:
            if isinstance(error, Corrupt) or entry.key.startswith(ONCE):
                remove(entry.partial)
            if self._is_full(error):
                remove(entry.partial)
                raise disk_full(self._root, size_bytes) from error
            raise
        differing = differences(known, found) if known else ()
        if differing:
            remove(entry.partial)
            if goes_on:  # what an earlier fetch left may be what is wrong
                return self._fill(entry, fetch, size_bytes=size_bytes, known=known)
            raise _corrupt("what was fetched is not as it was registered", differing)
        return found

    def _adopted(self, fetched: CacheEntry) -> tuple[Manifest, Path] | None:
        """Return what was fetched from the same source before, where it is still whole."""
        link = self._root / (fetched.key + LINK)
        if not link.exists():
            return None
        with self._alone(link.read_text()) as entry:
            manifest = entry.manifest()
            if manifest is None or not entry.is_whole(manifest):
                return None
            entry.touch()
        return manifest, entry.folder

    def _take_over(self, fetched: CacheEntry, manifest: Manifest) -> Path:
        """Publish what was fetched, where the same files are not here already."""
        with self._alone(manifest.digest.removeprefix("sha256:")) as entry:
            if entry.is_whole(manifest):
                remove(fetched.partial)
            else:
                entry.publish(fetched.partial, manifest)
            entry.touch()
        return entry.folder

    def _remember(self, fetched: CacheEntry, manifest: Manifest) -> None:
        """Write down which files a source has; one that is fetched anew each time leaves nothing behind."""
        if fetched.key.startswith(ONCE):
            fetched.lock.unlink()
        else:
            (self._root / (fetched.key + LINK)).write_text(manifest.digest.removeprefix("sha256:"))

    def _make_room(self, keep: str, needed_bytes: int) -> None:
        make_room(self._root, needed_bytes, max_bytes=self._max_bytes, spare_s=self._spare_s, keep=keep)

    def _is_full(self, error: BaseException) -> bool:
        """Return whether a fetch failed for want of room; MLflow says it only in words."""
        said = isinstance(error, OSError) and error.errno in DISK_FULL
        return said or shutil.disk_usage(self._root).free < FULL_BELOW_BYTES


def _not_cached(folder: Path) -> NotFound:
    return NotFound(f"{folder} is not in the cache any more", code="not-cached", hint="obtain it again")


def _corrupt(what: str, differing: tuple[str, ...]) -> Corrupt:
    more = f" and {len(differing) - NAMED_AT_MOST} more" if len(differing) > NAMED_AT_MOST else ""
    return Corrupt(
        f"{what}: {'; '.join(differing[:NAMED_AT_MOST])}{more}",
        code="artifacts-changed",
        hint="restore its files from a backup, or choose another version",
    )
