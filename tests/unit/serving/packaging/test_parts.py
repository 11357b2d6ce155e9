"""What an image is made of: the version's own files and their card, above what serves them, and no word of a stage."""

import json
import tarfile
from pathlib import Path

import pytest

from slipway.registry.manifest import CARD, manifest_of
from slipway.serving.packaging.base_image import Base
from slipway.serving.packaging.bill_of_materials import bill_of
from slipway.serving.packaging.image_names import image_name
from slipway.serving.packaging.layers import LayerFile, write_layer
from slipway.serving.packaging.oci_layout import Image, Platform
from slipway.serving.packaging.parts import Runtime, images_of, model_layer, run_config
from slipway.serving.packaging.wheelhouse import Wheel
from slipway.serving.preparation.packaged import PackagedVersion, packaged_version

DEBIAN = {"libc6": "2.36-9+deb12u14"}


@pytest.fixture
def version(tmp_path: Path) -> PackagedVersion:
    """Return a version whose files lie in the folder `files`."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "MLmodel").write_text("flavors: {}")
    manifest = manifest_of(tmp_path / "files")
    return PackagedVersion(model="iris", number=3, identity="x", manifest=manifest, run_id="r1", git_commit="c0ffee")


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """Return a base of one file."""
    layer = write_layer([LayerFile(path="etc/base", content=b"")], tmp_path / "base")
    return Base(name="small", digest=layer.digest, layers=(layer,), environment={"LANG": "C"}, packages=DEBIAN)


def images(version: PackagedVersion, base: Base, folder: Path, *, baked: bool) -> list[Image]:
    runtime = Runtime(base=base, layers=[write_layer([LayerFile(path="opt/x", content=b"")], folder / "libraries")])
    model = model_layer(folder / "files", version, folder / "model")
    named = {"name": "slipway/iris:3", "created": "2026-01-01T00:00:00Z", "platform": Platform()}
    return images_of(version, [model], runtime, baked=baked, **named)


def test_a_models_layer_has_the_files_of_its_manifest_and_the_card(version: PackagedVersion, tmp_path: Path):
    """And nothing else that lies beside them; unpacked, it is what an engine serves."""
    (tmp_path / "files" / "registered_model_meta").write_text("model_name: iris\nalias: production\n")
    layer = model_layer(tmp_path / "files", version, tmp_path / "model")
    with tarfile.open(layer.file) as tar:
        assert [entry.name for entry in tar if entry.isreg()] == ["models/MLmodel", f"models/{CARD}"]
        tar.extractall(tmp_path / "unpacked", filter="data")
    assert packaged_version(tmp_path / "unpacked" / "models") == version


def test_two_images_share_nothing_but_the_version(version: PackagedVersion, base: Base, tmp_path: Path):
    """What serves is one of all versions; what holds is data, which has nothing to run."""
    serves, holds = images(version, base, tmp_path, baked=False)
    assert [len(serves.layers), len(holds.layers)] == [2, 1]
    assert (holds.config, serves.config["Cmd"]) == ({}, ["serve"])
    assert "io.slipway.version" not in serves.annotations
    assert holds.annotations["io.slipway.version"] == "iris/3"


def test_a_baked_image_has_the_layers_of_both(version: PackagedVersion, base: Base, tmp_path: Path):
    """What changes most lies above, so that images of two versions share all but the last."""
    (baked,) = images(version, base, tmp_path, baked=True)
    serves, holds = images(version, base, tmp_path, baked=False)
    both = [each.digest for each in [*serves.layers, *holds.layers]]
    assert [each.digest for each in baked.layers] == both


def test_labels_say_which_version_and_what_it_stands_on(version: PackagedVersion, base: Base, tmp_path: Path):
    """Version, digest, run and commit; of a version without a run, none."""
    (baked,) = images(version, base, tmp_path, baked=True)
    said = baked.annotations
    assert said["io.slipway.digest"] == version.manifest.digest
    assert (said["io.slipway.run"], said["org.opencontainers.image.revision"]) == ("r1", "c0ffee")
    assert said["org.opencontainers.image.base.digest"] == base.digest
    assert None not in said.values()


def test_it_runs_as_nobody_without_a_shell(base: Base):
    """In exec form, so that SIGTERM reaches the engine, with what the base's environment says kept."""
    config = run_config(base)
    assert (config["User"], config["StopSignal"]) == ("65532:65532", "SIGTERM")
    assert config["Entrypoint"][0] == "python3.11"
    assert all(isinstance(config[name], list) for name in ("Entrypoint", "Cmd", "Env"))
    assert {"LANG=C", "SLIPWAY_SERVING__IMAGE=/models"} <= set(config["Env"])


@pytest.mark.parametrize(
    ("model", "name"), [("Iris_V2", "slipway/iris-v2:1"), ("../../etc", "slipway/etc:1"), ("🌱", "slipway/model:1")]
)
def test_every_model_has_a_name_that_registries_take(model: str, name: str):
    """Small letters and digits, whatever people call their models."""
    assert image_name(model, 1) == name


def test_the_bill_lists_what_is_installed_and_what_the_base_has(base: Base, tmp_path: Path):
    """By name, release and hash; the same again gives the same bytes, another release others."""
    about = tmp_path / "environment" / "Small_Lib-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: Small_Lib\nVersion: 1.0\n")
    wheel = Wheel(name="small-lib", version="1.0", file=tmp_path, sha256="ab" * 32)
    made = [bill_of(tmp_path / "environment", [wheel], base, architecture="amd64") for _ in range(2)]
    assert made[0] == made[1]
    bill = json.loads(made[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert [(each["name"], each["version"]) for each in bill["components"]] == [("small-lib", "1.0"), *DEBIAN.items()]
    assert bill["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert bill["components"][1]["purl"] == "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12"
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: Small_Lib\nVersion: 1.1\n")
    other = json.loads(bill_of(tmp_path / "environment", [wheel], base, architecture="amd64"))
    assert other["serialNumber"] != bill["serialNumber"]


def test_every_cache_lies_where_an_image_may_write(base: Base):
    """Below /tmp: that of versions, and that of the files which a registry that is followed leads to."""
    environment = dict(each.split("=", 1) for each in run_config(base)["Env"])
    assert {name for name, place in environment.items() if place.startswith("/tmp/")} == {
        "SLIPWAY_SERVING__CACHE",
        "SLIPWAY_REGISTRY__CACHE",
    }
