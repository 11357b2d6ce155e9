"""Who is held out: a rule by row, so that a row once held out stays held out however the data grows.

A row's side is decided by its id alone (of its key, or of its content without the target): the id is mixed
once more and compared with the fraction. Thresholds are nested, so that a larger fraction keeps the rows
of a smaller one. With a time column the latest rows are held out instead, which moves with the data.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from registry.errors import InvalidInput, NotFound
from registry.nearest import did_you_mean
from registry.rows import Ids, mixed, row_ids
from training.dataset import Dataset

SCHEME_VERSION = 1
SIDE_SALT = np.uint64(0xA0761D6478BD642F)


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldoutScheme:
    """The rule: a fraction between 0 and 1, and what decides (`key`, `time_column`, or else the content)."""

    fraction: float
    key: str | None = None
    time_column: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the rule as plain values."""
        return {
            "version": SCHEME_VERSION,
            "fraction": self.fraction,
            "key": self.key,
            "time_column": self.time_column,
        }

    @property
    def digest(self) -> str:
        """Return `sha256:…` of the rule."""
        text = json.dumps(self.to_document(), sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Positions of both sides, shape (n_train,) and (n_holdout,), and their sorted distinct row ids.

    `ids`, shape (n,), are those of all rows, made from `id_columns`.
    """

    scheme: HoldoutScheme
    train: npt.NDArray[np.intp]
    holdout: npt.NDArray[np.intp]
    ids: Ids
    train_ids: Ids
    holdout_ids: Ids
    id_columns: tuple[str, ...]
    notes: tuple[str, ...]


def split(dataset: Dataset, scheme: HoldoutScheme, *, classes: bool) -> Split:
    """Return both sides of a dataset; `classes` says that its target holds classes.

    Raises
    ------
    NotFound
        The key or time column is not in the frame.
    InvalidInput
        A time is missing, a side would be empty, or a class would be on one side only.
    """
    frame = dataset.frame
    for column in (scheme.key, scheme.time_column):
        _require_column(frame, column)
    ids = row_ids(frame[[scheme.key]]) if scheme.key else dataset.ids
    held_out = _latest(frame, scheme) if scheme.time_column else is_held_out(ids, scheme.fraction)
    _require_both_sides(held_out, scheme)
    if classes:
        _require_classes_on_both_sides(frame[dataset.target], held_out, scheme)
    return Split(
        scheme=scheme,
        train=np.flatnonzero(~held_out),
        holdout=np.flatnonzero(held_out),
        train_ids=np.unique(ids[~held_out]),
        holdout_ids=np.unique(ids[held_out]),
        id_columns=(scheme.key,) if scheme.key else tuple(column.name for column in dataset.schema),
        ids=ids,
        notes=_notes(scheme),
    )


def is_held_out(ids: Ids, fraction: float) -> npt.NDArray[np.bool_]:
    """Return shape (n,): whether each row is held out at a fraction between 0 and 1."""
    return mixed(ids ^ SIDE_SALT) < np.uint64(int(fraction * 2**64))


def _latest(frame: pd.DataFrame, scheme: HoldoutScheme) -> npt.NDArray[np.bool_]:
    """Return the latest rows: about the fraction, equal times on one side."""
    times = frame[scheme.time_column]
    if missing := int(times.isna().sum()):
        raise InvalidInput(
            f"time column '{scheme.time_column}' is missing in {missing} rows",
            code="missing-times",
            hint="remove those rows, or hold out by hash: leave time_column empty",
        )
    first_held_out = times.sort_values().iloc[-max(1, round(scheme.fraction * len(times)))]
    return np.asarray(times >= first_held_out)


def _require_column(frame: pd.DataFrame, name: str | None) -> None:
    if name is not None and name not in frame.columns:
        raise NotFound(
            f"no column '{name}'{did_you_mean(name, map(str, frame.columns))}; "
            f"there are: {', '.join(map(str, frame.columns[:30]))}",
            code="unknown-column",
            hint=None,
        )


def _require_both_sides(held_out: npt.NDArray[np.bool_], scheme: HoldoutScheme) -> None:
    count = int(held_out.sum())
    if count in (0, len(held_out)):
        raise InvalidInput(
            f"holdout={scheme.fraction} holds out {count} of {len(held_out)} rows, and both sides need some",
            code="empty-side",
            hint="change holdout, or bring more distinct rows or keys",
        )


def _require_classes_on_both_sides(target: pd.Series, held_out: npt.NDArray[np.bool_], scheme: HoldoutScheme) -> None:
    counts = pd.crosstab(target, held_out)
    for name, row in counts.iterrows():
        if row.min() == 0:
            side = "holdout" if row[True] == 0 else "training rows"
            raise InvalidInput(
                f"the {side} would have no row of class {name!r}, of which there are {row.sum()} "
                f"(holdout={scheme.fraction})",
                code="class-on-one-side",
                hint="change holdout, bring more rows of the class, or remove it from the data",
            )


def _notes(scheme: HoldoutScheme) -> tuple[str, ...]:
    if scheme.key or scheme.time_column:
        return ()
    return (
        "rows are held out by a hash of their content: a changed or added column moves rows between the "
        "sides; name a key column where rows have one",
    )
