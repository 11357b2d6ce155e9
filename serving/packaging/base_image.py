"""What an image stands on: a base in an image layout, whoever made it, or none but Debian's packages.

A name at a registry has to be a digest: what a tag means tomorrow nobody knows. skopeo fetches it.
"""

import gzip
import hashlib
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from slipway.registry.errors import Corrupt, InvalidInput, NotFound
from slipway.serving.packaging.debian_base import make_base
from slipway.serving.packaging.image_names import AT_REGISTRY
from slipway.serving.packaging.layers import Layer, repacked
from slipway.serving.packaging.oci_layout import blob
from slipway.serving.packaging.skopeo import fetch

DISTROLESS = "distroless"
STATUS = ("var/lib/dpkg/status", "var/lib/dpkg/status.d/")
BY_DIGEST = re.compile(rf"{AT_REGISTRY}[^:@]+(:[0-9]+/[^:@]+)?@sha256:[0-9a-f]{{64}}")
# A layout is called by no path: the image would be another one in every folder.
LAYOUT = "layout"
CHUNK_BYTES = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """A base: its layers, how it is run, and the Debian packages in it, name → version.

    `digest` names it: as it was asked for at a registry, else its manifest, or what the only layer holds of one
    that was made here.
    """

    name: str
    digest: str
    layers: tuple[Layer, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)


def open_base(name: str, work: Path, *, platform: str) -> Base:
    """Return the base that a name means: `distroless`, `oci:FOLDER`, `oci-archive:FILE`, `docker://NAME@sha256:…`.

    Raises
    ------
    InvalidInput
        The name means no base, or not always the same one.
    NotFound, Corrupt
        There is none, or a blob is not what its digest says.
    Unavailable
        What makes or fetches it is not there.
    """
    kind, _, place = name.partition(":")
    if name == DISTROLESS:
        return _made(work, platform)
    if kind == "oci" and place:
        return _in_layout(Path(place), name, platform)
    if kind == "oci-archive" and place:
        return _in_layout(_unpacked(Path(place), work / "base"), name, platform)
    if name.startswith(AT_REGISTRY):
        return _at_registry(name, work, platform)
    raise InvalidInput(
        f"{name!r} is no base",
        code="unknown-base",
        hint="write distroless, oci:FOLDER, oci-archive:FILE, or docker://NAME@sha256:…",
    )


def _made(work: Path, platform: str) -> Base:
    make_base(work / "base.tar", work, platform=platform)
    layer = repacked(work / "base.tar", work / "base.layer")
    packages = _packages((layer,))
    return Base(name=DISTROLESS, digest=layer.diff_id, layers=(layer,), packages=packages)


def _at_registry(name: str, work: Path, platform: str) -> Base:
    """Return a base by the digest that it was named by, of its manifest or of a list of them."""
    if not BY_DIGEST.fullmatch(name):
        plain = re.sub(r"(:[^:/]*)?(@.*)?$", "", name.removeprefix(AT_REGISTRY))
        raise InvalidInput(
            f"{name} may mean another image tomorrow, or none",
            code="base-without-digest",
            hint=f"write {AT_REGISTRY}{plain}@sha256:…, as skopeo inspect --format '{{{{.Digest}}}}' {name} has it",
        )
    found = _in_layout(fetch(name, work / "base", platform=platform), name, platform)
    place, _, digest = name.removeprefix(AT_REGISTRY).partition("@")
    return replace(found, name=place, digest=digest)


def _unpacked(archive: Path, into: Path) -> Path:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(into, filter="data")
    except (OSError, tarfile.TarError) as error:
        raise NotFound(f"{archive} is no archive of an image: {error}", code="no-base", hint=None) from error
    return into


def _in_layout(layout: Path, name: str, platform: str) -> Base:
    try:
        described = json.loads((layout / "index.json").read_text())["manifests"]
    except (OSError, ValueError, KeyError) as error:
        raise NotFound(f"{layout} is no image layout: {error}", code="no-base", hint=None) from error
    digest = _of_platform(described, layout, platform, name)
    manifest = _document(layout, digest)
    config = _document(layout, manifest["config"]["digest"])
    found = f"{config.get('os')}/{config.get('architecture')}"
    if found != platform:
        raise InvalidInput(f"{name} is for {found}, and the image for {platform}", code="other-platform", hint=None)
    pairs = zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)
    layers = tuple(_layer(layout, each, diff_id) for each, diff_id in pairs)
    environment = dict(each.split("=", 1) for each in config.get("config", {}).get("Env") or ())
    return Base(name=LAYOUT, digest=digest, layers=layers, environment=environment, packages=_packages(layers))


def _of_platform(described: Any, layout: Path, platform: str, name: str) -> str:
    """Return the digest of the one manifest for a platform; an index in the index is followed."""
    for each in described:
        if "index" in each["mediaType"] or "manifest.list" in each["mediaType"]:
            return _of_platform(_document(layout, each["digest"])["manifests"], layout, platform, name)
    fitting = [each for each in described if _platform(each) in (None, platform)]
    if len(fitting) != 1:
        raise InvalidInput(
            f"{name} has {len(fitting)} images for {platform}", code="which-base", hint="name one with one"
        )
    return str(fitting[0]["digest"])


def _platform(described: Mapping[str, Any]) -> str | None:
    found = described.get("platform")
    return f"{found['os']}/{found['architecture']}" if found else None


def _document(layout: Path, digest: str) -> Any:
    path = blob(layout, digest)
    content = path.read_bytes() if path.is_file() else b""
    _require(digest, f"sha256:{hashlib.sha256(content).hexdigest()}")
    return json.loads(content)


def _layer(layout: Path, described: Mapping[str, Any], diff_id: str) -> Layer:
    """Return a layer of a base, of which both digests were compared: it becomes a part of what we vouch for."""
    path = blob(layout, described["digest"])
    if not described["mediaType"].endswith(("tar+gzip", "tar.gzip")):
        hint = "skopeo copy --dest-compress-format gzip makes such a one"
        raise InvalidInput(f"a layer of the base is {described['mediaType']}, not gzip", code="unknown-base", hint=hint)
    unpacked, size = hashlib.sha256(), 0
    with path.open("rb") as stored:
        _require(described["digest"], f"sha256:{hashlib.file_digest(stored, 'sha256').hexdigest()}")
    with gzip.open(path) as content:
        while chunk := content.read(CHUNK_BYTES):
            unpacked.update(chunk)
            size += len(chunk)
    _require(diff_id, f"sha256:{unpacked.hexdigest()}")
    return Layer(
        file=path, digest=described["digest"], diff_id=diff_id, size_bytes=path.stat().st_size, unpacked_bytes=size
    )


def _require(said: str, found: str) -> None:
    if said != found:
        raise Corrupt(f"a blob of the base is {found}, and is named {said}", code="base-changed", hint="fetch it anew")


def _packages(layers: tuple[Layer, ...]) -> Mapping[str, str]:
    """Return the Debian packages of a root file system, as its database or the list of a distroless one has them."""
    found: dict[str, str] = {}
    for layer in layers:
        with tarfile.open(layer.file) as tar:
            for entry in tar:
                if (
                    entry.isreg()
                    and entry.name.removeprefix("./").startswith(STATUS)
                    and (file := tar.extractfile(entry))
                ):
                    if "/status.d/" not in entry.name:
                        found.clear()  # the whole database, as this layer leaves it
                    found |= _in_status(file.read().decode(errors="replace"))
    return dict(sorted(found.items()))


def _in_status(text: str) -> Mapping[str, str]:
    stanzas = (HeaderParser().parsestr(stanza) for stanza in text.split("\n\n") if stanza.strip())
    return {each["Package"]: each["Version"] for each in stanzas if each["Package"] and each["Version"]}
