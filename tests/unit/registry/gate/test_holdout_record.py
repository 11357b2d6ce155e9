"""What a run says of its held-out rows, written by anybody: read, or refused with what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.holdout_record import read_holdout
from slipway.registry.rows import row_ids

DOCUMENT = {"target": "y", "id_columns": ["x"], "data": "d.csv", "data_digest": "sha256:1", "missing_words": ["NA"]}
IDS = np.array([1, 2], dtype=np.uint64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a record as training writes it."""
    (tmp_path / "holdout.json").write_text(json.dumps({**DOCUMENT, "scheme": {"key": "x", "fraction": 0.2}}))
    held = pd.DataFrame({"x": [1.0, 2.0, 2.0], "y": [0, 1, 1]})
    np.savez(tmp_path / "row_ids.npz", train=IDS, holdout=np.unique(row_ids(held[["x"]])))
    held.to_parquet(tmp_path / "rows.parquet")
    return tmp_path


def test_what_training_writes_is_read(folder: Path):
    """Words, key, sides and rows; without a file there is no record."""
    record = read_holdout(folder)
    assert record is not None
    assert (record.key, record.reading.missing_words, record.columns) == ("x", ("NA",), ("x",))
    assert record.train_ids.tolist() == [1, 2]
    rows = record.stored_rows()
    assert rows is not None
    assert len(rows) == 3
    assert read_holdout(folder / "none") is read_holdout(None) is None


def document(**changes: object) -> Callable[[Path], object]:
    """Return what changes the document."""
    return lambda folder: (folder / "holdout.json").write_text(json.dumps({**DOCUMENT, **changes}))


def text(content: bytes) -> Callable[[Path], object]:
    """Return what writes another document."""
    return lambda folder: (folder / "holdout.json").write_bytes(content)


def ids(**arrays: object) -> Callable[[Path], object]:
    """Return what writes other identifiers."""
    return lambda folder: np.savez(folder / "row_ids.npz", **arrays)


def rows(frame: pd.DataFrame) -> Callable[[Path], object]:
    """Return what writes other rows."""
    return lambda folder: frame.to_parquet(folder / "rows.parquet")


def all_of(folder: Path) -> pd.DataFrame | None:
    """Read the record, and its rows."""
    record = read_holdout(folder)
    return record.stored_rows() if record else None


def bomb(path: Path) -> None:
    """Write a small file that stands for more rows than any memory holds."""
    table = pa.table(dict.fromkeys("xy", pa.array(np.zeros(10_000_000, dtype=np.int8))))
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(11):
            writer.write_table(table)
    assert path.stat().st_size < 1_000_000


def large(path: Path) -> None:
    """Have a zip file say of a member that it unpacks to more than any memory holds."""
    content = bytearray(path.read_bytes())
    size = content.index(b"PK\x01\x02") + 24
    content[size : size + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        text(b"{}"),
        text(b"[]"),
        text(b"{"),
        text(b""),
        text(b'{"target":"\xff"}'),
        document(target=3),
        document(id_columns=5),
        document(id_columns=[1]),
        document(missing_words=5),
        document(missing_words="NA"),
        document(scheme=None),
        document(scheme={"key": ["a"]}),
        document(data=7),
        ids(),
        ids(train=IDS),
        ids(train=np.array([{1: 2}], dtype=object), holdout=IDS),
        ids(train=np.array([0.5]), holdout=IDS),
        ids(train=np.array([[1]], dtype=np.uint64), holdout=IDS),
        lambda folder: (folder / "row_ids.npz").write_bytes(b"PK"),
        lambda folder: (folder / "row_ids.npz").unlink(),
        lambda folder: large(folder / "row_ids.npz"),
        lambda folder: (folder / "rows.parquet").write_bytes(b"xx"),
        rows(pd.DataFrame({"x": [1.0]})),
        rows(pd.DataFrame({"y": [1.0]})),
        rows(pd.DataFrame({"x": [[1, 2]], "y": [0]})),
        rows(pd.DataFrame({"x": [1.0], "y": [0]})),
        lambda folder: bomb(folder / "rows.parquet"),
        rows(pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [0, 1, 1]})),
        rows(pd.DataFrame({"x": [{"a": 1}], "y": [0]})),
    ],
)
def test_what_is_none_is_refused_with_what_to_do(folder: Path, harm: Callable[[Path], object]):
    """Whatever somebody's program wrote there; never a traceback."""
    harm(folder)
    with pytest.raises(InvalidInput, match="what the run says of its held-out rows cannot be read") as caught:
        all_of(folder)
    assert caught.value.hint is not None


def test_the_size_is_asked_before_anything_is_unpacked(folder: Path):
    """What it says of itself bounds what is read of it."""
    large(folder / "row_ids.npz")
    with pytest.raises(InvalidInput, match="unpacks to 2,147,48"):
        read_holdout(folder)
