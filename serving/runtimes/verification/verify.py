"""Whether a compiled or prepared runner answers as the fitted model does, on rows made to tell them apart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.verification.hard_rows import HardRows, take
from slipway.serving.table import Table, copied

RELATIVE = 1e-9
ABSOLUTE = 1e-12
ALONE = 300

Ask = Callable[[Table, str], Any]
Answered = npt.NDArray[Any] | None


class Candidate(Protocol):
    """What is verified: anything that answers tables."""

    def predict(self, table: Table, method: str, params: None) -> Any:
        """Return the predictions."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How many rows were compared, and how many of them were answered otherwise."""

    rows: int
    differing: int

    @property
    def agrees(self) -> bool:
        """Return whether no row was answered otherwise."""
        return not self.differing


def verify(candidate: Candidate, original: Ask, hard: HardRows, methods: Sequence[str]) -> Verified:
    """Compare labels exactly and numbers within 1e-9 of their size or 1e-12, in a batch and one row at a time.

    A row that the original refuses has to be refused, and no other. Rows are counted once, however they were asked.
    """

    def ask(table: Table, method: str) -> Any:
        return candidate.predict(table, method, None)

    n = len(hard.ordinary.numbers)
    differing = np.zeros(n + len(hard.special.numbers), dtype=bool)
    with np.errstate(all="ignore"):  # rows at the ends of the numbers overflow here and there alike
        for method in methods:
            differing[:n] |= _ordinary(ask, original, hard.ordinary, method)
            differing[n:] |= _special(ask, original, hard.special, method)
    return Verified(len(differing), int(differing.sum()))


def differs(found: Any, expected: Any) -> npt.NDArray[np.bool_]:
    """Return shape (n,): which rows are answered otherwise; all of them where shapes or kinds of values differ.

    >>> differs(np.array([1.0, 2.0]), np.array([1.0 + 1e-11, 2.1])).tolist()
    [False, True]
    """
    ours, theirs = np.asarray(found), np.asarray(expected)
    if ours.shape != theirs.shape or ours.dtype.kind != theirs.dtype.kind:
        return np.ones(len(theirs), dtype=bool)
    if theirs.dtype.kind == "f":
        same = np.isclose(ours, theirs, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    else:
        same = ours == theirs
    found_differing: npt.NDArray[np.bool_] = ~same.reshape(len(theirs), -1).all(axis=1)
    return found_differing


def _ordinary(ask: Ask, original: Ask, table: Table, method: str) -> npt.NDArray[np.bool_]:
    """Compare all rows in a batch, and some of ours alone with the batch of the original: it alone costs far more."""
    expected = _outcome(original, table, method)
    if expected is None:
        return _special(ask, original, table, method)
    found = _outcome(ask, table, method)
    differing = np.ones(len(table.numbers), dtype=bool) if found is None else differs(found, expected)
    for row in _spread(len(table.numbers), ALONE):
        alone = _outcome(ask, take(table, [row]), method)
        differing[row] |= alone is None or bool(differs(alone, expected[row : row + 1])[0])
    return differing


def _special(ask: Ask, original: Ask, table: Table, method: str) -> npt.NDArray[np.bool_]:
    """Compare rows that may be refused: each alone, and those that are answered in a batch as well."""
    differing = np.zeros(len(table.numbers), dtype=bool)
    answered: list[int] = []
    for row in _spread(len(table.numbers), ALONE):
        single = take(table, [row])
        expected, found = _outcome(original, single, method), _outcome(ask, single, method)
        if expected is None or found is None:
            differing[row] = (expected is None) != (found is None)
        else:
            differing[row] = differs(found, expected)[0]
            answered.append(row)
    if answered:
        batch = take(table, answered)
        expected, found = _outcome(original, batch, method), _outcome(ask, batch, method)
        if expected is not None:
            differing[answered] |= True if found is None else differs(found, expected)
    return differing


def _spread(n: int, most: int) -> list[int]:
    """Return at most so many rows of n, evenly spread."""
    rows: list[int] = np.unique(np.linspace(0, n - 1, min(n, most)).astype(int)).tolist() if n else []
    return rows


def _outcome(ask: Ask, table: Table, method: str) -> Answered:
    """Return the answer about rows of its own; `None` where they are refused."""
    try:
        return np.asarray(ask(copied(table), method))
    except (ValueError, TypeError):
        return None
