"""What a runner costs, measured where it was prepared: seconds for a row, and resident memory."""

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WITHIN_S = 0.05
MOST_CALLS = 1000


def median_s(call: Callable[[], Any]) -> float:
    """Return the median seconds of a call, over up to 1,000 calls within 0.05 s, after one that does not count."""
    call()
    seconds: list[float] = []
    until = time.perf_counter() + WITHIN_S
    while len(seconds) < MOST_CALLS and (not seconds or time.perf_counter() < until):
        before = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - before)
    return statistics.median(seconds)


def resident_bytes() -> int:
    """Return the resident memory of this process; 0 where /proc does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def size_bytes(folder: Path) -> int:
    """Return the size of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
