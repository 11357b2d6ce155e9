"""What an image stands on: a base that is named for good, whose blobs are what their digests say."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from slipway.registry.errors import Corrupt, InvalidInput, NotFound, SlipwayError, Unavailable
from slipway.serving.packaging.base_image import Base, open_base
from slipway.serving.packaging.layers import LayerFile, write_layer
from slipway.serving.packaging.oci_layout import Image, Packed, Platform, blob, write_archive, write_layout

STATUS = "Package: libc6\nVersion: 2.36\nStatus: install ok installed\n\nPackage: tzdata\nVersion: 2026f\n"


@pytest.fixture
def packed(tmp_path: Path) -> Packed:
    """Return a base that lies in the folder `layout`."""
    files = [LayerFile(path="var/lib/dpkg/status", content=STATUS.encode()), LayerFile(path="bin/x", content=b"x")]
    layers = [write_layer(files, tmp_path / "layer")]
    config = {"Env": ["PATH=/usr/bin", "LANG=C=UTF"]}
    image = Image(name="base:1", layers=layers, platform=Platform(), created="2026-01-01T00:00:00Z", config=config)
    return write_layout([image], tmp_path / "layout")[0]


def opened(name: str, folder: Path, platform: str = "linux/amd64") -> Base:
    return open_base(name, folder, platform=platform)


def test_a_base_in_a_folder_and_in_an_archive_is_the_same(packed: Packed, tmp_path: Path):
    """With its digest, its layers, its environment and what Debian installed in it; no image has their paths in it."""
    write_archive(tmp_path / "layout", tmp_path / "base.tar")
    for name in (f"oci:{tmp_path}/layout", f"oci-archive:{tmp_path}/base.tar"):
        base = opened(name, tmp_path)
        assert (base.name, base.digest, len(base.layers)) == ("layout", packed.digest, 1)
        assert base.layers[0].unpacked_bytes == len(gzip.decompress(base.layers[0].file.read_bytes()))
        assert base.environment == {"PATH": "/usr/bin", "LANG": "C=UTF"}
        assert base.packages == {"libc6": "2.36", "tzdata": "2026f"}


def test_a_blob_that_was_changed_is_no_base(packed: Packed, tmp_path: Path):
    """Neither a layer nor a document: what is built on it would be vouched for by us."""
    for path in sorted((tmp_path / "layout" / "blobs" / "sha256").iterdir()):
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        with pytest.raises(Corrupt, match="is named"):
            opened(f"oci:{tmp_path}/layout", tmp_path)
        path.write_bytes(before)
    assert opened(f"oci:{tmp_path}/layout", tmp_path).digest == packed.digest


def test_a_layer_that_holds_something_else_than_the_config_says_is_no_base(packed: Packed, tmp_path: Path):
    """A manifest may name any layer for a diff id: engines compare them, and so do we."""
    layout = tmp_path / "layout"
    manifest = json.loads(blob(layout, packed.digest).read_bytes())
    other = write_layer([LayerFile(path="bin/y", content=b"y")], tmp_path / "other")
    blob(layout, other.digest).write_bytes(other.file.read_bytes())
    manifest["layers"][0] |= {"digest": other.digest, "size": other.size_bytes}
    content = json.dumps(manifest).encode()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    blob(layout, digest).write_bytes(content)
    index = json.loads((layout / "index.json").read_text())
    index["manifests"][0] |= {"digest": digest, "size": len(content)}
    (layout / "index.json").write_text(json.dumps(index))
    with pytest.raises(Corrupt):
        opened(f"oci:{layout}", tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("python:3.11-slim", InvalidInput, "unknown-base"),
        ("oci:", InvalidInput, "unknown-base"),
        ("docker://python:3.11-slim", InvalidInput, "base-without-digest"),
        ("oci:/nowhere", NotFound, "no-base"),
        ("oci-archive:/nowhere", NotFound, "no-base"),
    ],
)
def test_what_is_no_base_or_not_always_the_same_is_refused(
    name: str, kind: type[SlipwayError], code: str, tmp_path: Path
):
    """A tag means another image tomorrow; the error says how to find today's digest."""
    with pytest.raises(kind) as refused:
        opened(name, tmp_path)
    assert refused.value.code == code


def test_a_base_for_another_platform_is_refused(packed: Packed, tmp_path: Path):
    """Its Python would not run what is laid above it."""
    with pytest.raises(InvalidInput, match=r"has 0 images for linux/arm64"):
        opened(f"oci:{tmp_path}/layout", tmp_path, platform="linux/arm64")


def test_without_what_makes_a_base_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Or which other base to name."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("distroless", f"docker://python@sha256:{'0' * 64}"):
        with pytest.raises(Unavailable) as refused:
            opened(name, tmp_path)
        assert "apt-get install" in refused.value.hint
