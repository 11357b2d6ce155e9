"""Columns that name a row, or what several rows are about, and are features all the same.

A model learns such names by heart, and where rows of one customer are on both sides, the held-out rows are none.
Nothing is refused for that: whether a column of numbers is a name, only its owner knows.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.training.dataset import ColumnKind, ColumnSchema
from slipway.training.listed import listed
from slipway.training.text_columns import dropped

IDENTIFIER_SHARE = 0.95
IDENTIFIER_ROWS = 50
NAME = re.compile(
    r"(^|[^a-z])(ids?|keys?|uuid|guid|nr|number|index|rowid|customer|client|user|patient|subject|account|household|person"
    r"|member|employee|student|device|machine|session|group|order|ticket)($|[^a-z])"
)
UNNAMED = re.compile(r"Unnamed: \d+(_level_\d+)?|index|level_0|__index_level_0__")  # as pandas calls them
LEAST_GROUPS = 20
LEAST_PAIRS = 30
LEAST_TOLD = 2
GROUP_ROWS = 5_000
MOST_CANDIDATES = 100
MOST_OTHERS = 50
# Two rows of one group agree in what belongs to the group; two rows at random must not.
AGREE_WITHIN = 0.98
AGREE_AT_RANDOM = 0.8


def identifier_notes(frame: pd.DataFrame, features: Sequence[ColumnSchema]) -> Iterator[str]:
    """Yield a warning of columns with a value of their own in nearly every row, and of an index that was exported."""
    if unnamed := [c.name for c in features if UNNAMED.fullmatch(c.name)]:
        yield (
            f"columns without a name, probably row numbers that were exported with the rows: {listed(unnamed)}; "
            f"they are features all the same: {dropped(unnamed)}"
        )
        features = [c for c in features if c.name not in unnamed]
    if len(frame) < IDENTIFIER_ROWS:
        return
    text = [c.name for c in features if c.kind is ColumnKind.CATEGORICAL and _is_distinct(frame[c.name])]
    numbers = [c.name for c in features if c.kind is ColumnKind.NUMERIC and _numbers_rows(frame[c.name])]
    for what, names in (("text", text), ("whole-number", numbers)):
        if names:
            yield (
                f"{what} columns with a value of their own in nearly every row, probably identifiers: {listed(names)}; "
                f"they are features all the same: {dropped(names)}, or name one as key"
            )


def group_notes(
    frame: pd.DataFrame, features: Sequence[ColumnSchema], holdout: npt.NDArray[np.intp], target: str
) -> Iterator[str]:
    """Yield a warning of columns that seem to name what several rows are about, with rows on both sides.

    `holdout` are the positions of the held-out rows. A column is taken for such a name when it is called like one, or
    when two other columns, or the target, have one value for all rows of each of its values.
    """
    held_out = np.zeros(len(frame), dtype=bool)
    held_out[holdout] = True
    candidates = [c.name for c in features if _repeats(frame[c.name], c.kind)][:MOST_CANDIDATES]
    if not candidates:
        return
    sample = frame.iloc[:GROUP_ROWS]
    others = [*[c.name for c in features][:MOST_OTHERS], target]
    codes = pd.DataFrame({name: pd.factorize(sample[name])[0] for name in dict.fromkeys([*others, *candidates])})
    found = [name for name in candidates if is_named_so(name) or _determines(codes, name, others, target)]
    if apart := [name for name in found if _is_on_both_sides(frame[name], held_out)]:
        yield (
            f"columns that seem to name what several rows are about, with rows of one value on both sides: "
            f"{listed(apart)}; held-out rows are then not new to the model: name one as key"
        )


def is_named_so(name: str) -> bool:
    """Return whether a column is called like an identifier.

    >>> [is_named_so(name) for name in ("customer_id", "customerId", "PatientID", "grid", "width", "age")]
    [True, True, True, False, False, False]
    """
    return NAME.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()) is not None


def _is_distinct(column: pd.Series) -> bool:
    return bool(column.nunique() > IDENTIFIER_SHARE * len(column))


def _numbers_rows(column: pd.Series) -> bool:
    """Return whether whole numbers name rows: by the column's name, or since they count the rows."""
    values = column.to_numpy()
    values = values[np.isfinite(values)]
    if len(values) < IDENTIFIER_ROWS or (values[:IDENTIFIER_ROWS] % 1 != 0).any() or not _is_distinct(column.dropna()):
        return False
    if (values % 1 != 0).any():
        return False
    steps = np.diff(values)
    counts = np.ptp(values) < 2 * len(values) or (steps > 0).all() or (steps < 0).all()
    return bool(counts) or is_named_so(str(column.name))


def _repeats(column: pd.Series, kind: ColumnKind) -> bool:
    """Return whether a column could name groups: text or whole numbers, many values, and several rows of most."""
    if kind not in (ColumnKind.CATEGORICAL, ColumnKind.NUMERIC):
        return False
    head = column.iloc[:GROUP_ROWS]
    if kind is ColumnKind.NUMERIC and (head.dropna() % 1 != 0).any():
        return False
    distinct = head.nunique()
    return bool(LEAST_GROUPS <= distinct <= len(head) * IDENTIFIER_SHARE)


def _determines(codes: pd.DataFrame, name: str, others: Sequence[str], target: str) -> bool:
    """Return whether rows of one value agree in the target or in two columns, far more than rows at random do.

    Columns with about as many values do not count: age and year of birth are one thing, and neither names anybody.
    """
    order = np.argsort(codes[name].to_numpy(), kind="stable")
    of_groups = codes[name].to_numpy()[order]
    pairs = (of_groups[1:] == of_groups[:-1]) & (of_groups[1:] >= 0)
    if pairs.sum() < LEAST_PAIRS:
        return False
    coarser = [other for other in others if other != name and codes[other].max() <= codes[name].max() / 2]
    rest = codes[coarser].to_numpy()
    within = (rest[order][1:] == rest[order][:-1])[pairs].mean(axis=0)
    mixed = rest[np.random.default_rng(0).permutation(len(rest))]
    at_random = (mixed[1:] == mixed[:-1]).mean(axis=0)
    is_told = (within >= AGREE_WITHIN) & (at_random < AGREE_AT_RANDOM)
    told = [other for other, told in zip(coarser, is_told, strict=True) if told]
    return target in told or len(told) >= LEAST_TOLD


def _is_on_both_sides(column: pd.Series, held_out: npt.NDArray[np.bool_]) -> bool:
    return bool(column[held_out].dropna().isin(column[~held_out]).any())
