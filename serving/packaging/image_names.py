"""How images are named: what `--name` and `--push` may be, and what the images of one version are called. Pure.

The rules are those of registries (distribution's reference grammar), asked before anything is built: an engine or a
registry would refuse the name minutes later.
"""

import re
from ipaddress import ip_address

from slipway.registry.errors import InvalidInput

AT_REGISTRY = "docker://"
PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
PATH = re.compile(rf"{PART}(?:/{PART})*")
HOST = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?")
# Of 128 characters; the runtime's name is longer.
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
RUNTIME = "-runtime"


def image_name(model: str, number: int) -> str:
    """Return the name of an image: registries take small letters, digits and a few marks.

    >>> image_name("Größe (1)", 3)
    'slipway/gr-e-1:3'
    """
    plain = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return f"slipway/{plain or 'model'}:{number}"


def runtime_name(name: str) -> str:
    """Return what the image is called that serves what another one holds: they lie in one repository, and share it."""
    return f"{name}{RUNTIME}"


def checked_name(text: str, option: str) -> str:
    """Return a name that an image can have, with a tag; raises InvalidInput for one that no engine would take."""
    name, tag = _parts(text, option)
    host, _, path = name.rpartition("/") if "/" not in name else name.partition("/")
    is_host = HOST.fullmatch(host) and _is_host(host)
    if not PATH.fullmatch(path if is_host else name) or not TAG.fullmatch(tag):
        hint = "small letters and digits, parted by . _ - and /, then a tag, as in example/cancer:3"
        raise _wrong(f"{option} {text}", "is no name of an image", hint)
    return text


def checked_place(text: str) -> str:
    """Return a place at a registry, without the `docker://` before it.

    Raises
    ------
    InvalidInput
        It names no registry or no tag: what a short name means depends on the machine that pushes.
    """
    place = text.removeprefix(AT_REGISTRY)
    host, slash, _ = place.partition("/")
    if not slash or not _is_host(host):
        hint = f"write --push registry.example.org/{place}; Docker's own is docker.io"
        raise InvalidInput(f"--push {text} names no registry", code="wrong-image-name", hint=hint)
    return checked_name(place, "--push")


def is_on_loopback(place: str) -> bool:
    """Return whether a registry is on this machine, where it may do without TLS, as Docker has it.

    >>> [is_on_loopback(f"{host}/cancer:3") for host in ("127.0.0.1:5000", "localhost", "[::1]:5000", "example.org")]
    [True, True, True, False]
    """
    host = place.removeprefix(AT_REGISTRY).partition("/")[0]
    bare = re.sub(r":[0-9]+$", "", host).strip("[]")
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return bare == "localhost"


def _is_host(first: str) -> bool:
    """Return whether the first part of a name is a registry and no folder in one: by Docker's own rule."""
    return "." in first or ":" in first or first == "localhost"


def _parts(text: str, option: str) -> tuple[str, str]:
    if "@" in text:
        raise _wrong(f"{option} {text}", "names a digest, which follows from what is in the image", "name a tag")
    name, colon, tag = text.rpartition(":")
    if not colon or "/" in tag:
        raise _wrong(f"{option} {text}", "names no tag", f"{option} {text}:3")
    return name, tag


def _wrong(what: str, why: str, hint: str) -> InvalidInput:
    return InvalidInput(f"{what} {why}", code="wrong-image-name", hint=hint)
