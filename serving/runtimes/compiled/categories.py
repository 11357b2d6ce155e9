"""Fitted imputers and an encoder, asked what they make of each value of each column.

scikit-learn's encoders have many options (unknown, infrequent, dropped and missing categories), which meet in what
`transform` answers. So the answers are read, not the options: each column is varied alone, over all values that the
transformers know, and over one missing value of each kind and one unseen value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import issparse
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from slipway.serving.runtimes.compiled.preprocessing import Category, Matrix
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name

ENCODERS = (OneHotEncoder, OrdinalEncoder)
WIDEST = 5000
ASKED_AT_ONCE = 1000
UNSEEN = "\x00 slipway: no category"
PANDAS = {"string": "object", "boolean": "bool", "double": "float64", "long": "int64", "integer": "int32"}


@dataclass(frozen=True, slots=True)
class Source:
    """A column of the table: its name, its type in the signature, and its place in `numbers` if it is there."""

    name: str
    kind: str
    place: int | None

    @property
    def key(self) -> int | str:
        """Return where a table has it."""
        return self.name if self.place is None else self.place


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a chain makes of its columns: one `Category` each, the width, and what no column changes, shape (width,)."""

    categories: tuple[Category, ...]
    width: int
    constants: Matrix


def read_categories(chain: Sequence[Any], sources: Sequence[Source]) -> Encoded:
    """Return what imputers followed by an encoder make of each column.

    Raises
    ------
    NotCompilable
        A transformer is none of those, or one column's value is spread over several numbers.
    """
    _require_known(chain, sources)
    asked = _Asked(chain, sources)
    base = asked.answer([[known[0] for known in asked.known]])[0]
    columns = [asked.column(place, base) for place in range(len(sources))]
    owners = np.sum([found.touched for found in columns], axis=0)
    if (owners > 1).any():
        raise NotCompilable(f"{type_name(chain[-1])} mixes columns")
    categories = tuple(
        found.category(source.key) for found, source in zip(columns, sources, strict=True) if not found.is_constant
    )
    return Encoded(categories, len(base), np.where(owners > 0, 0.0, base))


def _require_known(chain: Sequence[Any], sources: Sequence[Source]) -> None:
    *before, encoder = chain
    for fitted in before:
        if type(fitted) is not SimpleImputer or fitted.add_indicator:
            raise NotCompilable(f"{type_name(fitted)} before {type_name(encoder)}")
    if type(encoder) not in ENCODERS:
        raise NotCompilable(f"{type_name(encoder)} is not an encoder known here")
    for source in sources:
        if source.kind not in PANDAS:
            raise NotCompilable(f"column '{source.name}' of type {source.kind} before {type_name(encoder)}")
    if len(encoder.categories_) != len(sources):
        raise NotCompilable("an imputer that leaves out columns")
    if len(encoder.get_feature_names_out()) > WIDEST:
        raise NotCompilable(f"{type_name(encoder)} into more than {WIDEST} columns")


@dataclass(frozen=True, slots=True)
class _Answers:
    """Of one column: the numbers of each value, shape (values, width), and which of the matrix's columns it touches."""

    values: list[Any]
    rows: Matrix
    touched: npt.NDArray[np.bool_]
    missing: Matrix | None
    unknown: Matrix | None

    @property
    def is_constant(self) -> bool:
        """Return whether every value, known or not, gives the same."""
        return not self.touched.any() and self.missing is not None and self.unknown is not None

    def category(self, key: int | str) -> Category:
        """Return the lookup, each code a place and the number that goes there."""
        special = [row for row in (self.missing, self.unknown) if row is not None]
        rows = np.vstack([self.rows, *special])
        places = np.flatnonzero(self.touched)
        if not len(places):
            raise NotCompilable("an encoder that knows one category and refuses others")
        kept = rows[:, places]
        is_set = kept != 0
        if (is_set.sum(axis=1) > 1).any():
            raise NotCompilable("an encoder that sets several numbers for one value")
        which = is_set.argmax(axis=1)
        n = len(self.values)
        return Category(
            source=key,
            codes={value: code for code, value in enumerate(self.values)},
            targets=places[which].astype(np.intp),
            values=kept[np.arange(len(rows)), which],
            missing=n if self.missing is not None else None,
            unknown=n + (self.missing is not None) if self.unknown is not None else None,
        )


class _Asked:
    """A chain that answers rows of raw values."""

    def __init__(self, chain: Sequence[Any], sources: Sequence[Source]) -> None:
        self._chain = chain
        self._sources = sources
        self.known = [_known(chain, place, source) for place, source in enumerate(sources)]

    def answer(self, rows: list[list[Any]]) -> Matrix:
        """Return shape (rows, width)."""
        found = [self._transformed(rows[i : i + ASKED_AT_ONCE]) for i in range(0, len(rows), ASKED_AT_ONCE)]
        return np.vstack(found)

    def column(self, place: int, base: Matrix) -> _Answers:
        """Return what becomes of the matrix when one column's value changes."""
        source = self._sources[place]
        values, rows = self._of_known(place)
        if source.kind == "string":
            none = self._alone(place, None)
            if none is not None:
                values, rows = [*values, None], np.vstack([rows, none])
        missing = self._alone(place, np.nan) if source.kind in ("string", "double") else None
        unknown = self._alone(place, _unseen(self.known[place], source))
        seen = np.vstack([rows, *[row for row in (missing, unknown) if row is not None], base])
        touched = ~((seen == base) | (np.isnan(seen) & np.isnan(base))).all(axis=0)
        return _Answers(values, rows, touched, missing, unknown)

    def _of_known(self, place: int) -> tuple[list[Any], Matrix]:
        known = self.known[place]
        try:
            return known, self.answer([self._with(place, value) for value in known])
        except ValueError:  # an imputer can map a known value to one that the encoder refuses
            answers = [(value, self._alone(place, value)) for value in known]
            kept = [(value, row) for value, row in answers if row is not None]
            return [value for value, _ in kept], np.vstack([row for _, row in kept])

    def _alone(self, place: int, value: Any) -> Matrix | None:
        try:
            return self.answer([self._with(place, value)])
        except (ValueError, TypeError):
            return None

    def _with(self, place: int, value: Any) -> list[Any]:
        row = [known[0] for known in self.known]
        row[place] = value
        return row

    def _transformed(self, rows: list[list[Any]]) -> Matrix:
        X: Any = pd.DataFrame(
            {
                source.name: pd.Series([row[place] for row in rows], dtype=PANDAS[source.kind])
                for place, source in enumerate(self._sources)
            }
        )
        if not hasattr(self._chain[0], "feature_names_in_"):
            X = X.to_numpy()
        for fitted in self._chain:
            X = fitted.transform(X)
        dense = X.toarray() if issparse(X) else np.asarray(X)
        if dense.dtype != np.float64:
            raise NotCompilable(f"{type_name(self._chain[-1])} into {dense.dtype}")
        return dense.astype(np.float64)


def _known(chain: Sequence[Any], place: int, source: Source) -> list[Any]:
    values = [_plain(value) for value in chain[-1].categories_[place]]
    values += [_plain(fitted.missing_values) for fitted in chain[:-1]]
    values += [False, True] if source.kind == "boolean" else []
    text = source.kind == "string"
    found = list(dict.fromkeys(value for value in values if _is_value(value) and isinstance(value, str) == text))
    if not found:
        raise NotCompilable(f"column '{source.name}' without a category")
    return found


def _is_value(value: Any) -> bool:
    return value is not None and value == value


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _unseen(known: list[Any], source: Source) -> Any:
    if source.kind == "string":
        return UNSEEN
    return 0 if source.kind == "boolean" else max(known) + 1
