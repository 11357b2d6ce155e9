"""From the columns of a request to the matrix that an estimator takes, without scikit-learn.

Does to each column what the fitted transformers would, with the same operations in the same order, so that the matrix
is theirs to the last bit. What the transformers are is read elsewhere (`read_preparation`); this needs numpy alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.registry.errors import InvalidInput
from slipway.serving.table import Table

Matrix = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on all columns of a part: `impute`, `subtract`, `divide`, `multiply`, `add`, `clip` or `refuse`.

    `first` and `second` have shape (k,) or are empty: `impute` puts `second` where a value is `first` (NaN: missing),
    `clip` keeps values from `first` to `second`, `refuse` raises where a value is infinite, and also where it is NaN
    if `first` is not empty.
    """

    name: str
    first: Matrix
    second: Matrix


@dataclass(frozen=True, slots=True)
class Numbers:
    """Columns of the table's `numbers`: `sources` go through `steps` into the matrix's columns `targets`."""

    sources: Places
    targets: Places
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Single:
    """One of the table's other columns, taken as numbers."""

    source: str
    target: int
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Category:
    """A column that is looked up: value → code, and code → which column of the matrix holds which number.

    `source` is a place in `numbers`, or the name of another column. All of the matrix's columns that belong to this one
    are zero but for the one that is set. A code of `None` stands for what the encoder refuses.
    """

    source: int | str
    codes: Mapping[Any, int]
    targets: Places
    values: Matrix
    missing: int | None
    unknown: int | None

    def code(self, value: Any) -> int:
        """Return the code of a value, as the encoder has it for known, missing and unseen ones."""
        found = self.codes.get(value)
        if found is None:
            # NaN is not equal to itself, so that no lookup finds it.
            found = self.missing if value != value else self.unknown
        if found is None:
            raise ValueError(f"Found unknown categories in column {self.source} during transform")
        return found


class Preparation:
    """All parts together: from a table to the matrix, one row or many."""

    def __init__(
        self,
        *,
        width: int,
        parts: tuple[Numbers | Single | Category, ...],
        after: tuple[Step, ...] = (),
        constants: Matrix | None = None,
    ) -> None:
        self.width = width
        self.parts = parts
        self.after = after
        self.constants = constants
        self._numbers = [_NumbersPlan(part) for part in parts if isinstance(part, Numbers)]
        self._singles = [part for part in parts if isinstance(part, Single)]
        self._lookups = [_Lookup(part) for part in parts if isinstance(part, Category)]
        covered = len(self._numbers) == 1 and not self._singles and not self._lookups
        self._only = self._numbers[0] if covered and self._numbers[0].fills(width) else None

    def matrix(self, table: Table) -> Matrix:
        """Return shape (n, width), C-contiguous; it may be the table's own `numbers`, so do not write into it."""
        X = self._only.taken(table.numbers) if self._only is not None else self._put_together(table)
        if self.after:
            X = _walked(X.copy() if X is table.numbers else X, self.after)
        return X

    def _put_together(self, table: Table) -> Matrix:
        n = len(table.numbers)
        X = np.zeros((n, self.width))
        if self.constants is not None:
            X[:] = self.constants
        for plan in self._numbers:
            X[:, plan.targets] = plan.taken(table.numbers)
        for part in self._singles:
            column = _other(table, part.source)
            if n == 1 and not part.steps:
                X[0, part.target] = column.item(0)
            else:
                X[:, part.target] = _walked(np.array(column, dtype=np.float64)[:, None], part.steps)[:, 0]
        for lookup in self._lookups:
            if n == 1:
                lookup.set_one(X, table)
            else:
                lookup.fill(X, table)
        return X


class _NumbersPlan:
    """How `Numbers` is done: with slices where the places are in a row, and no more than is needed for finite rows."""

    def __init__(self, part: Numbers) -> None:
        self.targets: Places | slice = _as_slice(part.targets)
        self._sources = part.sources
        self._in_order = bool((part.sources == np.arange(len(part.sources))).all())
        self._steps = part.steps
        self._steps_if_finite = tuple(dropwhile(_does_nothing_to_finite, part.steps))
        self._asks = len(self._steps_if_finite) < len(self._steps)

    def fills(self, width: int) -> bool:
        return self.targets == slice(0, width)

    def taken(self, numbers: Matrix) -> Matrix:
        """Return the columns after all steps; the table's own array where nothing is to be done."""
        whole = self._in_order and numbers.shape[1] == len(self._sources)
        X = np.ascontiguousarray(numbers) if whole else numbers.take(self._sources, axis=1)
        steps = self._steps_if_finite if self._asks and _is_finite(X) else self._steps
        if steps:
            X = _walked(X.copy() if X is numbers else X, steps)
        return X


def _does_nothing_to_finite(step: Step) -> bool:
    return step.name == "refuse" or (step.name == "impute" and bool(np.isnan(step.first).all()))


def _is_finite(X: Matrix) -> bool:
    """Return whether no value is NaN or infinite, in one pass; `False` also where the sum overflows."""
    return math.isfinite(np.add.reduce(X.ravel()))


class _Lookup:
    """How `Category` is done: for one row with plain numbers, for many with arrays."""

    def __init__(self, category: Category) -> None:
        self._category, self._get = category, category.codes.get
        self._source = category.source
        self._set: list[tuple[int, float]] = list(zip(category.targets.tolist(), category.values.tolist(), strict=True))

    def set_one(self, X: Matrix, table: Table) -> None:
        """Set one number of a row that is zero in this category's columns."""
        source = self._source
        value = table.numbers.item(0, source) if isinstance(source, int) else _other(table, source).item(0)
        code = self._get(value)
        target, number = self._set[self._category.code(value) if code is None else code]
        X[0, target] = number

    def fill(self, X: Matrix, table: Table) -> None:
        """Set one number in each row."""
        get, code_of = self._get, self._category.code
        column = table.numbers[:, self._source] if isinstance(self._source, int) else _other(table, self._source)
        values = column.tolist()
        codes = [get(value, -1) for value in values]
        if -1 in codes:
            codes = [code_of(value) if code < 0 else code for code, value in zip(codes, values, strict=True)]
        chosen = np.array(codes, dtype=np.intp)
        X[np.arange(len(codes)), self._category.targets[chosen]] = self._category.values[chosen]


def _as_slice(places: Places) -> Places | slice:
    in_a_row = len(places) and bool((np.diff(places) == 1).all())
    return slice(int(places[0]), int(places[-1]) + 1) if in_a_row else places


def _walked(X: Matrix, steps: tuple[Step, ...]) -> Matrix:
    for step in steps:
        X = STEPS[step.name](X, step.first, step.second)
    return X


def _other(table: Table, name: str) -> npt.NDArray[Any]:
    found = table.others.get(name)
    if found is None:
        raise missing_columns((name,))
    return found


def missing_columns(names: Sequence[str]) -> InvalidInput:
    """Return what to say to rows without columns that the signature calls optional and the model needs."""
    return InvalidInput(
        f"columns are missing: {', '.join(map(repr, names))}",
        code="missing-columns",
        hint="the signature calls them optional, but the model was fitted with them; null is a missing value",
    )


def _impute(X: Matrix, missing: Matrix, fill: Matrix) -> Matrix:
    where = np.isnan(X) if missing[0] != missing[0] else missing == X
    if where.any():
        np.copyto(X, fill, where=where)
    return X


def _subtract(X: Matrix, first: Matrix, _: Matrix) -> Matrix:
    X -= first
    return X


def _divide(X: Matrix, first: Matrix, _: Matrix) -> Matrix:
    X /= first
    return X


def _multiply(X: Matrix, first: Matrix, _: Matrix) -> Matrix:
    X *= first
    return X


def _add(X: Matrix, first: Matrix, _: Matrix) -> Matrix:
    X += first
    return X


def _clip(X: Matrix, low: Matrix, high: Matrix) -> Matrix:
    return np.clip(X, low, high, out=X)


def _refuse(X: Matrix, nan: Matrix, _: Matrix) -> Matrix:
    if len(nan) and np.isnan(X).any():
        raise ValueError("Input X contains NaN.")
    if np.isinf(X).any():
        raise ValueError("Input X contains infinity or a value too large for dtype('float64').")
    return X


STEPS: Mapping[str, Callable[[Matrix, Matrix, Matrix], Matrix]] = {
    "impute": _impute,
    "subtract": _subtract,
    "divide": _divide,
    "multiply": _multiply,
    "add": _add,
    "clip": _clip,
    "refuse": _refuse,
}
