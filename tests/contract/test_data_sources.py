"""Rows come out of files, databases and object stores the same, or with a line that says why not."""

import gzip
import io
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from slipway.registry.errors import InvalidInput, NotFound, Unavailable
from slipway.training.data import load
from tests.generators.datasets import sources

FRAME = pd.DataFrame({"city": ["Oslo", None, "Rome", "Lima"], "n": [1, 2, 3, 4], "y": ["a", "b", "a", "b"]})


class ObjectStore:
    """An S3 client with objects in memory; a key with an error raises it."""

    def __init__(self, objects: dict[str, object]) -> None:
        self.objects = objects

    def get_object(self, *, Bucket: str, Key: str) -> dict:
        found = self.objects.get(f"{Bucket}/{Key}", ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject"))
        if isinstance(found, Exception):
            raise found
        return {"Body": io.BytesIO(found)}


def as_parquet() -> bytes:
    """Return the frame's Parquet bytes."""
    buffer = io.BytesIO()
    FRAME.to_parquet(buffer, index=False)
    return buffer.getvalue()


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Store the same rows everywhere and return the `data` parameter of each place."""
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    FRAME.to_csv(tmp_path / "rows.tsv", index=False, sep="\t")
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress((tmp_path / "rows.csv").read_bytes()))
    (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "rows.csv").read_bytes())
    (tmp_path / "rows.parquet").write_bytes(as_parquet())
    with sqlite3.connect(tmp_path / "house.db") as database:
        FRAME.to_sql("rows", database, index=False)
    files = {name: str(tmp_path / name) for name in ("rows.csv", "rows.tsv", "rows.csv.gz", "bom.csv", "rows.parquet")}
    return {**files, "s3": "s3://bucket/rows.parquet", "sql": "sql:house:SELECT * FROM rows"}


def read(data: str, folder: Path, target: str = "y"):
    """Load with a store and a connection beside the files."""
    client = ObjectStore(
        {
            "bucket/rows.parquet": as_parquet(),
            "bucket/secret.csv": ClientError({"Error": {"Code": "AccessDenied"}}, "GetObject"),
            "bucket/far.csv": EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        }
    )
    connections = {
        "house": f"sqlite:///{folder}/house.db",
        "gone": "postgresql://ann:hunter2@127.0.0.1:1/x",
        "bad": "nonsense",
    }
    return load(data, target, sources=sources(client=client, connections=connections))


def test_the_same_rows_are_the_same_dataset_wherever_they_lie(places: dict[str, str], tmp_path: Path):
    """One digest, one set of row ids, one frame."""
    found = {name: read(data, tmp_path) for name, data in places.items()}
    assert len({dataset.digest for dataset in found.values()}) == 1
    for dataset in found.values():
        pd.testing.assert_frame_equal(dataset.frame, found["rows.csv"].frame)


def write(folder: Path, name: str, content: bytes) -> str:
    """Write a file and return its path."""
    (folder / name).write_bytes(content)
    return str(folder / name)


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("x.csv", b"a,a,y\n1,2,3\n", InvalidInput, "has column names twice: 'a'"),
        ("x.csv", b"", InvalidInput, "is empty"),
        ("x.csv", b"a,y\n", InvalidInput, "has no rows"),
        ("x.csv", b"a,y\n1,2\n1,2,3,4\n", InvalidInput, "cannot be read as CSV"),
        ("x.csv.gz", b"not gzip", InvalidInput, "cannot be read as CSV"),
        ("x.parquet", b"not parquet", InvalidInput, "cannot be read as Parquet"),
        ("x.xlsx", b"sheet", InvalidInput, "is neither CSV nor Parquet by its name; known endings: .csv"),
        ("x.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", InvalidInput, "is a Git LFS pointer"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes, error: type, said: str):
    """With what is wrong with it."""
    with pytest.raises(error, match=said) as caught:
        read(write(tmp_path, name, content), tmp_path)
    assert "\n" not in caught.value.message


def test_a_git_lfs_pointer_is_refused_with_the_command_that_fetches_it(tmp_path: Path):
    """The pointer is not the data."""
    path = write(tmp_path, "x.csv", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(InvalidInput) as caught:
        read(path, tmp_path)
    assert caught.value.hint == f"git lfs pull --include {path}"


def test_a_file_that_dvc_tracks_records_its_digest(places: dict[str, str], tmp_path: Path):
    """What DVC calls the file's content."""
    write(tmp_path, "rows.csv.dvc", b"outs:\n- md5: 0123abc\n  path: rows.csv\n")
    assert read(places["rows.csv"], tmp_path).source_digest == "md5:0123abc"
    assert read(places["rows.parquet"], tmp_path).source_digest is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lists no outs"),
        (b"- a\n- b\n", "lists no outs"),
        (b"outs: 7\n", "lists no outs"),
        (b"outs:\n", "lists no outs"),
        (b"wdir: .\n", "lists no outs"),
        (b"outs: []\n", "has no out 'rows.csv'"),
        (b"outs:\n- rows.csv\n", "has no out 'rows.csv'"),
        (b"outs:\n- path: other.csv\n  md5: 0\n", "has no out 'rows.csv'"),
        (b"outs:\n- path: rows.csv\n", "has no md5 of 'rows.csv'"),
        (b"outs:\n- path: rows.csv\n  md5:\n", "has no md5 of 'rows.csv'"),
        (b"outs:\n- path: rows.csv\n  md5: [1]\n", "has no md5 of 'rows.csv'"),
        (b"\x00\xff\xfe", "is not YAML"),
        (b"outs: [\n", "is not YAML"),
    ],
)
def test_an_odd_record_of_dvc_is_refused(places: dict[str, str], tmp_path: Path, content: bytes, said: str):
    """It would leave the training without a digest that somebody counts on."""
    write(tmp_path, "rows.csv.dvc", content)
    with pytest.raises(InvalidInput, match=said) as caught:
        read(places["rows.csv"], tmp_path)
    assert "dvc add" in caught.value.hint


def test_a_digest_of_digits_is_no_number(places: dict[str, str], tmp_path: Path):
    """It keeps its leading zeros."""
    write(tmp_path, "rows.csv.dvc", b"outs:\n- md5: 00123456789012345678901234567890\n  path: rows.csv\n")
    assert read(places["rows.csv"], tmp_path).source_digest == "md5:00123456789012345678901234567890"


def test_a_missing_file_that_dvc_tracks_is_refused_with_the_command_that_pulls_it(tmp_path: Path):
    """The data is somewhere, but not here."""
    write(tmp_path, "away.csv.dvc", b"outs:\n- md5: 0\n  path: away.csv\n")
    with pytest.raises(NotFound, match=r"away\.csv, which DVC tracks") as caught:
        read(str(tmp_path / "away.csv"), tmp_path)
    assert caught.value.hint == f"dvc pull {tmp_path / 'away.csv'}.dvc"


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        ("nowhere.csv", NotFound, "no file /.*/nowhere.csv"),
        ("s3://bucket/none.csv", NotFound, r"no object s3://bucket/none.csv \(NoSuchKey\)"),
        ("s3://bucket/secret.csv", Unavailable, "the store answered AccessDenied"),
        ("s3://bucket/far.csv", Unavailable, "Could not connect to the endpoint"),
        ("s3://bucket", InvalidInput, "names no object"),
        ("sql:house:SELECT * FROM rowz", InvalidInput, "connection .house. refuses the statement: no such table: rowz"),
        ("sql:gone:SELECT 1", Unavailable, "connection 'gone' does not answer"),
        ("sql:bad:SELECT 1", InvalidInput, "connection 'bad' is no database URL"),
    ],
)
def test_a_place_that_does_not_answer_is_named(places: dict, tmp_path: Path, data: str, error: type, said: str):
    """With what to check, and never with a password."""
    with pytest.raises(error, match=said) as caught:
        read(data, tmp_path)
    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert "\n" not in caught.value.message
