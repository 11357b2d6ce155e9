"""The door to skopeo, which carries images between archives, folders and registries, digests as they are.

What a registry has it is not sent again. Logins are skopeo's, or Docker's.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from slipway.registry.errors import Unavailable
from slipway.serving.packaging.image_names import AT_REGISTRY, is_on_loopback

SAID_CHARACTERS = 800
LOG_PREFIX = re.compile(r'time="[^"]*" level=\w+ msg=')


def require_skopeo(for_what: str) -> str:
    """Return the program; raises Unavailable where it is not installed."""
    found = shutil.which("skopeo")
    if found is None:
        raise Unavailable(
            f"{for_what} takes skopeo, which is not installed here", code="no-skopeo", hint="apt-get install skopeo"
        )
    return found


def fetch(name: str, into: Path, *, platform: str) -> Path:
    """Copy an image from a registry into a folder, as a layout; of several for one name, that of the platform.

    Raises
    ------
    Unavailable
        skopeo is not installed, or does not get it.
    """
    program = require_skopeo(f"fetching {name}")
    system, _, architecture = platform.partition("/")
    words = [program, f"--override-os={system}", f"--override-arch={architecture}", "copy", "--quiet"]
    _run(
        [*words, *_plain("src", name), name, f"oci:{into}"],
        what=f"{name} cannot be fetched",
        code="no-base",
        hint="check that the registry answers and has it; a login: skopeo login",
    )
    return into


def push(archive: Path, name: str, place: str) -> None:
    """Copy an image of an archive to a place at a registry, with the digest that it has.

    Raises
    ------
    Unavailable
        skopeo is not installed, or the registry does not take it.
    """
    program = require_skopeo(f"pushing to {place}")
    words = ["copy", "--quiet", "--preserve-digests", *_plain("dest", place)]
    words += [f"oci-archive:{archive}:{name}", f"{AT_REGISTRY}{place}"]
    _run(
        [program, *words],
        what=f"{name} is in {archive} and recorded, and could not be pushed to {place}",
        code="not-pushed",
        hint=f"skopeo login, then {shlex.join(['skopeo', *words])}",
    )


def _plain(side: str, place: str) -> list[str]:
    return [f"--{side}-tls-verify=false"] if is_on_loopback(place) else []


def _run(words: Sequence[str], *, what: str, code: str, hint: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = LOG_PREFIX.sub("", " ".join(done.stderr.split()))[-SAID_CHARACTERS:]
        raise Unavailable(f"{what}: {said}", code=code, hint=hint)
