"""Tables in files, local or already fetched: CSV and Parquet, DVC beside them, Git LFS in place of them."""

from pathlib import Path
from typing import IO, Any

import pandas as pd
import yaml
from pandas.errors import EmptyDataError, ParserError
from pyarrow import ArrowInvalid

from registry.errors import InvalidInput, NotFound
from training.quality import refuse_repeated

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
CSV_SUFFIXES = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
PARQUET_SUFFIXES = (".parquet", ".pq")


def read_file(path: Path) -> pd.DataFrame:
    """Read a CSV or Parquet file, by its suffix.

    Raises
    ------
    NotFound
        There is no such file (DVC's command is given where it knows the file).
    InvalidInput
        The suffix, the encoding or the content cannot be read, or it is a Git LFS pointer.
    """
    if not path.is_file():
        raise _missing(path)
    with path.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise InvalidInput(
                f"{path} is a Git LFS pointer, not the file itself",
                code="lfs-pointer",
                hint=f"git lfs pull --include {path}",
            )
        stream.seek(0)
        return read_table(stream, path.name, str(path))


def read_table(stream: IO[bytes], name: str, source: str) -> pd.DataFrame:
    """Read a CSV or Parquet table from a stream, by the suffix of its name.

    Text stays text where any value of a column is not a number; an empty field is missing.
    """
    if name.endswith(PARQUET_SUFFIXES):
        return _read_parquet(stream, source)
    separator = next((mark for suffix, mark in CSV_SUFFIXES.items() if name.endswith(suffix)), None)
    if separator is None:
        raise InvalidInput(
            f"{source} is neither CSV nor Parquet by its name; known endings: "
            f"{', '.join([*CSV_SUFFIXES, *PARQUET_SUFFIXES])}",
            code="unknown-file-type",
            hint="rename or convert the file",
        )
    return _read_csv(stream, separator, source, compression="gzip" if name.endswith(".gz") else None)


def dvc_digest(path: Path) -> str | None:
    """Return `md5:…` as DVC recorded it beside a file, or `None` where DVC does not track it."""
    record = path.with_name(f"{path.name}.dvc")
    if not record.is_file():
        return None
    outputs = yaml.safe_load(record.read_text()).get("outs", [])
    found = next((out["md5"] for out in outputs if out.get("path") == path.name and "md5" in out), None)
    return f"md5:{found}" if found else None


def _missing(path: Path) -> NotFound:
    tracked = path.with_name(f"{path.name}.dvc").is_file()
    return NotFound(
        f"no file {path.absolute()}" + (", which DVC tracks" if tracked else ""),
        code="no-such-file",
        hint=f"dvc pull {path}.dvc"
        if tracked
        else "give the path from the folder that the training runs in, or a full one",
    )


def _read_parquet(stream: IO[bytes], source: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(stream)
    except (ArrowInvalid, ValueError) as error:
        raise InvalidInput(
            f"{source} cannot be read as Parquet: {str(error).splitlines()[0]}",
            code="unreadable-file",
            hint=None,
        ) from error


def _read_csv(stream: IO[bytes], separator: str, source: str, *, compression: str | None) -> pd.DataFrame:
    options: dict[str, Any] = {"sep": separator, "compression": compression, "encoding": "utf-8-sig"}
    try:
        header = pd.read_csv(stream, header=None, nrows=1, dtype=str, keep_default_na=False, **options)
        refuse_repeated([str(name) for name in header.iloc[0]], source)
        stream.seek(0)
        frame: pd.DataFrame = pd.read_csv(stream, **options)
        return frame
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{source} is not UTF-8: byte 0x{error.object[error.start]:02x} cannot be decoded",
            code="unreadable-encoding",
            hint=f"if it is Latin-1: iconv -f latin1 -t utf-8 {source} > converted.csv",
        ) from error
    except EmptyDataError as error:
        raise InvalidInput(f"{source} is empty", code="no-rows", hint=None) from error
    except (ParserError, OSError) as error:
        raise InvalidInput(
            f"{source} cannot be read as CSV: {str(error).splitlines()[0]}", code="unreadable-file", hint=None
        ) from error
