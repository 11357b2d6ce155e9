"""An image as the Open Container Initiative's image layout has it: blobs by digest, and an index of what they make.

Documents are canonical JSON, so that the same image has the same digest. Beside the index stands Docker's own list
(`manifest.json`): `docker load` of every age reads the archive, and so do podman, skopeo and umoci.
Specification: opencontainers/image-spec 1.1, image-layout.md, manifest.md, config.md, annotations.md.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from slipway.serving.packaging.layers import Layer

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
REF_NAME = "org.opencontainers.image.ref.name"
LAYOUT = {"imageLayoutVersion": "1.0.0"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """What an image runs on, in the words of Go: `linux`, `amd64`."""

    os: str = "linux"
    architecture: str = "amd64"

    def __str__(self) -> str:
        return f"{self.os}/{self.architecture}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """What an image is made of; `config` says how it is run, in the words of the specification's `config` object."""

    name: str
    layers: Sequence[Layer]
    platform: Platform
    created: str
    config: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """An image in a layout. `digest` is its manifest's, by which it is pulled; `config` is Docker's image id."""

    name: str
    digest: str
    config: str
    size_bytes: int
    unpacked_bytes: int


def write_layout(images: Sequence[Image], into: Path) -> tuple[Packed, ...]:
    """Write images into an empty folder as one layout; what they share lies there once."""
    (into / "blobs" / "sha256").mkdir(parents=True)
    packed = tuple(_packed(image, into) for image in images)
    described = [_in_index(image, each, into) for image, each in zip(images, packed, strict=True)]
    (into / "oci-layout").write_bytes(canonical(LAYOUT))
    (into / "index.json").write_bytes(canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": described}))
    docker = [_for_docker(image, each) for image, each in zip(images, packed, strict=True)]
    (into / "manifest.json").write_bytes(canonical(docker))
    return packed


def write_archive(layout: Path, into: Path) -> None:
    """Write a layout as one tar file, whole or not at all; the same layout gives the same bytes."""
    draft = into.with_name(f"{into.name}.part-{os.getpid()}")
    try:
        with tarfile.open(draft, "w", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(layout.rglob("*")):
                tar.add(path, path.relative_to(layout).as_posix(), recursive=False, filter=_plain)
        draft.replace(into)
    finally:
        draft.unlink(missing_ok=True)


def canonical(document: Any) -> bytes:
    """Return JSON of which there is one for a document."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _packed(image: Image, into: Path) -> Packed:
    for layer in image.layers:
        _keep_layer(layer, into)
    config = _keep(canonical(_config_of(image)), into)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **config},
        "layers": [
            {"mediaType": each.media_type, "digest": each.digest, "size": each.size_bytes} for each in image.layers
        ],
        "annotations": dict(image.annotations),
    }
    stored = _keep(canonical(manifest), into)
    return Packed(
        name=image.name,
        digest=stored["digest"],
        config=config["digest"],
        size_bytes=sum(layer.size_bytes for layer in image.layers),
        unpacked_bytes=sum(layer.unpacked_bytes for layer in image.layers),
    )


def _config_of(image: Image) -> dict[str, Any]:
    return {
        "created": image.created,
        **asdict(image.platform),
        "config": {**image.config, "Labels": dict(image.annotations)},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
        "history": [{"created": image.created, "created_by": "slipway image"} for _ in image.layers],
    }


def _in_index(image: Image, packed: Packed, into: Path) -> dict[str, Any]:
    return {
        "mediaType": MANIFEST,
        "digest": packed.digest,
        "size": blob(into, packed.digest).stat().st_size,
        "platform": asdict(image.platform),
        "annotations": {REF_NAME: image.name},
    }


def _for_docker(image: Image, packed: Packed) -> dict[str, Any]:
    layers = [_place(layer.digest) for layer in image.layers]
    return {"Config": _place(packed.config), "RepoTags": [image.name], "Layers": layers}


def blob(layout: Path, digest: str) -> Path:
    """Return where a layout has what a digest names."""
    return layout / _place(digest)


def _place(digest: str) -> str:
    kind, _, name = digest.partition(":")
    return f"blobs/{kind}/{name}"


def _keep(content: bytes, into: Path) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blob(into, digest).write_bytes(content)
    return {"digest": digest, "size": len(content)}


def _keep_layer(layer: Layer, into: Path) -> None:
    """Put a layer among the blobs: by a link where the disk is the same, for it is large."""
    place = blob(into, layer.digest)
    if place.exists():
        return
    try:
        os.link(layer.file, place)
    except OSError:
        shutil.copyfile(layer.file, place)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = 0
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry
