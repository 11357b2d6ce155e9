"""Room in the artifact cache: what is evicted when something is to come, and what dead processes left."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from slipway.registry.artifacts.cache_entry import TRASH, CacheEntry, remove
from slipway.registry.artifacts.file_locks import held_alone
from slipway.registry.errors import Unavailable

SOURCE = "source-"
ONCE = "once-"
LINK = ".is"
PARTIAL = ".partial"
KEEP_PARTIAL_S = 24 * 3600.0


def make_room(root: Path, needed_bytes: int, *, max_bytes: int, spare_s: float, keep: str) -> None:
    """Evict entries until what is needed fits under the bound and on the disk.

    The one that was used longest ago goes first; none that somebody holds or fetches, nor `keep`. One that was used
    within `spare_s` seconds goes only when the disk itself is full.

    Raises
    ------
    Unavailable
        The disk has no room, and nothing is left that could be evicted.
    """
    sweep(root)
    entries = sorted(entries_in(root), key=CacheEntry.last_used_s)
    sizes = {entry.key: entry.size_bytes() for entry in entries}
    needed_bytes = max(0, needed_bytes - sizes.get(keep, 0))
    over_bytes = sum(sizes.values()) + needed_bytes - max_bytes
    lacking_bytes = needed_bytes - shutil.disk_usage(root).free
    just_now = time.time() - spare_s
    for entry in entries:
        spared = entry.last_used_s() > just_now
        wanted = lacking_bytes > 0 or (over_bytes > 0 and not spared)
        if wanted and entry.key != keep and gave_way(entry):
            over_bytes -= sizes[entry.key]
            lacking_bytes -= sizes[entry.key]
    if lacking_bytes > 0:
        raise disk_full(root, needed_bytes)


def disk_full(root: Path, needed_bytes: int = 0) -> Unavailable:
    """Return the error of a disk that has no room for what is to come."""
    free_mb = shutil.disk_usage(root).free // 10**6
    needed = f"{needed_bytes / 10**6:,.0f} MB are needed and " if needed_bytes else ""
    return Unavailable(
        f"the disk of the artifact cache is full: {needed}{free_mb:,} MB are free at {root}",
        code="disk-full",
        hint="free some, or put the cache on a larger disk: SLIPWAY_REGISTRY__CACHE=/path",
    )


def entries_in(root: Path) -> Iterator[CacheEntry]:
    """Return the entries of a cache, whole ones and those that are being fetched."""
    keys = {path.name.removesuffix(PARTIAL) for path in root.iterdir() if path.is_dir()}
    return (CacheEntry(root, key) for key in keys if not key.startswith(TRASH))


def gave_way(entry: CacheEntry) -> bool:
    """Remove an entry that nobody holds; return whether it is gone."""
    try:
        with held_alone(entry.lock, wait_s=0), held_alone(entry.held, wait_s=0):
            entry.discard()
            remove(entry.partial)
            entry.held.unlink()
            entry.lock.unlink()
    except Unavailable:
        return False
    return True


def sweep(root: Path) -> None:
    """Remove what dead processes left, and the names of sources whose files were evicted."""
    for path in root.glob(f"{TRASH}*"):
        shutil.rmtree(path, ignore_errors=True)
    long_ago = time.time() - KEEP_PARTIAL_S
    for path in root.glob(f"*{PARTIAL}"):
        entry = CacheEntry(root, path.name.removesuffix(PARTIAL))
        if entry.key.startswith(ONCE) or (entry.last_used_s() < long_ago and not entry.folder.exists()):
            gave_way(entry)
    for link in root.glob(f"{SOURCE}*{LINK}"):
        _forget(link)


def _forget(link: Path) -> None:
    entry = CacheEntry(link.parent, link.name.removesuffix(LINK))
    try:
        with held_alone(entry.lock, wait_s=0):
            if not (link.parent / link.read_text()).is_dir():
                link.unlink()
                entry.lock.unlink()
    except (Unavailable, FileNotFoundError):
        return
