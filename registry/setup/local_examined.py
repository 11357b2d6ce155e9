"""What is examined on this machine itself: rooms and the rights to write there."""

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slipway.registry.artifacts.cache_entry import TRASH, size_bytes
from slipway.registry.artifacts.cache_room import KEEP_PARTIAL_S, PARTIAL
from slipway.registry.errors import SlipwayError, Unavailable
from slipway.registry.manifest import files_below
from slipway.registry.setup.doctor import FoundCache


def free_bytes(paths: Iterable[Path]) -> dict[Path, int]:
    """Return the room on the disks of some paths, each disk by its first path."""
    by_disk = {_there(path).stat().st_dev: path for path in reversed(list(paths))}
    return {path: shutil.disk_usage(_there(path)).free for path in reversed(by_disk.values())}


def examined_cache(root: Path, max_bytes: int) -> FoundCache:
    """Return what is in a cache; one that was not made yet is empty, and writable where its place is."""
    return FoundCache(
        root=root,
        size_bytes=sum(map(size_bytes, files_below(root))),
        max_bytes=max_bytes,
        is_writable=os.access(_there(root), os.W_OK | os.X_OK),
        leftovers=tuple(str(path.relative_to(root)) for path in sorted(root.rglob("*")) if _is_left(path)),
    )


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of a server's artifacts."""

    path: Path

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"the folder {self.path}"

    def is_there(self) -> bool:
        """Return whether it is."""
        return self.path.is_dir()

    def make(self) -> None:
        """Make it."""
        self.path.mkdir(parents=True, exist_ok=True)

    def tried(self) -> dict[str, SlipwayError | None]:
        """Return whether it can be written, as the verbs that were tried and what they met."""
        allowed = os.access(self.path, os.R_OK | os.W_OK | os.X_OK)
        met = None if allowed else Unavailable(f"{self.path} is not yours", code="no-folder", hint="check its owner")
        return {"write": met, "read": met, "delete": met}


def _there(path: Path) -> Path:
    return next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())


def _is_left(path: Path) -> bool:
    """Return whether dead processes left a folder: being removed, or being fetched and not touched for long."""
    if path.name.startswith(TRASH):
        return True
    return path.name.endswith(PARTIAL) and path.stat().st_mtime < time.time() - KEEP_PARTIAL_S
