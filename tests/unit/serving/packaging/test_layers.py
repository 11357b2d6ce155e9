"""Layers: the same files give the same bytes, and nothing of where and when they were written is in them."""

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.registry.errors import InvalidInput
from slipway.serving.packaging.layers import LayerFile, files_of, repacked, write_layer

FILES = [
    LayerFile(path="models/MLmodel", content=b"flavors: {}"),
    LayerFile(path="models/a/b.npz", content=b"\0" * 999),
]


def entries(layer: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer) as tar:
        return {entry.name: entry for entry in tar.getmembers()}


def test_the_order_of_files_is_no_part_of_a_layer(tmp_path: Path):
    """Whoever walks the folder the other way gets the same digest."""
    one, other = write_layer(FILES, tmp_path / "1"), write_layer(FILES[::-1], tmp_path / "2")
    assert (one.digest, one.diff_id) == (other.digest, other.diff_id)


def test_owner_time_and_umask_are_no_part_of_a_layer(tmp_path: Path):
    """Two folders with the same content, written by others at another time, are one layer."""
    layers = []
    for number, mode in enumerate((0o600, 0o664)):
        folder = tmp_path / str(number)
        (folder / "x").mkdir(parents=True)
        (folder / "x" / "file").write_text("same")
        (folder / "x" / "file").chmod(mode)
        os.utime(folder / "x" / "file", (number, number))
        layers.append(write_layer(files_of(folder, "models"), tmp_path / f"{number}.layer"))
    assert layers[0].digest == layers[1].digest
    found = entries(layers[0].file)
    assert list(found) == ["models", "models/x", "models/x/file"]
    assert {(e.uid, e.gid, e.uname, e.mtime) for e in found.values()} == {(0, 0, "", 0)}
    assert [e.mode for e in found.values()] == [0o755, 0o755, 0o644]


def test_what_a_layer_says_of_itself_is_what_it_is(tmp_path: Path):
    """Digest and size are the file's, the diff id that of the tar in it, as every engine computes them."""
    layer = write_layer(FILES, tmp_path / "layer")
    stored = layer.file.read_bytes()
    unpacked = gzip.decompress(stored)
    assert layer.digest == f"sha256:{hashlib.sha256(stored).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(unpacked).hexdigest()}"
    assert (layer.size_bytes, layer.unpacked_bytes) == (len(stored), len(unpacked))


@given(
    content=st.dictionaries(st.from_regex(r"[a-zé]{1,120}(/[A-Z ]{1,9}){0,2}", fullmatch=True), st.binary(), max_size=4)
)
def test_every_byte_comes_out_again(content: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory):
    """Long names, names that are not ASCII, and empty files, too."""
    folder = tmp_path_factory.mktemp("layer")
    if {parent for path in content for parent in map(str, Path(path).parents)} & set(content):
        return
    layer = write_layer([LayerFile(path=path, content=data) for path, data in content.items()], folder / "layer")
    with tarfile.open(layer.file) as tar:
        found = {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers() if entry.isreg()}
    assert found == content


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a//b", "a/./b", "a/..", ""])
def test_no_file_leads_out_of_the_image(path: str, tmp_path: Path):
    """A path is below the root, in the one way to write it."""
    with pytest.raises(InvalidInput, match="no path in an image"):
        write_layer([LayerFile(path=path, content=b"")], tmp_path / "layer")


def test_no_file_hides_another(tmp_path: Path):
    """Which of two would be there depended on the order."""
    with pytest.raises(InvalidInput, match="two files"):
        write_layer([FILES[0], FILES[0]], tmp_path / "layer")


def test_a_root_file_system_keeps_owners_and_links_and_loses_its_times(tmp_path: Path):
    """Two tars of one system, made at different times and in different orders, are one layer without devices."""
    made = []
    for turn in (1, 2):
        names = ["./etc/group", "./bin", "./etc/shadow"][:: 1 if turn == 1 else -1]
        with tarfile.open(tmp_path / f"{turn}.tar", "w") as tar:
            for name in [*names, "./dev/null"]:
                entry = tarfile.TarInfo(name)
                entry.mtime, entry.mode, entry.gid, entry.uname = turn, 0o640, 42, f"user{turn}"
                if name == "./bin":
                    entry.type, entry.linkname = tarfile.SYMTYPE, "usr/bin"
                if name == "./dev/null":
                    entry.type = tarfile.CHRTYPE
                tar.addfile(entry)
        made.append(repacked(tmp_path / f"{turn}.tar", tmp_path / f"{turn}.layer"))
    assert made[0].digest == made[1].digest
    found = entries(made[0].file)
    assert list(found) == ["bin", "etc/group", "etc/shadow"]
    assert (found["bin"].linkname, found["etc/shadow"].gid, found["etc/shadow"].mode) == ("usr/bin", 42, 0o640)
