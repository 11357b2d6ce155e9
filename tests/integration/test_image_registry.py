"""Images at a real registry: what is pushed, what is not sent again, and bases that are fetched by digest."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.serving.packaging.base_image import open_base
from slipway.serving.packaging.layers import LayerFile, write_layer
from slipway.serving.packaging.oci_layout import (
    INDEX,
    MANIFEST,
    Image,
    Packed,
    Platform,
    blob,
    canonical,
    write_archive,
    write_layout,
)
from slipway.serving.packaging.skopeo import push
from tests.conftest import missing
from tests.servers.image_registry import ImageRegistry, image_registry, missing_programs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("image")]
CREATED = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageRegistry]:
    """Return a registry without TLS on loopback."""
    if absent := missing_programs():
        missing(f"no registry of images: {', '.join(absent)} not installed (docker-registry, skopeo): tests NOT run")
    with image_registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


def image(folder: Path, *contents: str, architecture: str = "amd64") -> Packed:
    """Write an image of small layers into `folder`, and beside it its archive."""
    folder.mkdir()
    layers = [
        write_layer([LayerFile(path=each, content=each.encode())], folder / f"{n}") for n, each in enumerate(contents)
    ]
    platform = Platform(architecture=architecture)
    made = Image(name="slipway/iris:1", layers=layers, platform=platform, created=CREATED)
    (packed,) = write_layout([made], folder / "layout")
    write_archive(folder / "layout", folder / "image.tar")
    return packed


def layers_of(packed: Packed, folder: Path) -> list[str]:
    manifest = json.loads(blob(folder / "layout", packed.digest).read_bytes())
    return [each["digest"] for each in manifest["layers"]]


def digest_at(place: str) -> str:
    words = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", f"docker://{place}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_of_a_next_version_only_its_own_layer_is_sent(registry: ImageRegistry, tmp_path: Path):
    """The registry has each image under its digest, and of what they share got one copy."""
    first = image(tmp_path / "1", "base", "libraries", "model-1")
    second = image(tmp_path / "2", "base", "libraries", "model-2")
    push(tmp_path / "1" / "image.tar", first.name, f"{registry.host}/iris:1")
    sent = registry.uploads()
    assert sent == {*layers_of(first, tmp_path / "1"), first.config}
    push(tmp_path / "2" / "image.tar", second.name, f"{registry.host}/iris:2")
    assert registry.uploads() - sent == {layers_of(second, tmp_path / "2")[-1], second.config}
    for packed, tag in ((first, 1), (second, 2)):
        assert digest_at(f"{registry.host}/iris:{tag}") == packed.digest
    push(tmp_path / "2" / "image.tar", second.name, f"{registry.host}/iris:2")
    assert len(registry.uploads()) == len(sent) + 2, "nothing is sent twice"


def test_a_registry_that_is_not_there_leaves_the_archive_and_says_how_to_push_it(tmp_path: Path):
    """With skopeo's words, and the command that does it later."""
    packed = image(tmp_path / "1", "base")
    with pytest.raises(Unavailable, match="could not be pushed") as refused:
        push(tmp_path / "1" / "image.tar", packed.name, "127.0.0.1:1/iris:1")
    assert "connection refused" in refused.value.message
    assert "level=" not in refused.value.message
    assert (
        f"--dest-tls-verify=false oci-archive:{tmp_path}/1/image.tar:{packed.name} docker://127.0.0.1:1/iris:1"
        in refused.value.hint
    )


def test_a_base_is_fetched_by_its_digest(registry: ImageRegistry, tmp_path: Path):
    """It has the digest that it was asked for by, and its layers; one that is not there cannot be had."""
    packed = image(tmp_path / "base", "usr", "python")
    push(tmp_path / "base" / "image.tar", packed.name, f"{registry.host}/base:1")
    name = f"docker://{registry.host}/base"
    base = open_base(f"{name}@{packed.digest}", tmp_path, platform="linux/amd64")
    assert (base.name, base.digest) == (f"{registry.host}/base", packed.digest)
    assert [each.digest for each in base.layers] == layers_of(packed, tmp_path / "base")
    with pytest.raises(Unavailable, match=r"cannot be fetched: .*manifest unknown"):
        open_base(f"{name}@sha256:{'0' * 64}", tmp_path, platform="linux/amd64")
    for tagged in (f"{name}:1", name, f"{name}:1@{packed.digest}", f"{name}@sha256:12"):
        with pytest.raises(InvalidInput) as refused:
            open_base(tagged, tmp_path, platform="linux/amd64")
        assert f"write {name}@sha256:" in refused.value.hint


def test_of_a_list_the_image_of_the_platform_is_taken(registry: ImageRegistry, tmp_path: Path):
    """Whatever this machine is; the base keeps the list's digest, by which it was asked for."""
    made = {each: image(tmp_path / each, f"python-{each}", architecture=each) for each in ("amd64", "arm64")}
    for each, packed in made.items():
        push(tmp_path / each / "image.tar", packed.name, f"{registry.host}/list:{each}")
    described = [
        {
            "mediaType": MANIFEST,
            "digest": packed.digest,
            "size": blob(tmp_path / each / "layout", packed.digest).stat().st_size,
            "platform": {"os": "linux", "architecture": each},
        }
        for each, packed in made.items()
    ]
    index = canonical({"schemaVersion": 2, "mediaType": INDEX, "manifests": described})
    url = f"http://{registry.host}/v2/list/manifests/all"
    put = urllib.request.Request(url, data=index, method="PUT", headers={"Content-Type": INDEX})
    with urllib.request.urlopen(put) as answer:
        listed = answer.headers["Docker-Content-Digest"]
    for each, packed in made.items():
        name = f"docker://{registry.host}/list@{listed}"
        (tmp_path / "work" / each).mkdir(parents=True)
        base = open_base(name, tmp_path / "work" / each, platform=f"linux/{each}")
        assert base.digest == listed
        assert [layer.digest for layer in base.layers] == layers_of(packed, tmp_path / each)
    with pytest.raises(Unavailable, match=r"no image found in .* for architecture s390x"):
        open_base(f"docker://{registry.host}/list@{listed}", tmp_path, platform="linux/s390x")
