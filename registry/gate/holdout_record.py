"""What a run says of its held-out rows: which side each row is on, and where the rows are.

Whoever trained wrote it, with whatever program: it is read as somebody else's word, and refused where it is none.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict, ValidationError

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.registry.rows import row_ids

Ids = npt.NDArray[np.uint64]
ROWS = "rows.parquet"
MOST_VALUES = 200_000_000
MOST_ID_BYTES = 800_000_000  # of a hundred million rows
UNREADABLE = (BadZipFile, EOFError, KeyError, OSError, TypeError, ValueError)


class _Scheme(BaseModel):
    model_config = ConfigDict(strict=True)
    key: str | None = None


class _Document(BaseModel):
    """The file `holdout.json`, as far as anything is decided by it; runs from before a field have its default."""

    model_config = ConfigDict(strict=True)
    target: str
    id_columns: list[str]
    data: str = ""
    data_digest: str = ""
    missing_words: tuple[str, ...] = ()
    reading: Reading = Reading()
    scheme: _Scheme = _Scheme()
    train_is_known: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldoutRecord:
    """A run's word on its rows: `train_ids` are sorted, `columns` those that they were made from.

    `train_ids` is `None` where it tells the held-out rows alone: any other row may be one that it was trained on.

    The rows are in `folder`, where they were stored, and else in `data`, whose content `data_digest` names.
    `reading` is how it was read, and `key` the column that rows were held out by.
    """

    folder: Path

    target: str
    columns: tuple[str, ...]
    data: str
    data_digest: str
    reading: Reading
    key: str | None
    train_ids: Ids | None
    holdout_ids: Ids

    def stored_rows(self) -> pd.DataFrame | None:
        """Return the held-out rows; `None` where they were not stored.

        Raises
        ------
        InvalidInput
            They are no table with the target and the columns that the record names, or not the rows that it names:
            a part of them would show whatever its author likes.
        """
        path = self.folder / ROWS
        if not path.is_file():
            return None
        try:
            _require_bounded(path)
            rows = pd.read_parquet(path)
            row_ids(rows)  # a column whose values have no identifier fails here, and not in the midst of a check
            named = set(self.columns) <= set(rows.columns) and np.unique(row_ids(rows[list(self.columns)]))
        except UNREADABLE as error:
            raise _unreadable(f"rows.parquet: {type(error).__name__}: {error}") from error
        if missing := [name for name in (self.target, *self.columns) if name not in rows.columns]:
            raise _unreadable(f"rows.parquet lacks {', '.join(missing)}")
        if not np.array_equal(named, np.unique(self.holdout_ids)):
            raise _unreadable("rows.parquet holds other rows than row_ids.npz names")
        return rows


def rows_as_stored(folder: Path | None) -> pd.DataFrame | None:
    """Return the rows that are stored in a run's `holdout/`, compared with nothing; `None` where there are none."""
    path = folder / ROWS if folder else None
    return pd.read_parquet(path) if path and path.is_file() else None


def read_holdout(folder: Path | None) -> HoldoutRecord | None:
    """Return what a run's `holdout/` says; `None` where there is none.

    Raises
    ------
    InvalidInput
        It is not as `slipway train` writes it.
    """
    if folder is None or not (folder / "holdout.json").is_file():
        return None
    try:
        document = _Document.model_validate_json((folder / "holdout.json").read_bytes())
        _require_few_bytes(folder / "row_ids.npz")
        with np.load(folder / "row_ids.npz") as ids:
            holdout_ids = _ids(ids["holdout"])
            train_ids = _ids(ids["train"]) if document.train_is_known else None
    except ValidationError as error:
        first = error.errors()[0]
        raise _unreadable(f"holdout.json: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
    except UNREADABLE as error:
        raise _unreadable(f"{type(error).__name__}: {error}") from error
    return HoldoutRecord(
        folder=folder,
        target=document.target,
        columns=tuple(document.id_columns),
        data=document.data,
        data_digest=document.data_digest,
        reading=document.reading.changed(missing_words=document.missing_words),
        key=document.scheme.key,
        train_ids=train_ids,
        holdout_ids=holdout_ids,
    )


def _require_bounded(path: Path) -> None:
    """A few bytes of Parquet may stand for any number of equal rows."""
    shape = parquet.read_metadata(path)
    if shape.num_rows * shape.num_columns > MOST_VALUES:
        raise ValueError(
            f"{shape.num_rows:,} rows of {shape.num_columns} columns, and {MOST_VALUES:,} values are the most"
        )


def _require_few_bytes(path: Path) -> None:
    """A few bytes of a zip file may stand for any number of zeros; a member is read no further than it says here."""
    with ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MOST_ID_BYTES:
        raise ValueError(f"row_ids.npz unpacks to {unpacked:,} bytes, and {MOST_ID_BYTES:,} are the most")


def _ids(found: npt.NDArray[Any]) -> Ids:
    if found.ndim != 1 or (found.dtype != np.uint64 and found.size):
        raise ValueError(f"row_ids.npz holds {found.dtype} of the shape {found.shape}, and no identifiers of rows")
    return found.astype(np.uint64)


def _unreadable(why: str) -> InvalidInput:
    return InvalidInput(
        f"what the run says of its held-out rows cannot be read: {' '.join(why.split())[:300]}",
        code="unreadable-holdout",
        hint="write holdout/ as slipway train does, and register another version; or name a dataset in the policy",
    )
