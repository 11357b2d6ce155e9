"""The rules of `slipway doctor`: what is fine, what deserves attention, what is wrong, and what to do about it.

Each rule takes what was found and returns findings; what is probed is in `slipway.registry.setup.examine`. A probe
that fails is a finding too: nothing that is broken breaks the doctor.
"""

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from slipway.registry.artifacts.locations import proxied_path
from slipway.registry.errors import SlipwayError
from slipway.registry.text import counted
from slipway.registry.versions.experiment_root import ExperimentRoot

CLOCK_WARN_S = 5.0
CLOCK_WRONG_S = 300.0  # S3 refuses what is signed 900 s off
DISK_WARN_BYTES = 5 * 10**9
DISK_WRONG_BYTES = 5 * 10**8
NAMED_AT_MOST = 3


class Health(enum.StrEnum):
    """What a finding amounts to; only WRONG makes the whole unhealthy."""

    OK = "ok"
    WARN = "warn"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True, slots=True)
class Symptom:
    """One check: what was found, and what to do where that is not as it should be."""

    name: str
    outcome: Health
    found: str
    todo: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return how programs see it."""
        return {"name": self.name, "outcome": str(self.outcome), "found": self.found, "todo": self.todo}


Probe = Callable[[], Sequence[Symptom]]


class Side(enum.Enum):
    """From where artifacts are reached: without a server, at one on this machine for itself, at a team's."""

    ALONE = "no server"
    SERVER_HERE = "a server on this machine"
    TEAM = "a team's server"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """Whose tables, their revision in the database, the one that this installation needs, and all that it knows.

    `make` is the command that makes them, `upgrade` the one that brings older ones up to date.
    """

    name: str
    revision: str | None
    needed: str
    known: Collection[str]
    make: str
    upgrade: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundCache:
    """The folder of a cache: what it holds, what it may hold, and what dead processes left in it."""

    root: Path
    size_bytes: int
    max_bytes: int
    is_writable: bool
    leftovers: tuple[str, ...]


def diagnose(probes: Mapping[str, Probe]) -> tuple[Symptom, ...]:
    """Probe everywhere, whatever one probe meets, and return all findings in order."""
    found: list[Symptom] = []
    for name, probe in probes.items():
        try:
            found += probe()
        except SlipwayError as error:
            found.append(wrong(name, error.message, error.hint))
        except Exception as error:  # the edge: what cannot be read is said
            said = f"cannot be read: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            found.append(wrong(name, said, None))
    return tuple(found)


def judge_tables(tables: Tables) -> Symptom:
    """Require that tables are there, and are those of the versions that are installed."""
    if tables.revision is None:
        return wrong(tables.name, "there are none", tables.make)
    if tables.revision == tables.needed:
        return ok(tables.name, f"revision {tables.revision}")
    found = f"revision {tables.revision}, and {tables.needed} is needed"
    if tables.revision in tables.known:
        return wrong(tables.name, f"{found}: older than what is installed here", tables.upgrade)
    return wrong(tables.name, f"{found}: newer than what is installed here", "install the version that made them")


def judge_administrators(names: Sequence[str]) -> Symptom:
    """Require that somebody can make accounts."""
    if not names:
        return wrong("administrator", "nobody is one", "slipway init --team")
    return ok("administrator", ", ".join(names))


def judge_place(name: str, place: str, *, is_there: bool) -> Symptom:
    """Require that a bucket or folder is there."""
    if not is_there:
        return wrong(name, f"{place} is not there", "slipway init --team makes it; or restore it")
    return ok(name, place)


def judge_users_file(path: Path, *, is_current: bool) -> Symptom:
    """Require that MLflow's file about its users says what the settings say."""
    if not is_current:
        return wrong("users' file", f"{path} is missing, or older than the settings", "slipway init --team")
    return ok("users' file", str(path))


def judge_credentials(found: str | None) -> Symptom:
    """Require that something is known with which requests are signed."""
    if found is None:
        return wrong("credentials", "none were found", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return ok("credentials", found)


def judge_access(name: str, tried: Mapping[str, SlipwayError | None]) -> Symptom:
    """Require that everything that was tried is allowed; `tried` is verb → what it met."""
    failed = {verb: error for verb, error in tried.items() if error is not None}
    if not failed:
        return ok(name, f"can {', '.join(tried)}")
    first = next(iter(failed.values()))
    worked = [verb for verb in tried if verb not in failed]
    can = f"can {', '.join(worked)}; " if worked else ""
    return wrong(name, f"{can}cannot {', '.join(failed)}: {first.message}", first.hint)


def judge_versioning(on: bool) -> Symptom:
    """Recommend that what is overwritten or deleted in a bucket can be brought back."""
    if on:
        return ok("bucket versioning", "on")
    todo = "turn it on, so that overwritten and deleted files can be restored: aws s3api put-bucket-versioning"
    return warn("bucket versioning", "off", todo)


def judge_region(configured: str | None, actual: str | None) -> Symptom:
    """Require that requests are signed for the bucket's region; a store that tells none takes any."""
    if not configured:
        return warn("region", "none is configured", "set AWS_DEFAULT_REGION=us-east-1")
    if actual and actual != configured:
        return wrong("region", f"{configured}, and the bucket is in {actual}", f"set AWS_DEFAULT_REGION={actual}")
    return ok("region", configured)


def judge_clock(whose: str, *, there: datetime, here: datetime) -> Symptom:
    """Compare this machine's clock with another's; signatures and the times of decisions depend on it."""
    name, ahead_s = f"clock ({whose})", (here - there).total_seconds()
    found = f"here {abs(ahead_s):,.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    todo = "have both machines follow a time server (timedatectl set-ntp true)"
    if abs(ahead_s) > CLOCK_WRONG_S:
        return wrong(name, found, todo)
    if abs(ahead_s) > CLOCK_WARN_S:
        return warn(name, found, todo)
    return ok(name, f"within {CLOCK_WARN_S:.0f} s")


def judge_versions(client: str, server: str) -> Symptom:
    """Require one major version of MLflow on both sides, and recommend one minor version."""
    ours, theirs = Version(client).release, Version(server).release
    if ours[:2] == theirs[:2]:
        return ok("MLflow versions", f"here {client}, server {server}")
    outcome = Health.WRONG if ours[:1] != theirs[:1] else Health.WARN
    todo = f"install the server's version here: pip install mlflow=={server}"
    return Symptom(name="MLflow versions", outcome=outcome, found=f"here {client}, server {server}", todo=todo)


def judge_roots(roots: Sequence[ExperimentRoot], side: Side) -> Symptom:
    """Require that every experiment's artifacts can be reached from here, as everybody else reaches them."""
    name = "artifact roots"
    behind = [root for root in roots if proxied_path(root.location) is not None]
    local = [root for root in roots if root.location.startswith(("file:", "/", "."))]
    if side is Side.ALONE and behind:
        todo = "slipway init mends it; or set MLFLOW_TRACKING_URI to the server's address"
        return wrong(name, f"behind a server, and none is configured: {_experiments(behind)}", todo)
    if side is Side.TEAM and local:
        todo = "make new experiments through the server: those keep their artifacts on whatever machine runs them"
        return wrong(name, f"on one machine's disk, for a team: {_experiments(local)}", todo)
    return ok(name, counted(len(roots), "experiment"))


def judge_disk(path: Path, free_bytes: int) -> Symptom:
    """Require room for a model, and recommend room for some."""
    name, found = f"disk ({path})", f"{free_bytes / 10**9:,.1f} GB free"
    if free_bytes < DISK_WRONG_BYTES:
        return wrong(name, found, "free some room: models, logs and the cache are written here")
    if free_bytes < DISK_WARN_BYTES:
        return warn(name, found, "free some room before it is full")
    return ok(name, found)


def judge_cache(cache: FoundCache) -> Symptom:
    """Require that the cache can be written, and tell what is too much in it."""
    name = "serving cache"
    found = f"{cache.size_bytes / 2**20:,.0f} of {cache.max_bytes / 2**20:,.0f} MiB in {cache.root}"
    if not cache.is_writable:
        return wrong(name, f"{cache.root} cannot be written", "give its folder to whoever runs the engine")
    if cache.leftovers:
        left = f"{found}; left by processes that died: {_listed(cache.leftovers)}"
        return warn(name, left, "the next engine removes them")
    if cache.size_bytes > cache.max_bytes:
        todo = "what is in use is never removed: raise SLIPWAY_SERVING__CACHE_MAX_MB, or serve less from here"
        return warn(name, found, todo)
    return ok(name, found)


def ok(name: str, found: str) -> Symptom:
    """Return that something is as it should be."""
    return Symptom(name=name, outcome=Health.OK, found=found)


def wrong(name: str, found: str, todo: str | None) -> Symptom:
    """Return that something is not as it must be."""
    return Symptom(name=name, outcome=Health.WRONG, found=found, todo=todo)


def warn(name: str, found: str, todo: str) -> Symptom:
    """Return that something deserves attention."""
    return Symptom(name=name, outcome=Health.WARN, found=found, todo=todo)


def _experiments(roots: Sequence[ExperimentRoot]) -> str:
    return _listed([f"'{root.experiment}' ({root.location})" for root in roots])


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - NAMED_AT_MOST} more" if len(words) > NAMED_AT_MOST else ""
    return ", ".join(words[:NAMED_AT_MOST]) + more
