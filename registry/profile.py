"""The reference profile: what columns looked like at training time, which drift is measured against."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

SCHEMA_VERSION = 1
LEVELS = tuple(level / 20 for level in range(21))
MOST_CATEGORIES = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class NumericProfile:
    """Numbers: quantiles at 0, 0.05, …, 1, mean and standard deviation of the finite values.

    `missing_share` is in 0..1 of all `n` values; infinite ones count as missing. Without a finite value,
    `quantiles` is empty and `mean` and `std` are `None`.
    """

    n: int
    missing_share: float
    quantiles: tuple[float, ...]
    mean: float | None
    std: float | None
    kind: str = "numeric"


@dataclass(frozen=True, kw_only=True, slots=True)
class CategoricalProfile:
    """Categories: counts of the commonest (at most 100) by their text, and of all others together."""

    n: int
    missing_share: float
    counts: Mapping[str, int]
    other_count: int
    kind: str = "categorical"


ColumnProfile = NumericProfile | CategoricalProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """Column name → profile: features of the training rows, predictions of the held-out rows."""

    n_rows: int
    features: Mapping[str, ColumnProfile]
    predictions: Mapping[str, ColumnProfile]

    def to_json(self) -> str:
        """Return strict JSON."""
        return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(self)}, allow_nan=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        """Return the profile that `to_json` wrote."""
        document = json.loads(text)
        return cls(
            n_rows=document["n_rows"],
            features={name: _column_from(value) for name, value in document["features"].items()},
            predictions={name: _column_from(value) for name, value in document["predictions"].items()},
        )


def profile_columns(frame: pd.DataFrame) -> dict[str, ColumnProfile]:
    """Return a profile of each column: booleans and text as categories, numbers by their quantiles.

    Each thread holds a copy of the column that it works on, and no more.
    """
    with ThreadPoolExecutor() as pool:  # partitioning releases the interpreter's lock
        profiles = pool.map(_profile_of, (frame[name] for name in frame.columns))
        return dict(zip(map(str, frame.columns), profiles, strict=True))


def _profile_of(column: pd.Series) -> ColumnProfile:
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return numeric_profile(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return categorical_profile(column)


def numeric_profile(values: npt.NDArray[np.float64]) -> NumericProfile:
    """Profile shape (n,); quantiles interpolate linearly between neighbours (Hyndman and Fan, 1996, type 7)."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        missing_share = 1.0 if len(values) else 0.0
        return NumericProfile(n=len(values), missing_share=missing_share, quantiles=(), mean=None, std=None)
    return NumericProfile(
        n=len(values),
        missing_share=1 - len(finite) / len(values),
        quantiles=tuple(np.quantile(finite, LEVELS).tolist()),
        mean=float(finite.mean()),
        std=float(finite.std()),
    )


def categorical_profile(column: pd.Series) -> CategoricalProfile:
    """Profile shape (n,); equal counts are ordered by the category's text."""
    counts = column.value_counts(dropna=True)
    by_text = sorted(((str(name), int(count)) for name, count in counts.items()), key=lambda item: (-item[1], item[0]))
    return CategoricalProfile(
        n=len(column),
        missing_share=float(column.isna().mean()) if len(column) else 0.0,
        counts=dict(by_text[:MOST_CATEGORIES]),
        other_count=sum(count for _, count in by_text[MOST_CATEGORIES:]),
    )


def _column_from(document: Mapping[str, Any]) -> ColumnProfile:
    if document["kind"] == "categorical":
        return CategoricalProfile(**document)
    return NumericProfile(**{**document, "quantiles": tuple(document["quantiles"])})
