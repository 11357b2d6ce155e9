"""What commands that were killed have left in the system's folder for temporary files.

Each works in folders of its own there, and removes them when it ends. No check may last longer than a day.
"""

import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from slipway.registry.leftover import Leftover, moment, size_below

SCRATCH = "folders of commands that were killed"
PREFIXES = tuple(
    f"slipway-{name}-" for name in ("check", "evaluate", "gate", "holdout", "judged", "probe", "rehearsal")
)
KEEP_S = 2 * 24 * 3600.0


def scratch_leftovers(folder: Path) -> Iterator[Leftover]:
    """Yield the folders of ours, and of this user's, in which nothing was written for two days."""
    for place in sorted(folder.glob("slipway-*-*")):
        if not place.name.startswith(PREFIXES) or place.is_symlink() or not place.is_dir():
            continue
        state = place.stat()
        if state.st_uid != os.getuid() or state.st_mtime > time.time() - KEEP_S:
            continue
        yield Leftover(
            kind=SCRATCH,
            place=place,
            size_bytes=size_below(place),
            used_at=moment(state.st_mtime),
            remove=partial(_removed, place),
        )


def _removed(place: Path) -> bool:
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()
