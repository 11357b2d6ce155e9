"""One entry of the artifact cache: the folder of a manifest's files, and whether they are still those files.

After every byte was compared with the manifest the entry is *sealed*: the state of each file (inode, size, times of
change) is written down, with the machine's boot. A file whose state is the sealed one has not been written since,
so that its bytes need not be read again; any other is read. After a boot everything is read once: what was written
before a power cut may not have reached the disk.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.registry.manifest import Manifest, differences, files_below, manifest_of

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TRASH = "trash-"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The files of one key in a cache's root; whoever writes them holds `lock`, whoever uses them `held`."""

    root: Path
    key: str

    @property
    def folder(self) -> Path:
        """Return where the whole files are."""
        return self.root / self.key

    @property
    def partial(self) -> Path:
        """Return where they are while they are fetched."""
        return self.root / f"{self.key}.partial"

    @property
    def seal(self) -> Path:
        """Return the file with the manifest and the state of each file."""
        return self.root / f"{self.key}.seal"

    @property
    def lock(self) -> Path:
        """Return the lock of whoever changes the entry; its time of change is that of the last use."""
        return self.root / f"{self.key}.lock"

    @property
    def held(self) -> Path:
        """Return the lock of those who use the files."""
        return self.root / f"{self.key}.held"

    def is_whole(self, manifest: Manifest) -> bool:
        """Return whether the folder holds the manifest's files; extra files (bytecode) are removed."""
        if not self.folder.is_dir():
            return False
        self._remove_extras(manifest)
        return self._sealed().get("states") == self._states(manifest) or not self.reread(manifest)

    def reread(self, manifest: Manifest) -> tuple[str, ...]:
        """Read every byte of the folder and return what differs from the manifest; seal it where nothing does."""
        states = self._states(manifest)
        differing = differences(manifest, manifest_of(self.folder))
        if differing:
            self.seal.unlink(missing_ok=True)
        else:
            self._write_seal(manifest, states)
        return differing

    def publish(self, fetched: Path, manifest: Manifest) -> None:
        """Make a folder, whose bytes were compared with the manifest, the entry's."""
        self.discard()
        fetched.rename(self.folder)
        self._remove_extras(manifest)
        self._write_seal(manifest, self._states(manifest))
        self.touch()

    def discard(self) -> None:
        """Remove the folder, so that nobody ever sees a part of it."""
        self.seal.unlink(missing_ok=True)
        remove(self.folder)

    def touch(self) -> None:
        """Record that the entry was used now, finer than the kernel's own clock for files, which ticks every 4 ms."""
        self.lock.touch()
        os.utime(self.lock, ns=(now := time.time_ns(), now))

    def last_used_s(self) -> float:
        """Return when the entry was last used, in seconds since 1970; 0 where that is not known."""
        try:
            return self.lock.stat().st_mtime
        except FileNotFoundError:  # somebody else made room meanwhile
            return 0.0

    def manifest(self) -> Manifest | None:
        """Return the manifest of the sealed files; `None` without a seal."""
        text = self._sealed().get("manifest")
        return Manifest.from_json(text) if text else None

    def size_bytes(self) -> int:
        """Return the size of the entry's files; some file systems tell the blocks that they take only later."""
        return sum(map(size_bytes, (*files_below(self.folder), *files_below(self.partial))))

    def _sealed(self) -> Mapping[str, Any]:
        try:
            document: Mapping[str, Any] = json.loads(self.seal.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return document

    def _write_seal(self, manifest: Manifest, states: Mapping[str, Any]) -> None:
        new = self.root / f"{self.key}.seal-new"
        new.write_text(json.dumps({"manifest": manifest.to_json(), "states": states}))
        new.replace(self.seal)

    def _states(self, manifest: Manifest) -> dict[str, list[Any]]:
        """Return path → inode, size, times and boot of the files that are there."""
        boot = _boot()
        paths = {file.path: self.folder / file.path for file in manifest.files}
        found = {name: path.stat() for name, path in paths.items() if path.is_file()}
        return {
            name: [state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns, boot]
            for name, state in found.items()
        }

    def _remove_extras(self, manifest: Manifest) -> None:
        wanted = {file.path for file in manifest.files}
        for path in list(files_below(self.folder)):
            if path.relative_to(self.folder).as_posix() not in wanted:
                path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder where there is one: its name at once, then what is in it; a crash leaves that to the sweep."""
    if not folder.is_dir():
        return
    trash = folder.parent / f"{TRASH}{uuid.uuid4().hex}"
    folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def size_bytes(path: Path) -> int:
    """Return a file's size; one that is gone by now has none."""
    try:
        return path.lstat().st_size
    except FileNotFoundError:  # whoever fetches it may move it meanwhile
        return 0


def _boot() -> str:
    """Return the id of this boot; where the system has none, one that is never met again."""
    return BOOT_ID.read_text().strip() if BOOT_ID.exists() else uuid.uuid4().hex
