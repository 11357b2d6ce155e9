"""Tables in files, local or already fetched: CSV and Parquet, DVC beside them, Git LFS in place of them."""

import gzip
import math
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pandas as pd
import yaml
from pandas.errors import EmptyDataError, ParserError, ParserWarning
from pyarrow import ArrowInvalid

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.reading import NUMBER, STRING, Reading
from slipway.registry.text import NAME_CHARACTERS, cleaned
from slipway.training.csv_form import form_of
from slipway.training.quality import refuse_repeated

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
CSV_SUFFIXES = {".csv": ",", ".tsv": "\t", ".csv.gz": ",", ".tsv.gz": "\t"}
PARQUET_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True, kw_only=True, slots=True)
class TableRead:
    """A table as it was read, with all that was told from the file, and `notes` on what may not be as it was meant."""

    frame: pd.DataFrame
    reading: Reading
    notes: tuple[str, ...] = ()


def read_file(path: Path, reading: Reading) -> TableRead:
    """Read a CSV or Parquet file, by its suffix.

    Raises
    ------
    NotFound
        There is no such file (DVC's command is given where it knows the file).
    InvalidInput
        It is a folder, nobody may read it, the suffix, the encoding or the content cannot be read, or it is a Git LFS
        pointer.
    """
    with _opened(path) as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise InvalidInput(
                f"{path} is a Git LFS pointer, not the file itself",
                code="lfs-pointer",
                hint=f"git lfs pull --include {path}",
            )
        stream.seek(0)
        return read_table(stream, path.name, str(path), reading)


def _opened(path: Path) -> IO[bytes]:
    try:
        if path.is_dir():
            raise InvalidInput(
                f"{path} is a folder, and data is one file",
                code="not-a-file",
                hint=f"name the file in it: {path / 'NAME.csv'}",
            )
        if not path.is_file():
            raise _missing(path)
        return path.open("rb")
    except OSError as error:  # a name that is too long, no permission on the way or on the file
        why = cleaned(str(error.strerror), NAME_CHARACTERS)
        raise InvalidInput(
            f"{cleaned(str(path), NAME_CHARACTERS)} cannot be read: {why}",
            code="unreadable-file",
            hint="correct the path, or let the account that trains read the file",
        ) from error


def read_table(stream: IO[bytes], name: str, source: str, reading: Reading) -> TableRead:
    """Read a CSV or Parquet table from a stream, by the suffix of its name.

    Text stays text where any value of a CSV's column is not a number. Only an empty field is missing, and in a column
    that holds nothing but numbers or truth values beside them the words that mean missing; in text they stay, for the
    pipeline to map them wherever it predicts. A word that is a number stays one: it is where the model is asked, too.
    """
    if name.lower().endswith(PARQUET_SUFFIXES):
        return TableRead(frame=_read_parquet(stream, source), reading=reading)
    usual = separator_of(name)
    if usual is None:
        raise InvalidInput(
            f"{source} is neither CSV nor Parquet by its name; known endings: "
            f"{', '.join([*CSV_SUFFIXES, *PARQUET_SUFFIXES])}",
            code="unknown-file-type",
            hint="rename or convert the file",
        )
    if not name.lower().endswith(".gz"):
        return _read_csv(stream, usual, source, reading)
    with gzip.GzipFile(fileobj=stream) as unpacked:
        return _read_csv(cast(IO[bytes], unpacked), usual, source, reading)


def separator_of(name: str) -> str | None:
    """Return what separates the fields of a CSV file of that name; `None` where it is none."""
    return next((mark for suffix, mark in CSV_SUFFIXES.items() if name.lower().endswith(suffix)), None)


def dvc_digest(path: Path) -> str | None:
    """Return `md5:…` as DVC recorded it beside a file, or `None` where DVC does not track it.

    Raises
    ------
    InvalidInput
        There is a record beside the file, and it is none of DVC's or does not say what the file's content is.
    """
    record = path.with_name(f"{path.name}.dvc")
    if not record.is_file():
        return None
    try:
        document = yaml.load(record.read_text(), Loader=yaml.BaseLoader)  # BaseLoader: a digest of digits stays text
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise _odd_record(record, "is not YAML") from error
    except OSError as error:
        raise _odd_record(record, f"cannot be read ({error.strerror})") from error
    outputs = document.get("outs") if isinstance(document, dict) else None
    if not isinstance(outputs, list):
        raise _odd_record(record, "lists no outs")
    mine = [out for out in outputs if isinstance(out, dict) and out.get("path") == path.name]
    if not mine:
        raise _odd_record(record, f"has no out '{path.name}'")
    found = mine[0].get("md5")
    if not isinstance(found, str) or not found:
        raise _odd_record(record, f"has no md5 of '{path.name}'")
    return f"md5:{found}"


def _odd_record(record: Path, why: str) -> InvalidInput:
    return InvalidInput(
        f"{record} {why}: it does not say which content DVC tracks",
        code="odd-dvc-file",
        hint=f"dvc add {record.with_suffix('')} writes it anew; remove it if DVC does not track the file",
    )


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


def _read_csv(stream: IO[bytes], usual: str, source: str, reading: Reading) -> TableRead:
    # Read in one piece: in several, a column of numbers and few words would be numbers in one and text in another.
    try:
        form = form_of(stream, usual, source, reading)
        options: dict[str, Any] = {"sep": form.sep, "decimal": form.decimal, "encoding": form.encoding}
        options |= {"keep_default_na": False, "low_memory": False, "skiprows": form.skip_lines, "index_col": False}
        header = pd.read_csv(stream, header=None, nrows=1, dtype=str, **options)
        refuse_repeated([str(name) for name in header.iloc[0]], source)
        stream.seek(0)
        options["dtype"] = dict.fromkeys(_as_written(reading, form.decimal), str)
        frame = _with_named_fields(stream, source, {**options, "na_values": [""]})
        told = reading.changed(sep=form.sep, decimal=form.decimal, encoding=form.encoding, sniffed=form.sniffed)
        return TableRead(frame=_with_words_missing(frame, stream, reading, options), reading=told, notes=form.notes)
    except EmptyDataError as error:
        raise InvalidInput(f"{source} is empty", code="no-rows", hint=None) from error
    except (ParserError, OSError, EOFError, zlib.error, ValueError) as error:
        raise InvalidInput(
            f"{source} cannot be read as CSV: {str(error).splitlines()[0]}",
            code="unreadable-file",
            hint="correct the file; sep and encoding say how it is written where that was told wrongly",
        ) from error


def _as_written(reading: Reading, decimal: str) -> list[str]:
    """Return the columns that are read as text first: strings, and numbers whose points may stand between thousands."""
    return [name for name, kind in reading.dtypes.items() if kind == STRING or (kind == NUMBER and decimal == ",")]


def _with_named_fields(stream: IO[bytes], source: str, options: Mapping[str, Any]) -> pd.DataFrame:
    """Read a table of which every field has a name: pandas drops others, or shifts names by one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", ParserWarning)
        try:
            frame: pd.DataFrame = pd.read_csv(stream, **options)
        except ParserWarning as warning:
            raise InvalidInput(
                f"{source} has rows with more fields than its header names",
                code="unnamed-fields",
                hint="name every column in the header, the first one too; or correct what separates the fields",
            ) from warning
    return frame


def _with_words_missing(
    frame: pd.DataFrame, stream: IO[bytes], reading: Reading, options: Mapping[str, Any]
) -> pd.DataFrame:
    """Read columns again that hold nothing but numbers or truth values beside words that mean missing."""
    words = reading.missing_words
    holding = [str(name) for name, column in frame.items() if _holds(column, words)]
    holding = [name for name in holding if name not in options["dtype"]]
    if not holding:
        return frame
    stream.seek(0)
    no_numbers = [word for word in words if not _is_number(word)]
    na_values: Mapping[str, Sequence[str]] = {name: ["", *no_numbers] for name in holding}
    without: pd.DataFrame = pd.read_csv(stream, na_values=na_values, **options)
    for name in holding:
        frame[name] = frame[name] if _is_text(without[name]) else without[name]
    return frame


def _is_number(word: str) -> bool:
    """Return whether a word among numbers would be one of them, for any who read them; NaN is none.

    pandas takes every number for missing that Python's `float` makes of a word for missing values (3.0), and that
    reads `0_0`, other digits, and blanks of every kind.
    """
    if pd.notna(pd.to_numeric(word, errors="coerce")):
        return True
    try:
        return not math.isnan(float(word))
    except ValueError:
        return False


def _holds(column: pd.Series, words: Sequence[str]) -> bool:
    return _is_text(column) and bool(column.isin(words).any())


def _is_text(column: pd.Series) -> bool:
    """Return whether a column holds text; truth values with some missing are objects too."""
    return pd.api.types.infer_dtype(column, skipna=True) == "string"
