"""The wheelhouse: the wheels of an environment, each with its hash; from them alone an environment is installed.

uv resolves, pip fetches for another platform than this one, uv installs. With a wheelhouse that holds all of it, no
network is asked.
"""

import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from packaging.utils import canonicalize_name, parse_wheel_filename
from uv import find_uv_bin

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.serving.packaging.requirements import WantedLibraries

PYTHON = "3.11"
GLIBC = 36  # Debian 12's, on which every base stands; a wheel for a newer one would not load
MACHINES: Mapping[str, str] = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
SAID_CHARACTERS = 1500


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """A wheel on this disk."""

    name: str
    version: str
    file: Path
    sha256: str

    @property
    def locked(self) -> str:
        """Return its line in a lock."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def machine_of(platform: str) -> str:
    """Return the machine of a platform; raises InvalidInput for one that no base has."""
    if platform not in MACHINES:
        raise InvalidInput(
            f"no image is made for {platform!r}; there are: {', '.join(MACHINES)}", code="unknown-platform", hint=None
        )
    return MACHINES[platform]


def gather(wanted: WantedLibraries, house: Path, work: Path, *, platform: str, offline: bool) -> tuple[Wheel, ...]:
    """Return the wheels that a set of requirements leads to, in a wheelhouse; those that it lacks are fetched into it.

    Offline, the wheelhouse alone is asked. What else lies in it is left alone.

    Raises
    ------
    Unavailable, NotFound
        They cannot be resolved or fetched; uv's and pip's words say why.
    """
    house.mkdir(parents=True, exist_ok=True)
    (work / "wanted.txt").write_text("\n".join(wanted.requirements))
    (work / "constraints.txt").write_text("\n".join(wanted.constraints))
    where = ["--no-index", "--find-links", str(house)] if offline else []
    _run(
        [
            *_uv("compile", platform),
            *where,
            *("--generate-hashes", "--no-annotate", "--no-header", "--constraints", str(work / "constraints.txt")),
            *("--output-file", str(work / "resolved.txt"), str(work / "wanted.txt")),
        ],
        what="the requirements cannot be resolved",
        hint=f"a wheel of each for {platform} and Python {PYTHON} has to be there"
        + (" in the wheelhouse" if offline else ""),
    )
    found = _in_house(house)
    names = _pinned(work / "resolved.txt")
    if not offline and any(name not in found for name in names):
        _fetch(work / "resolved.txt", house, machine_of(platform))
        found = _in_house(house)
    return tuple(found[name] for name in sorted(names))


def install(wheels: Sequence[Wheel], house: Path, work: Path, into: Path, *, platform: str) -> None:
    """Install wheels into a folder: exactly these, from the wheelhouse, each with the hash that it has now."""
    (work / "locked.txt").write_text("\n".join(wheel.locked for wheel in wheels))
    _run(
        [
            *_uv("install", platform),
            # What uv has in its cache under that name and hash is not asked: the wheelhouse is what is installed.
            *("--no-cache", "--no-index", "--find-links", str(house), "--no-deps", "--require-hashes"),
            *("--target", str(into), "--requirements", str(work / "locked.txt")),
        ],
        what="the environment cannot be installed",
        hint="a wheel was changed or is broken: remove it from the wheelhouse",
    )


def _fetch(resolved: Path, house: Path, machine: str) -> None:
    if find_spec("pip") is None:
        raise Unavailable(
            "wheels are fetched by pip, which is not installed here", code="no-pip", hint="uv pip install pip"
        )
    platforms = [f"--platform=manylinux_2_{n}_{machine}" for n in range(GLIBC, 4, -1)]
    platforms += [f"--platform={each}_{machine}" for each in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
    _run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp"),
            *(*platforms, "--dest", str(house), "--requirement", str(resolved)),
        ],
        what="the wheels cannot be fetched",
        hint="check the network, or PIP_INDEX_URL; with a wheelhouse that is full: --offline",
    )


def _uv(verb: str, platform: str) -> list[str]:
    target = f"{machine_of(platform)}-manylinux_2_{GLIBC}"
    return [
        *(find_uv_bin(), "pip", verb, "--quiet", "--only-binary", ":all:"),
        *("--python-version", PYTHON, "--python-platform", target),
    ]


def _run(words: Sequence[str], *, what: str, hint: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = " ".join((done.stderr or done.stdout).split())[:SAID_CHARACTERS]
        raise Unavailable(f"{what}: {said}", code="no-environment", hint=hint)


def _in_house(house: Path) -> Mapping[tuple[str, str], Wheel]:
    found = {}
    for file in sorted(house.glob("*.whl")):
        name, version, *_ = parse_wheel_filename(file.name)
        with file.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        found[str(name), str(version)] = Wheel(name=str(name), version=str(version), file=file, sha256=sha256)
    return found


def _pinned(resolved: Path) -> list[tuple[str, str]]:
    lines = (line.split()[0] for line in resolved.read_text().splitlines() if "==" in line)
    pins = [line.split("==") for line in lines]
    return [(str(canonicalize_name(name)), version) for name, version in pins]
