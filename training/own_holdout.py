"""Which rows did a model of one's own hold out? They are written as a training writes them, for a gate to read.

A notebook has its rows in a frame, split in its own way. What a gate needs of it is the held-out rows with their
target, and which rows the model was trained on: their identifiers, or that these are not told.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.gate.holdout_record import read_holdout
from slipway.registry.nearest import did_you_mean
from slipway.registry.rows import Ids, content_digest, row_ids
from slipway.training.listed import listed

FROM_A_FRAME = ""  # the source that is named where the rows came from none that could be read again


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnHoldout:
    """Held-out rows with their target, and the identifiers of both sides; `train_ids` is `None` where nobody told.

    `id_columns` are those that rows are told apart by: the `key`, or all features.
    """

    rows: pd.DataFrame
    target: str
    key: str | None
    id_columns: tuple[str, ...]
    train_ids: Ids | None

    def document(self) -> dict[str, object]:
        """Return what is recorded beside the rows."""
        held_out = row_ids(self.rows)
        return {
            "scheme": {"key": self.key},
            "rows_train": None if self.train_ids is None else len(self.train_ids),
            "rows_holdout": len(self.rows),
            "rows_stored": True,
            "target": self.target,
            "id_columns": list(self.id_columns),
            "features": [name for name in self.rows.columns if name != self.target],
            "data": FROM_A_FRAME,
            "data_digest": content_digest(self.rows.columns, held_out),
            "train_is_known": self.train_ids is not None,
            "train_digest": None if self.train_ids is None else content_digest(self.id_columns, self.train_ids),
        }


def own_holdout(frame: pd.DataFrame, target: str, train: pd.DataFrame | None, key: str | None) -> OwnHoldout:
    """Return the held-out rows of a frame; some that equal training rows are warned of, and never counted by a gate.

    Raises
    ------
    InvalidInput, NotFound
        A frame is none, or empty; it lacks the target, the key, or columns that the other has; a key or every target
        is missing; all rows are training rows.
    """
    rows = _table(frame, "the held-out rows")
    _require_columns([target, *([key] if key else [])], rows, "the held-out rows")
    if rows[target].isna().all():
        raise _unusable(f"no held-out row has a target: '{target}' is missing in all {len(rows):,}")
    id_columns = (key,) if key else tuple(name for name in rows.columns if name != target)
    if key == target:
        raise _unusable(f"'{key}' is named as key and as target")
    if not id_columns:
        raise _unusable(f"the held-out rows have no column but the target '{target}'")
    held_out = _ids(rows, id_columns, key, "the held-out rows")
    train_ids = None if train is None else _ids(_table(train, "train"), id_columns, key, "train")
    if train_ids is not None:
        _tell_of_shared(int(np.isin(held_out, train_ids).sum()), len(rows))
    return OwnHoldout(
        rows=rows,
        target=target,
        key=key,
        id_columns=id_columns,
        train_ids=None if train_ids is None else np.unique(train_ids),
    )


def write(found: OwnHoldout, folder: Path) -> None:
    """Write the files of a run's `holdout/` into an empty folder, and read them as a gate does.

    Raises
    ------
    InvalidInput
        Parquet does not hold these values as they are.
    """
    held_out = np.unique(row_ids(found.rows[list(found.id_columns)]))
    if found.train_ids is None:
        np.savez(folder / "row_ids.npz", holdout=held_out)
    else:
        np.savez(folder / "row_ids.npz", train=found.train_ids, holdout=held_out)
    try:
        found.rows.to_parquet(folder / "rows.parquet", index=False)
    except (TypeError, ValueError) as error:  # pyarrow's errors are kinds of these
        raise _unusable(f"Parquet does not hold these rows: {' '.join(str(error).split())[:300]}") from error
    (folder / "holdout.json").write_text(json.dumps(found.document(), indent=2))
    record = read_holdout(folder)
    assert record is not None
    record.stored_rows()


def _table(frame: pd.DataFrame, what: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise _unusable(f"{what} are a {type(frame).__name__}, and a pandas DataFrame is needed")
    rows = frame.rename(columns=str).reset_index(drop=True)
    if twice := sorted(set(rows.columns[rows.columns.duplicated()])):
        raise _unusable(f"{what} have a column twice: {listed(twice)}")
    if rows.empty:
        raise _unusable(f"{what} are empty: {len(rows)} rows, {len(rows.columns)} columns")
    return rows


def _require_columns(names: Sequence[str], rows: pd.DataFrame, what: str) -> None:
    for name in names:
        if name not in rows.columns:
            near = did_you_mean(name, rows.columns)
            raise NotFound(f"{what} have no column '{name}'{near}", code="unknown-column", hint=None)


def _ids(rows: pd.DataFrame, id_columns: tuple[str, ...], key: str | None, what: str) -> Ids:
    _require_columns(id_columns, rows, what)
    if key and (missing := int(rows[key].isna().sum())):
        raise _unusable(f"key '{key}' is missing in {missing:,} of {len(rows):,} rows of {what}")
    try:
        return row_ids(rows[list(id_columns)])
    except (TypeError, ValueError) as error:
        raise _unusable(f"{what} hold values that have no identifier: {' '.join(str(error).split())[:300]}") from error


def _tell_of_shared(shared: int, n: int) -> None:
    if shared == n:
        raise _unusable(f"all {n:,} held-out rows are among the training rows too")
    if shared:
        said = f"{shared:,} of {n:,} held-out rows are among the training rows too; a gate does not count them"
        warnings.warn(said, stacklevel=4)


def _unusable(why: str) -> InvalidInput:
    return InvalidInput(why, code="unusable-holdout", hint="slipway.holdout.log(frame, target=…, train=…, key=…)")
