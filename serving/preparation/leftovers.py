"""Which prepared runners does no engine need? They can be prepared again from the version's files.

An engine that starts while the registry is away opens what it last served: that stays, with its files. One that runs
notes each minute what it needs (`PreparedVersions.need`).
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from slipway.registry.leftover import Leftover, moment, size_below
from slipway.serving.preparation.prepared import DRAFT, NEEDED_S

RUNNERS = "runners that engines prepared and no engine here serves, or served last; they are prepared again"
DRAFTS = "runners whose preparation was broken off"
KEEP_DRAFT_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedPlaces:
    """The folders of runners and of stored files that an engine opens when it starts."""

    runners: frozenset[Path]
    files: frozenset[Path]


def leftovers(root: Path) -> tuple[list[Leftover], frozenset[Path]]:
    """Return the runners in a cache that may go, and the folders of stored files that may not."""
    return list(prepared_leftovers(root)), needed_places(root).files


def needed_places(root: Path) -> PreparedPlaces:
    """Return what engines that use a cache served last, whatever registry and libraries they have."""
    served = {(noted["identity"], noted["number"]) for noted in _noted_in(root / "index" / "targets")}
    prepared = [
        noted for noted in _noted_in(root / "index" / "versions") if (noted["identity"], noted["number"]) in served
    ]
    return PreparedPlaces(
        runners=frozenset(Path(noted["runner"]).resolve() for noted in prepared),
        files=frozenset(Path(noted["folder"]).resolve() for noted in prepared),
    )


def prepared_leftovers(root: Path) -> Iterator[Leftover]:
    """Yield the runners that may go."""
    needed = needed_places(root).runners
    for place in sorted((root / "runners").glob("*")):
        touched = place.stat().st_mtime
        is_draft = place.name.startswith(DRAFT)
        if place.resolve() in needed or touched > time.time() - (KEEP_DRAFT_S if is_draft else NEEDED_S):
            continue
        yield Leftover(
            kind=DRAFTS if is_draft else RUNNERS,
            place=place,
            size_bytes=size_below(place),
            used_at=moment(touched),
            remove=partial(_removed, root, place, touched),
        )


def _removed(root: Path, place: Path, touched: float) -> bool:
    """Remove a runner, and first the notes that lead to it; not where an engine has needed it since."""
    if place.stat().st_mtime != touched or place.resolve() in needed_places(root).runners:
        return False
    for path, noted in _files_in(root / "index" / "versions"):
        if Path(noted["runner"]).resolve() == place.resolve():
            path.unlink(missing_ok=True)
    shutil.rmtree(place, ignore_errors=True)
    return not place.exists()


def _noted_in(folder: Path) -> list[Mapping[str, Any]]:
    return [noted for _, noted in _files_in(folder)]


def _files_in(folder: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the notes below a folder; one that goes meanwhile, or that a crash left in pieces, says nothing."""
    for path in folder.glob("*.json"):
        try:
            yield path, json.loads(path.read_text())
        except (FileNotFoundError, ValueError):
            continue
