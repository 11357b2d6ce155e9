"""Which stored files in the cache does nobody need here? They can be fetched again from where they are stored."""

import time
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

from slipway.registry.artifacts.cache_entry import TRASH, CacheEntry, remove
from slipway.registry.artifacts.cache_room import KEEP_PARTIAL_S, entries_in, gave_way, sweep
from slipway.registry.artifacts.file_locks import held_alone
from slipway.registry.errors import Unavailable
from slipway.registry.leftover import Leftover, moment, size_below

CACHED = "copies of stored files that no engine here serves, or served last; they are fetched again"
BROKEN = "downloads that broke off"
REMOVED = "what a process was removing when it died"


def cached_leftovers(root: Path, *, needed: Collection[Path], spare_s: float) -> Iterator[Leftover]:
    """Yield what may go of a cache; none that is needed, held, being fetched, or was used within `spare_s` seconds."""
    if not root.is_dir():
        return
    for path in root.glob(f"{TRASH}*"):
        yield Leftover(
            kind=REMOVED,
            place=path,
            size_bytes=size_below(path),
            used_at=moment(path.stat().st_mtime),
            remove=partial(_swept, path),
        )
    kept = {folder.resolve() for folder in needed}
    for entry in entries_in(root):
        is_whole = entry.folder.is_dir()
        spared_s = spare_s if is_whole else KEEP_PARTIAL_S
        if entry.folder.resolve() in kept or entry.last_used_s() > time.time() - spared_s or not _is_free(entry):
            continue
        yield Leftover(
            kind=CACHED if is_whole else BROKEN,
            place=entry.folder if is_whole else entry.partial,
            size_bytes=entry.size_bytes(),
            used_at=moment(entry.last_used_s()),
            remove=partial(_removed, entry, spared_s),
        )


def _is_free(entry: CacheEntry) -> bool:
    """Return whether nobody holds or fetches an entry now; locks that are not there are not made."""
    try:
        for lock in (entry.lock, entry.held):
            if lock.exists():
                with held_alone(lock, wait_s=0):
                    pass
    except Unavailable:
        return False
    return True


def _removed(entry: CacheEntry, spared_s: float) -> bool:
    """Remove an entry, unless it was used since it was found; and the names of sources that led to it."""
    if entry.last_used_s() > time.time() - spared_s or not gave_way(entry):
        return False
    sweep(entry.root)
    return True


def _swept(path: Path) -> bool:
    remove(path)
    return not path.exists()
