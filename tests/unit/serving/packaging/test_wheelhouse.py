"""The wheelhouse: from its wheels alone, each with its hash, an environment is resolved and installed by uv itself."""

import zipfile
from pathlib import Path

import pytest

from slipway.registry.errors import Unavailable
from slipway.serving.packaging.environment import environment_files
from slipway.serving.packaging.layers import write_layer
from slipway.serving.packaging.requirements import WantedLibraries
from slipway.serving.packaging.wheelhouse import gather, install

AMD64 = "linux/amd64"
FILES = {"": "X = 1\n", "tests/test_x": "assert False\n", "needed": "Y = 2\n"}


def wheel(house: Path, name: str, version: str = "1.0", *, needs: str = "", tag: str = "py3-none-any") -> Path:
    """Write a wheel of a package with a test in it."""
    house.mkdir(exist_ok=True)
    about = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs and f'Requires-Dist: {needs}'}\n"
    path = house / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as file:
        for module, text in FILES.items():
            file.writestr(f"{name}/{module or '__init__'}.py", text)
        file.writestr(f"{about}/METADATA", metadata)
        file.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nGenerator: us\nRoot-Is-Purelib: true\nTag: {tag}\n")
        file.writestr(f"{about}/entry_points.txt", f"[console_scripts]\n{name} = {name}:main\n")
        file.writestr(f"{about}/RECORD", "")
    return path


def wanted(*requirements: str, constraints: tuple[str, ...] = ()) -> WantedLibraries:
    return WantedLibraries(requirements=requirements, constraints=constraints)


def test_what_requirements_lead_to_is_found_in_the_house(tmp_path: Path):
    """By the constraints, with the hash of each wheel; what else lies there is left out."""
    house = tmp_path / "house"
    wheel(house, "above", needs="below>=1")
    for version in ("1.0", "2.0"):
        wheel(house, "below", version)
    wheel(house, "beside")
    found = gather(wanted("above", constraints=("below==1.0",)), house, tmp_path, platform=AMD64, offline=True)
    assert [(each.name, each.version) for each in found] == [("above", "1.0"), ("below", "1.0")]
    assert all(len(each.sha256) == 64 for each in found)


def test_what_is_not_in_the_house_is_named(tmp_path: Path):
    """So is a wheel that is there for other machines alone."""
    house = tmp_path / "house"
    wheel(house, "below", tag="cp311-cp311-manylinux_2_28_aarch64")
    for name in ("above", "below"):
        with pytest.raises(Unavailable, match=name) as refused:
            gather(wanted(name), house, tmp_path, platform=AMD64, offline=True)
        assert "in the wheelhouse" in refused.value.hint
    (found,) = gather(wanted("below"), house, tmp_path, platform="linux/arm64", offline=True)
    assert found.file.name.endswith("aarch64.whl")


def test_a_wheel_for_a_newer_system_than_the_base_is_not_taken(tmp_path: Path):
    """It would not load there."""
    wheel(tmp_path / "house", "below", tag="cp311-cp311-manylinux_2_39_x86_64")
    with pytest.raises(Unavailable):
        gather(wanted("below"), tmp_path / "house", tmp_path, platform=AMD64, offline=True)


def test_a_wheel_that_was_changed_since_is_not_installed(tmp_path: Path):
    """Its hash is asked for."""
    house = tmp_path / "house"
    found = gather(wanted(wheel(house, "below").name.split("-")[0]), house, tmp_path, platform=AMD64, offline=True)
    wheel(house, "below", needs="evil")
    with pytest.raises(Unavailable, match=r"(?i)hash"):
        install(found, house, tmp_path, tmp_path / "environment", platform=AMD64)


def test_two_installations_are_one_layer(tmp_path: Path):
    """In two folders, without tests, and without scripts that name the Python that installed them."""
    house, layers = tmp_path / "house", []
    wheel(house, "below")
    for name in ("a", "b/deeper"):
        work = tmp_path / name
        work.mkdir(parents=True)
        found = gather(wanted("below"), house, work, platform=AMD64, offline=True)
        install(found, house, work, work / "environment", platform=AMD64)
        files = list(environment_files(work / "environment", frozenset()))
        layers.append(write_layer(files, work / "layer").digest)
    assert layers[0] == layers[1]
    paths = [file.path for file in files if "dist-info" not in file.path]
    assert paths == ["opt/slipway/below/__init__.py", "opt/slipway/below/needed.py"]


def test_a_test_that_serving_imports_is_kept(tmp_path: Path):
    """Some libraries take parts of their own from there."""
    place = tmp_path / "below" / "tests" / "test_x.py"
    place.parent.mkdir(parents=True)
    place.write_text("")
    kept = environment_files(tmp_path, frozenset({"below/tests/test_x.py"}))
    assert [file.path for file in kept] == ["opt/slipway/below/tests/test_x.py"]
    assert list(environment_files(tmp_path, frozenset())) == []
