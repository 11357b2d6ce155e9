"""Which processes there are and what they hold, as Linux tells; elsewhere none are known."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessEntry:
    """A living process: by number, parent, group and session, with the memory that it holds, shared or not."""

    id: int
    parent: int
    group: int
    session: int
    resident_bytes: int


def living_processes() -> Iterator[ProcessEntry]:
    """Yield every process that has not ended."""
    page = os.sysconf("SC_PAGESIZE")
    for stat in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ends while it is read
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] not in "ZX":
                yield ProcessEntry(
                    id=int(stat.parent.name),
                    parent=int(fields[1]),
                    group=int(fields[2]),
                    session=int(fields[3]),
                    resident_bytes=int(fields[21]) * page,
                )


def waited_s(process: int) -> float:
    """Return how long the threads of a process have been ready to run and had no processor; 0 where nobody tells."""
    waited_ns = 0
    for thread in (PROC / str(process) / "task").glob("*/schedstat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ends while it is read
            waited_ns += int(thread.read_text().split()[1])
    return waited_ns / 1e9


def proportional_bytes(process: int) -> int:
    """Return the memory of a process, what it shares counted by its part; 0 where the system does not tell."""
    return _kibibytes(process, "smaps_rollup", "Pss:")


def peak_bytes(process: int) -> int:
    """Return the most memory that a process ever held; 0 where the system does not tell."""
    return _kibibytes(process, "status", "VmHWM:")


def _kibibytes(process: int, file: str, field: str) -> int:
    with contextlib.suppress(OSError):
        for line in (PROC / str(process) / file).read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    return 0
