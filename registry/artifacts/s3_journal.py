"""Which ranges of which objects a download has written already, so that a broken one goes on where it was."""

import json
import threading
from dataclasses import dataclass
from pathlib import Path

from slipway.registry.artifacts.s3_listing import StoredFile

NAME = ".slipway-download"


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Bytes of an object, from `start` up to but not including `end`."""

    file: StoredFile
    start: int
    end: int


class Journal:
    """A file in the folder of a download: a line for each range that was written.

    A range counts only while the object has the tag and size that it had, and its file is there at its full size.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._folder = folder
        self._lock = threading.Lock()
        self._known = {line for line in self._read() if line}
        self._file = self._path.open("a")

    def __contains__(self, part: Range) -> bool:
        path = self._folder / part.file.path
        return _line(part) in self._known and path.is_file() and path.stat().st_size == part.file.size_bytes

    def add(self, part: Range) -> None:
        """Note that a range was written."""
        with self._lock:
            self._file.write(_line(part) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Keep what was noted for a later download."""
        self._file.close()

    def remove(self) -> None:
        """Forget everything: the download is whole."""
        self._file.close()
        self._path.unlink()

    def _read(self) -> list[str]:
        """Return the lines of an earlier download; the last may have been cut, and is then no range's."""
        return self._path.read_text(errors="replace").split("\n") if self._path.exists() else []


def _line(part: Range) -> str:
    return json.dumps([part.file.path, part.file.etag, part.file.size_bytes, part.start, part.end])
