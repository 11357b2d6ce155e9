"""What a model costs its image: formats that may run code are told, and libraries that weigh."""

import pickle
from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.version import parse_ref
from slipway.serving.packaging.costs import costs_of
from slipway.serving.packaging.image_commands import _archive
from slipway.serving.packaging.wheelhouse import Wheel, machine_of


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the folder of a model without anything that runs."""
    (tmp_path / "MLmodel").write_text("flavors: {python_function: {loader_module: mlflow.sklearn}}\n")
    (tmp_path / "data.txt").write_text("plain")
    return tmp_path


def test_a_plain_model_costs_nothing(model: Path):
    """Its own files are all that it brings."""
    assert list(costs_of(model, [])) == []


def test_a_pickle_is_told_by_what_is_in_it(model: Path):
    """Whatever it is called."""
    (model / "data.txt").write_bytes(pickle.dumps([1]))
    (said,) = costs_of(model, [])
    assert "ships a pickle (data.txt)" in said
    assert "in a process of its own" in said


def test_code_is_told(model: Path):
    """It runs with the engine's rights."""
    (model / "MLmodel").write_text("flavors: {python_function: {loader_module: m, code: code}}\n")
    (said,) = costs_of(model, [])
    assert "it ships code (code)" in said


def test_a_heavy_library_is_told_with_its_size(model: Path):
    """From a hundred megabytes on."""
    (model.parent / "wheel").mkdir(exist_ok=True)
    heavy, light = model.parent / "wheel" / "heavy", model.parent / "wheel" / "light"
    with heavy.open("wb") as file:
        file.truncate(200 * 10**6)
    light.write_bytes(b"")
    wheels = [Wheel(name=f.name, version="1", file=f, sha256="") for f in (heavy, light)]
    assert list(costs_of(model, wheels)) == ["heavy 1 takes 200 MB of the image, compressed"]


def test_a_platform_that_no_base_has_is_refused():
    """Before anything is fetched."""
    with pytest.raises(InvalidInput, match=r"there are: linux/amd64, linux/arm64"):
        machine_of("windows/amd64")


def test_an_archive_is_called_after_what_was_asked_for():
    """A place with a colon in it is one; what is no archive is refused."""
    assert _archive(None, parse_ref("iris@production")).name == "iris-production.tar"
    assert _archive("oci-archive:/a/b.tar", parse_ref("iris/1")) == Path("/a/b.tar")
    assert _archive("b.tar", parse_ref("iris/1")) == Path("b.tar").absolute()
    for output in ("docker-daemon:x", "oci:folder", "oci-archive:"):
        with pytest.raises(InvalidInput, match="only archives are written"):
            _archive(output, parse_ref("iris/1"))
