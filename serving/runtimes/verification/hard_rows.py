"""Rows on which a compiled model would differ from its original, if it differed anywhere.

Random numbers never land on a tree's threshold; real data, rounded to its resolution, does, and so do the midpoints of
neighbouring values, from which trees take their thresholds. So the rows are real ones where there are any, mixtures of
the profile's quantiles rounded like the data, rows far from all of these, and copies of them with one value exchanged:
for a value seen elsewhere, for a midpoint, for every threshold and its neighbours, for a missing or an unseen value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.registry.profile import CategoricalProfile, NumericProfile, Profile
from slipway.registry.signature import Field
from slipway.serving.runtimes.compiled.categories import UNSEEN
from slipway.serving.runtimes.compiled.compile_trees import float32_limits
from slipway.serving.runtimes.compiled.preprocessing import Category, Matrix, Numbers, Preparation, Single, Step
from slipway.serving.table import Table

MOST_REAL = 2000
MIXED = 1000
MOST_VALUES = 2000
MOST_DECIMALS = 6
FEW = 2
SIZES = np.array([0.0, -0.0, *(sign * size * 10.0**ten for ten in range(-3, 7) for size in (1, 3) for sign in (1, -1))])
MOST_REPEATS = 8
DTYPES = {"boolean": np.bool_, "long": np.int64, "integer": np.int32, "string": np.object_}


@dataclass(frozen=True, slots=True)
class HardRows:
    """`ordinary` rows, which most models answer, and `special` ones, each of which a model may refuse."""

    ordinary: Table
    special: Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known of a model's data: real rows, and the profile of its training rows."""

    rows: Sequence[Table]
    profile: Profile | None


def hard_rows(
    fields: Sequence[Field],
    preparation: Preparation,
    thresholds: Mapping[int, Matrix],
    known: Known,
    *,
    most: int,
    rng: np.random.Generator,
) -> HardRows:
    """Return at most `most` ordinary rows, chosen at random where there are more, and the special ones.

    `thresholds` are what the estimator compares the columns of the prepared matrix with. The same generator gives the
    same rows.
    """
    columns = _Columns(fields)
    real = [_chosen(columns.rows(table), MOST_REAL, rng) for table in known.rows]
    base = columns.joined([*real, columns.mixed(known, preparation, thresholds, rng)])
    pools = columns.pools(base, preparation, thresholds, rng)
    base = columns.joined([base, columns.far(base, pools, rng)])
    changes = [(place, value) for place, pool in enumerate(pools) for value in pool]
    base = _chosen(base, most, rng)
    ordinary = columns.joined([base, columns.changed(base, _fitting(changes, most - len(base[0]), rng), rng)])
    special = columns.changed(base, list(columns.specials()), rng)
    return HardRows(columns.table(ordinary), columns.table(special))


def _fitting(changes: list[tuple[int, Any]], room: int, rng: np.random.Generator) -> list[tuple[int, Any]]:
    """Return the changes several times, each time for other rows, or a random choice where there are too many.

    A value on a threshold changes an answer only in a row that comes to that branch of the tree.
    """
    if len(changes) <= room:
        return changes * min(MOST_REPEATS, room // max(1, len(changes)))
    return [changes[i] for i in np.sort(rng.choice(len(changes), room, replace=False))]


def take(table: Table, places: Any) -> Table:
    """Return some of a table's rows."""
    others = {name: column[places] for name, column in table.others.items()}
    return Table(np.ascontiguousarray(table.numbers[places]), others, table.absent)


Rows = list[npt.NDArray[Any]]


def _chosen(rows: Rows, most: int, rng: np.random.Generator) -> Rows:
    n = len(rows[0])
    if n <= most:
        return rows
    places = np.sort(rng.choice(n, most, replace=False))
    return [column[places] for column in rows]


class _Columns:
    """Rows as one array per column, in the signature's order; a table's other shape is easier to change."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = fields
        self._doubles = [place for place, field in enumerate(fields) if field.type == "double"]

    def rows(self, table: Table) -> Rows:
        numbers = iter(table.numbers.T)
        return [next(numbers) if f.type == "double" else table.others[f.name] for f in self._fields]

    def table(self, rows: Rows) -> Table:
        numbers = np.column_stack([rows[place] for place in self._doubles]) if self._doubles else None
        others = {f.name: rows[i] for i, f in enumerate(self._fields) if f.type != "double"}
        return Table(np.empty((len(rows[0]), 0)) if numbers is None else np.ascontiguousarray(numbers), others)

    def joined(self, parts: Sequence[Rows]) -> Rows:
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def changed(self, base: Rows, changes: Sequence[tuple[int, Any]], rng: np.random.Generator) -> Rows:
        """Return one row for each change: a row of `base` with one value exchanged."""
        places = rng.integers(0, len(base[0]), len(changes))
        rows = [column[places] for column in base]
        for row, (place, value) in enumerate(changes):
            rows[place][row] = value
        return rows

    def mixed(
        self,
        known: Known,
        preparation: Preparation,
        thresholds: Mapping[int, Matrix],
        rng: np.random.Generator,
    ) -> Rows:
        """Return rows whose values are drawn column by column, rounded to the data's resolution."""
        compared = _by_source(preparation, thresholds)
        categories = _categories_of(preparation)
        found: Rows = []
        for field in self._fields:
            key = self._key(field)
            values = self._values(field, known, compared.get(key, np.empty(0)), categories.get(key, []))
            found.append(rng.choice(values, MIXED))
        return found

    def _key(self, field: Field) -> int | str:
        doubles = [self._fields[place].name for place in self._doubles]
        return doubles.index(field.name) if field.type == "double" else field.name

    def _values(self, field: Field, known: Known, compared: Matrix, categories: Sequence[Any]) -> npt.NDArray[Any]:
        seen = [self.rows(table)[list(self._fields).index(field)] for table in known.rows]
        profile = known.profile.features.get(field.name) if known.profile else None
        if field.type == "boolean":
            return np.array([False, True])
        if field.type == "string":
            return _texts(seen, profile, categories)
        return _numbers(seen, profile, compared).astype(DTYPES.get(field.type, np.float64))

    def pools(
        self,
        base: Rows,
        preparation: Preparation,
        thresholds: Mapping[int, Matrix],
        rng: np.random.Generator,
    ) -> list[Sequence[Any]]:
        """Return for each column the values that are worth trying in it."""
        compared = _by_source(preparation, thresholds)
        categories = _categories_of(preparation)
        found: list[Any] = []
        for field, column in zip(self._fields, base, strict=True):
            key = self._key(field)
            if field.type == "double":
                pool: Any = _number_pool(column, compared.get(key, np.empty(0)))
                extra = [value for value in categories.get(key, []) if isinstance(value, int | float)]
                pool = np.concatenate([pool, np.array(extra, dtype=np.float64)])
                found.append(rng.permutation(pool)[: 10 * MOST_VALUES])
            elif field.type == "string":
                found.append(categories.get(key, []))
            elif field.type == "boolean":
                found.append([False, True])
            else:
                whole = np.floor(compared.get(key, np.empty(0))).clip(-(2.0**31), 2.0**31 - 2)
                found.append(np.unique(np.concatenate([whole, whole + 1])).astype(np.int64).tolist())
        return found

    def far(self, base: Rows, pools: Sequence[Sequence[Any]], rng: np.random.Generator) -> Rows:
        """Return rows of which every value is one worth trying: where no real row comes, and nobody has looked.

        In a file that somebody has changed, a model may be another there.
        """
        found: Rows = []
        for column, pool in zip(base, pools, strict=True):
            places = rng.integers(0, max(1, len(pool)), MIXED)
            tried = np.array(pool, dtype=column.dtype) if len(pool) else column
            found.append(tried[places % len(tried)])
        return found

    def specials(self) -> Iterator[tuple[int, Any]]:
        """Yield values that stand for nothing, or for something never seen, in every column."""
        for place, field in enumerate(self._fields):
            if field.type == "double":
                yield place, np.nan
                if place < FEW:
                    yield from ((place, value) for value in (np.inf, -np.inf, 1e39, -1e300))
            elif field.type == "string":
                yield from ((place, value) for value in (np.nan, None, UNSEEN, ""))


def _by_source(preparation: Preparation, thresholds: Mapping[int, Matrix]) -> dict[int | str, Matrix]:
    """Return the thresholds as values of the raw columns, mapped back through the preparation."""
    found: dict[int | str, Matrix] = {}
    for part in preparation.parts:
        if isinstance(part, Numbers):
            for place, (source, target) in enumerate(zip(part.sources, part.targets, strict=True)):
                if target in thresholds:
                    found[int(source)] = _undone(part.steps, place, thresholds[int(target)])
        elif isinstance(part, Single) and part.target in thresholds:
            found[part.source] = _undone(part.steps, 0, thresholds[part.target])
    return found


def _undone(steps: Sequence[Step], place: int, values: Matrix) -> Matrix:
    for step in reversed(steps):
        if step.name in UNDO:
            values = UNDO[step.name](values, step.first[place])
    return values


UNDO = {
    "subtract": lambda values, by: values + by,
    "divide": lambda values, by: values * by,
    "multiply": lambda values, by: values / by,
    "add": lambda values, by: values - by,
}


def _categories_of(preparation: Preparation) -> dict[int | str, list[Any]]:
    categories = [part for part in preparation.parts if isinstance(part, Category)]
    return {part.source: [value for value in part.codes if value is not None] for part in categories}


def _texts(seen: Sequence[npt.NDArray[Any]], profile: Any, categories: Sequence[Any]) -> npt.NDArray[np.object_]:
    counted = list(profile.counts) if isinstance(profile, CategoricalProfile) else []
    values = [*(value for column in seen for value in column.tolist()), *counted, *categories]
    texts = list(dict.fromkeys(value for value in values if isinstance(value, str))) or [UNSEEN]
    return np.array(texts, dtype=np.object_)


def _numbers(seen: Sequence[npt.NDArray[Any]], profile: Any, compared: Matrix) -> Matrix:
    """Return numbers that the data may hold, rounded to its resolution."""
    real = np.concatenate([np.empty(0), *(column.astype(np.float64) for column in seen)])
    quantiles = np.array(profile.quantiles) if isinstance(profile, NumericProfile) else np.empty(0)
    values = np.concatenate([real, quantiles])
    values = values[np.isfinite(values)]
    if not len(values):
        values = compared if len(compared) else np.array([-1.0, 0.0, 1.0])
    # The smallest and the largest are of the data; quantiles between are interpolated.
    observed = real[np.isfinite(real)] if len(real) else values[[0, -1]]
    found: Matrix = np.unique(values.round(decimals_of(observed)))
    return found


def decimals_of(values: Matrix) -> int:
    """Return how many decimals the values have, at most 6.

    >>> decimals_of(np.array([5.1, 4.0, 0.25]))
    2
    """
    for decimals in range(MOST_DECIMALS):
        if (values.round(decimals) == values).all():
            return decimals
    return MOST_DECIMALS


def _number_pool(column: Matrix, compared: Matrix) -> Matrix:
    observed = np.unique(column[np.isfinite(column)])
    middle = (observed[:-1] + observed[1:]) / 2
    return np.concatenate([observed[:MOST_VALUES], middle[:MOST_VALUES], neighbours(compared), SIZES])


def neighbours(thresholds: Matrix) -> Matrix:
    """Return each threshold, what it is in float32, where rounding to float32 passes it, and what lies beside these."""
    with np.errstate(over="ignore"):  # beside the largest number lies infinity, which is left out below
        rounded = thresholds.astype(np.float32)
        beside = [rounded, np.nextafter(rounded, np.float32(np.inf)), np.nextafter(rounded, np.float32(-np.inf))]
        limits = float32_limits(thresholds)
        centres = np.concatenate([thresholds, limits, *(each.astype(np.float64) for each in beside)])
        near = [centres, np.nextafter(centres, np.inf), np.nextafter(centres, -np.inf)]
        # A scaler rounds, so that what it maps onto a threshold is up to a few steps beside the inverse.
        further = [np.nextafter(near[1], np.inf), np.nextafter(near[2], -np.inf)]
    found = np.unique(np.concatenate([*near, *further]))
    finite: Matrix = found[np.isfinite(found)]
    return finite
