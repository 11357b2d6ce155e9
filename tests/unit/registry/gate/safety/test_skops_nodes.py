"""A skops file is read strictly: what skops would not have written so is not proved, whatever it would make."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io

from slipway.registry.gate.safety.contents import is_skops, is_torch
from slipway.registry.gate.safety.skops_nodes import MOST_SCHEMA_BYTES, NotAsWrittenError, read_skops
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from tests.generators.hostile_skops import REWRITTEN, ZIP, Document, edited, number_of_another


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a file may be written."""
    return tmp_path / "model.skops"


def test_what_skops_writes_is_read(path: Path):
    """With the attributes of the model and of what is in it."""
    path.write_bytes(edited(lambda schema: None))
    model = read_skops(path)
    assert (model.kind, model.type) == ("ObjectNode", "sklearn.pipeline.Pipeline")
    assert [step.parts[0][1].plain for _, step in model.part("state").part("steps").parts] == ["scale", "log"]


@pytest.mark.parametrize(("said", "edit"), REWRITTEN, ids=lambda each: getattr(each, "__name__", ""))
def test_what_skops_would_not_write_is_refused(path: Path, said: str, edit: Callable[[Document], None]):
    """With what is wrong and where."""
    path.write_bytes(edited(edit, **{"zip.npy": ZIP}))
    with pytest.raises(NotAsWrittenError) as refused:
        read_skops(path)
    assert said in str(refused.value)


def test_a_number_that_is_used_twice_would_exchange_values(path: Path):
    """Skops finds nothing in the file, and takes the type of earlier for the function that is written there."""
    path.write_bytes(edited(number_of_another))
    assert untrusted_types(path) == []
    assert skops.io.load(path).named_steps["log"].func is str


@pytest.mark.parametrize(
    ("found", "instead"),
    [(b"PK\x01\x02", b"PK\x01\x00"), (b"schema.json", b"schema.jsom"), (b"PK\x03\x04", b"PK\x03\x00")],
)
def test_a_damaged_file_is_not_as_written(path: Path, found: bytes, instead: bytes):
    """Without a traceback, whatever of the zip is damaged."""
    path.write_bytes(edited(lambda schema: None).replace(found, instead))
    assert not is_skops(path)
    assert not is_torch(path)
    with pytest.raises(NotAsWrittenError, match="it cannot be read"):
        read_skops(path)


def test_a_file_whose_schema_is_encrypted_is_not_as_written(path: Path):
    """Python's zip raises an error of its own kind there."""
    content = bytearray(edited(lambda schema: None))
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := content.find(signature, place + 1)) >= 0:
            content[place + flags] |= 1
    path.write_bytes(bytes(content))
    assert is_skops(path)
    with pytest.raises(NotAsWrittenError, match="it cannot be read: RuntimeError"):
        read_skops(path)


def test_a_file_that_skops_cannot_read_is_not_as_written(path: Path):
    """Whatever skops raises."""
    path.write_bytes(b"no zip")
    with pytest.raises(NotAsWrittenError, match="skops cannot read it: BadZipFile"):
        untrusted_types(path)


def test_a_schema_that_unpacks_to_far_more_than_any_model_has_is_not_read(path: Path):
    """A file of little more than nothing would else keep whoever judges it for minutes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * (MOST_SCHEMA_BYTES + 1))
    with pytest.raises(NotAsWrittenError, match="its schema has 200,000,001 bytes unpacked"):
        read_skops(path)
