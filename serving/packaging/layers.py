"""Layers of an image: the same files give the same bytes, whoever makes them, when and in whatever folder.

A layer is a tar of entries in the order of their names, all owned by root and of one time, compressed by gzip without a
name and a time. What differs between machines (who owns a file, when it was written, links to other places) is left
out, and of a file's mode only whether it can be run.
"""

import gzip
import hashlib
import io
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from slipway.registry.errors import InvalidInput

COMPRESSION = 6
MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerFile:
    """A file of a layer: where it lies in the image, without the slash before it, and what it holds.

    `content` are its bytes, or the file on this disk that has them.
    """

    path: str
    content: bytes | Path
    is_executable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer on this disk, compressed. `digest` names it as it is stored, `diff_id` what it holds."""

    file: Path
    digest: str
    diff_id: str
    size_bytes: int
    unpacked_bytes: int
    media_type: str = MEDIA_TYPE


class _Hashed:
    """Passes on what is written, and names it by its content."""

    def __init__(self, below: IO[bytes]) -> None:
        self._below = below
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def write(self, content: bytes) -> int:
        """Write, as `tarfile` and `gzip` ask for it."""
        self._hash.update(content)
        self.size_bytes += len(content)
        return self._below.write(content)

    def tell(self) -> int:
        """Return how much was written."""
        return self.size_bytes

    def flush(self) -> None:
        """Keep nothing back: `write` passes all on."""

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def write_layer(files: Iterable[LayerFile], into: Path) -> Layer:
    """Write a layer with files, whatever order they come in, and the folders that they lie in.

    Raises
    ------
    InvalidInput
        Two files have one path, or one leads out of the image.
    """
    entries = _by_path(files)

    def fill(tar: tarfile.TarFile) -> None:
        for path in sorted({*entries, *_folders(entries)}):
            _add(tar, path, entries.get(path))

    return _written(into, fill)


def repacked(stored: Path, into: Path) -> Layer:
    """Write a layer of the tar of a root file system, which keeps its owners, modes and links; times are left out.

    Sockets and devices are none of an image's.
    """

    def fill(tar: tarfile.TarFile) -> None:
        with tarfile.open(stored) as read:
            for entry in sorted(read.getmembers(), key=lambda each: each.name):
                if not (entry.isdev() or entry.name == "."):
                    tar.addfile(_timeless(entry), read.extractfile(entry) if entry.isreg() else None)

    return _written(into, fill)


def files_of(folder: Path, below: str) -> Iterator[LayerFile]:
    """Yield the files below a folder as they will lie below a path of the image; of a link, what it leads to."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            is_executable = bool(path.stat().st_mode & stat.S_IXUSR)
            yield LayerFile(path=f"{below}/{name}", content=path, is_executable=is_executable)


def _written(into: Path, fill: Callable[[tarfile.TarFile], object]) -> Layer:
    """Write a compressed tar, and name it by what passed on the way: no file is read again for that."""
    with into.open("wb") as stored:
        compressed = _Hashed(stored)
        with gzip.GzipFile("", "wb", COMPRESSION, cast(IO[bytes], compressed), mtime=0) as packed:
            unpacked = _Hashed(cast(IO[bytes], packed))
            with tarfile.open(fileobj=cast(IO[bytes], unpacked), mode="w", format=tarfile.PAX_FORMAT) as tar:
                fill(tar)
    return Layer(
        file=into,
        digest=compressed.digest,
        diff_id=unpacked.digest,
        size_bytes=compressed.size_bytes,
        unpacked_bytes=unpacked.size_bytes,
    )


def _by_path(files: Iterable[LayerFile]) -> Mapping[str, LayerFile]:
    found: dict[str, LayerFile] = {}
    for file in files:
        parts = file.path.split("/")
        if not all(parts) or {".", ".."} & set(parts):
            raise InvalidInput(f"{file.path!r} is no path in an image", code="wrong-path", hint=None)
        if file.path in found:
            raise InvalidInput(f"two files of a layer are {file.path!r}", code="wrong-path", hint=None)
        found[file.path] = file
    return found


def _folders(paths: Iterable[str]) -> set[str]:
    return {"/".join(parts[:n]) for path in paths for parts in [path.split("/")] for n in range(1, len(parts))}


def _add(tar: tarfile.TarFile, path: str, file: LayerFile | None) -> None:
    entry = tarfile.TarInfo(path)
    if file is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(entry)
        return
    entry.mode = 0o755 if file.is_executable else 0o644
    if isinstance(file.content, bytes):
        entry.size = len(file.content)
        tar.addfile(entry, io.BytesIO(file.content))
        return
    with file.content.open("rb") as content:
        entry.size = file.content.stat().st_size
        tar.addfile(entry, content)


def _timeless(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """Return an entry without what differs from one making to the next."""
    entry.name = entry.name.removeprefix("./")
    entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.pax_headers = {}
    return entry
