"""Which libraries an image holds: what the engine needs, and what the version recorded, against the lock. Pure.

Where the version recorded another release of a library than the lock has, the version's is taken: its answers were made
with it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from slipway.registry.errors import InvalidInput

# What the engine imports where it serves an image. Of MLflow, what loads a model is in mlflow-skinny.
ENGINE = (
    "mlflow",
    "scikit-learn",
    "skops",
    "pandas",
    "numpy",
    "scipy",
    "click",
    "rich",
    "pydantic",
    "pyyaml",
    "packaging",
    "msgspec",
    "uvicorn",
    "uvloop",
    "httptools",
    "prometheus-client",
    "onnx",
    "onnxruntime",
)
# What it imports beside that where it follows a registry: its database or server, and a store of files.
TRACKING = ("mlflow", "sqlalchemy", "psycopg", "boto3", "pyarrow")
WHOLE, SKINNY = "mlflow", "mlflow-skinny"
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedLibraries:
    """What is to be resolved: requirements, and constraints on what they lead to.

    `unlike_lock` has a text for each library that the version recorded in another release than the lock has.
    """

    requirements: tuple[str, ...]
    constraints: tuple[str, ...]
    unlike_lock: tuple[str, ...] = ()


def wanted(ours: Iterable[str], recorded: Iterable[str], lock: str, *, extra: Sequence[str] = ()) -> WantedLibraries:
    """Return what is to be resolved.

    `ours` are the requirements of Slipway itself, `recorded` the lines that the version recorded, `lock` the text of
    the lock. `extra` are requirements beside them; `tracking` is what following a registry takes.

    Raises
    ------
    InvalidInput
        A requirement cannot be read, or names a place instead of a release.
    """
    follows = "tracking" in extra
    names = {*ENGINE, *(TRACKING if follows else ())}
    engine = [each for each in map(_requirement, ours) if each.marker is None and _name(each) in names]
    of_version = [each for each in map(_requirement, _lines(recorded)) if not (_name(each) == WHOLE and not follows)]
    skinny = [] if follows else [_as(each, SKINNY) for each in engine if _name(each) == WHOLE]
    plain = [each for each in engine if follows or _name(each) != WHOLE]
    more = [_requirement(each) for each in extra if each != "tracking"]
    pinned = {_name(each): str(each.specifier) for each in of_version if each.specifier}
    locked = _locked(lock)
    unlike = {
        name: pinned[name]
        for name in sorted(pinned.keys() & locked.keys())
        if not any(_requirement(f"x{pinned[name]}").specifier.contains(v, prereleases=True) for v in locked[name])
    }
    return WantedLibraries(
        requirements=tuple(dict.fromkeys(map(str, [*plain, *skinny, *of_version, *more]))),
        constraints=tuple(
            line for line in lock.splitlines() if (at := LOCKED.match(line)) and _canonical(at[1]) not in unlike
        ),
        unlike_lock=tuple(
            f"{name}{pinned[name]} as the version recorded it; our lock has {' or '.join(locked[name])}"
            for name in unlike
        ),
    )


def _lines(recorded: Iterable[str]) -> list[str]:
    """Return the requirements of a `requirements.txt`, without comments; options in it are refused as such."""
    stripped = (line.split(" #")[0].strip() for line in recorded)
    return [line for line in stripped if line and not line.startswith("#")]


def _requirement(line: str) -> Requirement:
    try:
        found = Requirement(line)
    except InvalidRequirement as error:
        raise InvalidInput(
            f"the requirement {line[:200]!r} cannot be read: {str(error).splitlines()[0]}",
            code="wrong-requirement",
            hint="an image is built of named releases: log the model with pip_requirements that name some",
        ) from error
    if found.url is not None:
        raise InvalidInput(
            f"the requirement {line[:200]!r} names a place: what lies there may be another thing tomorrow",
            code="wrong-requirement",
            hint="name a release; put a wheel of your own into the wheelhouse (--wheelhouse)",
        )
    return found


def _locked(lock: str) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lock.splitlines():
        if at := LOCKED.match(line):
            found.setdefault(_canonical(at[1]), []).append(at[2])
    return found


def _as(requirement: Requirement, name: str) -> Requirement:
    return Requirement(f"{name}{requirement.specifier}")


def _name(requirement: Requirement) -> str:
    return _canonical(requirement.name)


def _canonical(name: str) -> str:
    return str(canonicalize_name(name))
