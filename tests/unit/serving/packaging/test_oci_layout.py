"""The image layout: every document names what it stands on by digest, and the same image has the same digest."""

import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from slipway.serving.packaging.layers import Layer, LayerFile, write_layer
from slipway.serving.packaging.oci_layout import Image, Platform, blob, write_archive, write_layout

CREATED = "2026-01-01T00:00:00Z"


def layer(folder: Path, path: str) -> Layer:
    return write_layer([LayerFile(path=path, content=path.encode())], folder / path)


def images(folder: Path) -> list[Image]:
    """Two images that share a layer."""
    folder.mkdir(parents=True)
    below, above = layer(folder, "lib"), layer(folder, "models")
    config = {"User": "65532", "Entrypoint": ["python3.11"]}
    common: dict[str, Any] = {
        "platform": Platform(),
        "created": CREATED,
        "annotations": {"org.opencontainers.image.version": "3"},
    }
    runtime = Image(name="slipway/runtime:1", layers=[below], config=config, **common)
    return [runtime, Image(name="slipway/iris:3", layers=[below, above], config=config, **common)]


def document(layout: Path, digest: str) -> Any:
    return json.loads(blob(layout, digest).read_bytes())


def test_every_blob_is_what_its_name_says(tmp_path: Path):
    """Nothing in a layout has to be taken on trust."""
    write_layout(images(tmp_path / "in"), tmp_path / "out")
    blobs = list((tmp_path / "out" / "blobs" / "sha256").iterdir())
    assert [path.name for path in blobs] == [hashlib.sha256(path.read_bytes()).hexdigest() for path in blobs]
    assert len(blobs) == 2 + 2 * 2, "two layers, of which one is shared; a config and a manifest for each image"


def test_the_index_leads_to_config_and_layers(tmp_path: Path):
    """As the specification has them: media types, sizes, platform, and diff ids in the order of the layers."""
    given = images(tmp_path / "in")
    packed = write_layout(given, tmp_path / "out")
    layout = tmp_path / "out"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    described = json.loads((layout / "index.json").read_text())["manifests"][1]
    assert described["platform"] == {"os": "linux", "architecture": "amd64"}
    assert described["annotations"] == {"org.opencontainers.image.ref.name": "slipway/iris:3"}
    assert described["size"] == blob(layout, described["digest"]).stat().st_size
    manifest = document(layout, described["digest"])
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, described["mediaType"])
    assert [each["digest"] for each in manifest["layers"]] == [each.digest for each in given[1].layers]
    assert [each["size"] for each in manifest["layers"]] == [each.size_bytes for each in given[1].layers]
    assert manifest["annotations"] == {"org.opencontainers.image.version": "3"}
    config = document(layout, manifest["config"]["digest"])
    assert config["rootfs"] == {"type": "layers", "diff_ids": [each.diff_id for each in given[1].layers]}
    assert config["config"]["User"] == "65532"
    assert config["config"]["Labels"] == manifest["annotations"]
    assert (config["os"], config["architecture"], config["created"]) == ("linux", "amd64", CREATED)
    assert (packed[1].digest, packed[1].config) == (described["digest"], manifest["config"]["digest"])


def test_docker_finds_the_same_image_in_the_archive(tmp_path: Path):
    """Engines that know no layouts read a list of their own, which names the same config and layers."""
    packed = write_layout(images(tmp_path / "in"), tmp_path / "out")
    write_archive(tmp_path / "out", tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as tar:
        listed = json.loads(tar.extractfile("manifest.json").read())
        assert [each["RepoTags"] for each in listed] == [["slipway/runtime:1"], ["slipway/iris:3"]]
        assert listed[1]["Config"] == f"blobs/sha256/{packed[1].config.removeprefix('sha256:')}"
        assert {name for each in listed for name in [each["Config"], *each["Layers"]]} <= set(tar.getnames())


def test_two_folders_give_one_archive(tmp_path: Path):
    """Byte for byte, so that a digest names what anybody can make again."""
    for place in ("a", "b/deeper"):
        write_layout(images(tmp_path / place / "in"), tmp_path / place / "out")
        write_archive(tmp_path / place / "out", tmp_path / place / "image.tar")
    one, other = (tmp_path / place / "image.tar" for place in ("a", "b/deeper"))
    assert one.read_bytes() == other.read_bytes()


def test_an_archive_is_there_whole_or_not_at_all(tmp_path: Path):
    """Nothing of a draft stays beside it."""
    write_layout(images(tmp_path / "in"), tmp_path / "out")
    (tmp_path / "done").mkdir()
    write_archive(tmp_path / "out", tmp_path / "done" / "image.tar")
    assert [path.name for path in (tmp_path / "done").iterdir()] == ["image.tar"]
    assert re.fullmatch("[0-9a-f]{64}", next((tmp_path / "out" / "blobs" / "sha256").iterdir()).name)
