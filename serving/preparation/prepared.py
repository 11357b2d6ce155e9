"""Versions that are ready to be opened: verified files and a verified runner, in the cache beside the index of both.

Everything is named by content: a version's files by their manifest's digest, a runner by that and by the libraries that
it was made with. The index says which content a version is, so that an engine starts without asking anybody.
"""

import contextlib
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from slipway.registry.distribution import DISTRIBUTION
from slipway.registry.errors import Corrupt
from slipway.registry.manifest import manifest_of
from slipway.serving.target import Sighting, Target

MOST_RUNNERS = 200
NEEDED_S = 600.0
DRAFT = "draft-"
MADE_WITH = (DISTRIBUTION, "mlflow", "numpy", "scikit-learn", "skops", "onnxruntime")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A version that can be opened.

    `digest` names its files, which lie in `folder`; `runner_digest` names what lies in `runner`.
    """

    identity: str
    number: int
    digest: str
    folder: str
    runner: str
    runner_digest: str

    @property
    def sighting(self) -> Sighting:
        """Return the version that this is, with these files."""
        return Sighting(identity=self.identity, number=self.number, manifest=self.digest)

    def is_what(self, seen: Sighting) -> bool:
        """Return whether this is what is to be served; where nobody recorded which files, any of the version are."""
        return replace(seen, manifest=seen.manifest or self.digest) == self.sighting


class PreparedVersions:
    """The index, and the runners that belong to it, below a folder."""

    def __init__(self, root: Path, *, registry: str, accelerate: bool) -> None:
        self._root = root
        self._registry = registry
        self._made_with = made_with(accelerate=accelerate)

    def find(self, sighting: Sighting) -> Prepared | None:
        """Return a version that was prepared before with the libraries that there are now.

        One whose files were recorded only after it was prepared may have had others then: it is not returned.

        Raises
        ------
        Corrupt
            Its files or its runner are not any more what they were.
        """
        path = self._path("versions", f"{sighting.identity}/{sighting.number}/{self._made_with}")
        noted = _noted(path)
        if noted is None:
            return None
        found = Prepared(**noted)
        if not found.is_what(sighting):
            return None
        try:
            require_as_prepared(found)
        except Corrupt:
            with contextlib.suppress(OSError):  # else it is found again, and compared again
                path.unlink()
            raise
        self.need(found)
        return found

    def make(self, digest: str, write: Callable[[Path], object]) -> tuple[Path, str]:
        """Have a runner for files of a digest written into a folder; return where it lies then, and its own digest.

        Of the same files there may be several, since a runner says how long it took: none is replaced by another.
        """
        runners = self._root / "runners"
        runners.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=runners))
        try:
            write(draft)
            made = manifest_of(draft).digest
            place = runners / f"{digest.removeprefix('sha256:')}-{self._made_with}-{made.removeprefix('sha256:')[:12]}"
            if place.exists() and manifest_of(place).digest != made:
                shutil.rmtree(place)
            if not place.exists():
                os.replace(draft, place)
            self._bound(runners)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return place, made

    def need(self, prepared: Prepared) -> None:
        """Note that an engine needs a runner, which it may have to open again: it is not given up for a while."""
        with contextlib.suppress(OSError):  # it is given up earlier, at worst, and made anew
            os.utime(prepared.runner)

    def _bound(self, runners: Path) -> None:
        """Give up the runners that were needed the longest ago, none that an engine has; they can be made anew."""
        kept = sorted(((_touched(each), each) for each in runners.iterdir()), reverse=True)
        for touched, old in kept[MOST_RUNNERS:]:
            if touched < time.time() - NEEDED_S:
                shutil.rmtree(old, ignore_errors=True)

    def keep(self, prepared: Prepared) -> None:
        """Note a version as prepared."""
        name = f"{prepared.identity}/{prepared.number}/{self._made_with}"
        _write(self._path("versions", name), asdict(prepared))

    def remember(self, target: Target, sighting: Sighting, *, is_recorded: bool = True) -> None:
        """Note what is serving for a target, and whether a recorded decision put it there.

        Where that cannot be written, nothing is noted: what was serving before does not any more.
        """
        document = {"target": str(target), **asdict(sighting), "is_recorded": is_recorded}
        try:
            _write(self._path("targets", str(target)), document)
        except OSError:
            self.forget(target)
            raise

    def note_history(self) -> None:
        """Note that the registry has a history of decisions."""
        _write(self._path("history", "known"), {"known": True})

    def knows_history(self) -> bool:
        """Return whether that was noted."""
        return _noted(self._path("history", "known")) is not None

    def forget(self, target: Target) -> None:
        """Take back what was noted of a target: it is not there any more."""
        with contextlib.suppress(OSError):
            self._path("targets", str(target)).unlink()

    def was_recorded(self, target: Target) -> bool:
        """Return whether a decision had put there what was last serving; an older engine did not note it."""
        noted = _noted(self._path("targets", str(target)))
        return noted is None or bool(noted.get("is_recorded", True))

    def remembered(self, target: Target) -> Sighting | None:
        """Return what was serving for a target when an engine last noted it."""
        noted = _noted(self._path("targets", str(target)))
        known = {each.name for each in fields(Sighting)}
        return Sighting(**{name: value for name, value in noted.items() if name in known}) if noted else None

    def targets(self, stage: str) -> tuple[Target, ...]:
        """Return the targets of a stage that were serving some time."""
        folder = self._root / "index" / "targets"
        found = (noted["target"] for noted in map(_noted, folder.glob("*.json")) if noted)
        models = (text.rpartition("@") for text in found)
        return tuple(sorted(Target(model, its_stage) for model, _, its_stage in models if its_stage == stage))

    def _path(self, kind: str, name: str) -> Path:
        digest = hashlib.sha256(f"{self._registry}\n{name}".encode()).hexdigest()[:32]
        return self._root / "index" / kind / f"{digest}.json"


def require_as_prepared(prepared: Prepared) -> None:
    """Refuse a version whose files, or whose runner's, are not those that were prepared.

    Raises
    ------
    Corrupt
        They are not.
    """
    for folder, digest in ((prepared.folder, prepared.digest), (prepared.runner, prepared.runner_digest)):
        if _digest_of(Path(folder)) != digest:
            raise Corrupt(
                f"{folder} is not as it was when it was prepared", code="cache-changed", hint="it is made anew"
            )


def _digest_of(folder: Path) -> str | None:
    """Return the digest of a folder's files; `None` where it goes while it is read, as another engine may evict it."""
    try:
        return manifest_of(folder).digest
    except OSError:
        return None


def _touched(path: Path) -> float:
    """Return when a file was last touched; of one that another engine has just removed, long ago."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def made_with(*, accelerate: bool) -> str:
    """Return a short digest of what a runner depends on beside the version's files."""
    parts = [platform.python_version(), platform.machine(), f"accelerate={accelerate}"]
    return hashlib.sha256(" ".join([*parts, *map(_installed, MADE_WITH)]).encode()).hexdigest()[:12]


def _installed(package: str) -> str:
    try:
        return f"{package}={version(package)}"
    except PackageNotFoundError:
        return f"{package}=none"


def _write(path: Path, document: Mapping[str, Any]) -> None:
    """Write a file whole or not at all; of a disk that is full, no room is taken by what could not be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
        try:
            json.dump(document, draft)
            draft.flush()
            os.fsync(draft.fileno())
            os.replace(draft.name, path)
        except BaseException:
            os.unlink(draft.name)
            raise


def _noted(path: Path) -> dict[str, Any] | None:
    """Return what a file of the index holds; `None` where there is none, or one that a crash has left in pieces."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
