"""Who is held out: a rule by row, so that a row once held out stays held out however the data grows.

A row's side is decided by its id alone (of its key, or of its content without the target): the id is mixed
once more and compared with the fraction. Thresholds are nested, so that a larger fraction keeps the rows
of a smaller one. With a time column the latest rows are held out instead, which moves with the data.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.nearest import did_you_mean
from slipway.registry.rows import Ids, mixed, row_ids
from slipway.training.dataset import Dataset
from slipway.training.times import times_of

SCHEME_VERSION = 1
MANY_KEYS = 20
LARGE_SHARE = 0.2
SIDE_SALT = np.uint64(0xA0761D6478BD642F)


@dataclass(frozen=True, kw_only=True, slots=True)
class HoldoutScheme:
    """The rule: a fraction between 0 and 1, and what decides (`key`, `time_column`, or else the content).

    `time_format` is how a time column of text is read; it is part of the rule.
    """

    fraction: float
    key: str | None = None
    time_column: str | None = None
    time_format: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the rule as plain values."""
        return {
            "version": SCHEME_VERSION,
            "fraction": self.fraction,
            "key": self.key,
            "time_column": self.time_column,
            **({"time_format": self.time_format} if self.time_format else {}),
        }

    @property
    def digest(self) -> str:
        """Return `sha256:…` of the rule."""
        text = json.dumps(self.to_document(), sort_keys=True, separators=(",", ":"))
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Positions of both sides, shape (n_train,) and (n_holdout,), and their sorted distinct row ids.

    `ids`, shape (n,), are those of all rows, made from `id_columns`; `times`, shape (n,), sorts them by time, and is
    `None` without a time column.
    """

    scheme: HoldoutScheme
    train: npt.NDArray[np.intp]
    holdout: npt.NDArray[np.intp]
    ids: Ids
    train_ids: Ids
    holdout_ids: Ids
    id_columns: tuple[str, ...]
    times: npt.NDArray[Any] | None
    notes: tuple[str, ...]

    @property
    def holdout_digest(self) -> str:
        """Return `sha256:…` of who is held out: equal for two versions that are measured on the same rows."""
        return f"sha256:{hashlib.sha256(self.holdout_ids.astype('<u8').tobytes()).hexdigest()}"


def split(dataset: Dataset, scheme: HoldoutScheme, *, classes: bool) -> Split:
    """Return both sides of a dataset; `classes` says that its target holds classes.

    Raises
    ------
    NotFound
        The key or time column is not in the frame.
    InvalidInput
        A time or key is missing, the times cannot be sorted, a side would be empty, or a class would be on one side
        only.
    """
    frame = dataset.frame
    for column in (scheme.key, scheme.time_column):
        _require_column(frame, column)
    if scheme.key:
        _refuse_missing_keys(frame[scheme.key], dataset.missing_words)
    ids = row_ids(frame[[scheme.key]]) if scheme.key else dataset.ids
    times = times_of(frame[scheme.time_column], time_format=scheme.time_format) if scheme.time_column else None
    if times:
        scheme = replace(scheme, time_format=times.format)
    held_out = _latest(times.order, scheme.fraction) if times else is_held_out(ids, scheme.fraction)
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
        times=times.order if times else None,
        notes=_notes(scheme, frame),
    )


def is_held_out(ids: Ids, fraction: float) -> npt.NDArray[np.bool_]:
    """Return shape (n,): whether each row is held out at a fraction between 0 and 1."""
    return mixed(ids ^ SIDE_SALT) < np.uint64(int(fraction * 2**64))


def _latest(order: npt.NDArray[Any], fraction: float) -> npt.NDArray[np.bool_]:
    """Return the latest rows: about the fraction, equal times on one side."""
    first_held_out = np.sort(order)[-max(1, round(fraction * len(order)))]
    return np.asarray(order >= first_held_out)


def _refuse_missing_keys(key: pd.Series, missing_words: Sequence[str]) -> None:
    """Rows without a key would share one id and one side, as if they were one."""
    if missing := int((key.isna() | key.isin(missing_words)).sum()):
        raise InvalidInput(
            f"key '{key.name}' is missing in {missing:,} of {len(key):,} rows, which would be taken for one",
            code="missing-keys",
            hint="fill them in, remove those rows, or leave key empty: rows are then told apart by their content",
        )


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


def _notes(scheme: HoldoutScheme, frame: pd.DataFrame) -> tuple[str, ...]:
    if scheme.key:
        return tuple(_large_groups(frame[scheme.key]))
    if scheme.time_column:
        return ()
    return (
        "rows are held out by a hash of their content: a changed or added column moves rows between the "
        "sides; name a key column where rows have one",
    )


def _large_groups(key: pd.Series) -> Iterator[str]:
    """Tell of one key that stands for far too many rows among many: a placeholder such as 0 or 'unknown'."""
    counts = key.value_counts()
    if len(counts) >= MANY_KEYS and counts.iloc[0] > LARGE_SHARE * len(key):
        yield (
            f"key '{key.name}' is {counts.index[0]!r} in {counts.iloc[0]:,} of {len(key):,} rows, which are all on one "
            "side; if that stands for a missing key, remove those rows"
        )
