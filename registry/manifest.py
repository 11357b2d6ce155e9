"""The manifest: which files a version was logged with, byte for byte."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from slipway.registry.errors import Unavailable

# Lies beside a version's files in an image, and says which version they are.
CARD = "slipway-version.json"
# Beside it, where somebody signed them; it is verified by whoever has the key, and no part of what was logged.
SIGNATURE = "slipway-version.sig"
# MLflow writes the first into a local store when a version is first loaded (3.17): no part of what was logged.
NOT_LOGGED = frozenset({"registered_model_meta", CARD, SIGNATURE})


@dataclass(frozen=True, kw_only=True, slots=True)
class ManifestFile:
    """A file's path below the model's folder, with `/` between its parts, its size and its SHA-256."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """All files of a version, ordered by path."""

    files: tuple[ManifestFile, ...]

    @property
    def digest(self) -> str:
        """Return `sha256:…` of the manifest's JSON: it names the version's content."""
        return f"sha256:{hashlib.sha256(self.to_json().encode()).hexdigest()}"

    def to_json(self) -> str:
        """Return canonical JSON: the same files give the same text."""
        return json.dumps([asdict(file) for file in self.files], sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Return the manifest that `to_json` wrote."""
        return cls(files=tuple(ManifestFile(**file) for file in json.loads(text)))


def manifest_of(folder: Path) -> Manifest:
    """Read every file below a folder and return its manifest."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = [(path.relative_to(folder).as_posix(), path) for path in paths]
    return Manifest(files=tuple(_entry(name, path) for name, path in named if name not in NOT_LOGGED))


def copied(folder: Path, into: Path) -> Path:
    """Copy a folder as it is now, and return the copy: links stay links, and what is no file at all is left out.

    So is what is in no manifest: whoever reads it would be led by what anybody may write over, and MLflow does.

    Raises
    ------
    Unavailable
        Somebody changes it meanwhile, or there is no room.
    """
    try:
        shutil.copytree(folder, into, symlinks=True, ignore=partial(_left_out, folder))
    except OSError as error:
        raise Unavailable(
            f"the files below {folder} cannot be copied, to be judged as they are now: {error}",
            code="files-not-copied",
            hint="see that nobody changes them and that there is room for temporary files (TMPDIR), then try again",
        ) from error
    return into


def _left_out(folder: Path, place: str, names: list[str]) -> set[str]:
    paths = {name: Path(place) / name for name in names}
    no_files = {name for name, path in paths.items() if not (path.is_symlink() or path.is_file() or path.is_dir())}
    return no_files | (NOT_LOGGED.intersection(names) if Path(place) == folder else set())


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder, also while somebody else removes it; no files where there is no folder."""
    return (Path(place) / name for place, _, names in os.walk(folder) for name in names)


def differences(logged: Manifest, found: Manifest) -> tuple[str, ...]:
    """Return one line for each file that is missing, changed or extra, in that order."""
    before = {file.path: file for file in logged.files}
    now = {file.path: file for file in found.files}
    missing = [f"missing: {path}" for path in before if path not in now]
    changed = [f"changed: {path}" for path in before if path in now and now[path] != before[path]]
    extra = [f"extra: {path}" for path in now if path not in before]
    return (*missing, *changed, *extra)


def _entry(name: str, path: Path) -> ManifestFile:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return ManifestFile(path=name, size_bytes=path.stat().st_size, sha256=sha256)
