"""Which columns of a table are taken, and as what: rules over a frame, by what whoever trains said of its columns."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.nearest import did_you_mean
from slipway.registry.reading import NUMBER, Reading
from slipway.training.listed import listed
from slipway.training.written_numbers import written_numbers

SHOWN_VALUES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnChoice:
    """`drop` are left out. Where there are `features`, all others are, save those that are needed `also`."""

    drop: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    also: tuple[str, ...] = ()


def left_out(frame: pd.DataFrame, columns: ColumnChoice, target: str, source: str) -> tuple[str, ...]:
    """Return the names of the columns that are left out, in the frame's order.

    Raises
    ------
    NotFound
        A name is none of the frame's.
    InvalidInput
        The target, the key or the time column would be left out, or the target is named as a feature.
    """
    require_columns(frame, (*columns.drop, *columns.features), source)
    if needed := [name for name in columns.drop if name in (target, *columns.also)]:
        raise _invalid(f"drop names {listed(needed)}, which the training needs", "remove it from drop")
    if target in columns.features:
        raise _invalid(f"features names the target '{target}', which would give itself away", "remove it from features")
    kept = {*columns.features, *columns.also, target}
    return tuple(
        name for name in map(str, frame.columns) if name in columns.drop or (columns.features and name not in kept)
    )


def require_columns(frame: pd.DataFrame, names: Iterable[str], source: str) -> None:
    """Refuse a name that is no column's.

    Raises
    ------
    NotFound
        With the nearest name, and those that there are.
    """
    known = [str(name) for name in frame.columns]
    for name in names:
        if name not in known:
            raise NotFound(
                f"{source} has no column '{name}'{did_you_mean(name, known)}; there are: {listed(known)}",
                code="unknown-column",
                hint=None,
            )


def typed(frame: pd.DataFrame, reading: Reading) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the frame with columns in the types that were said, where they are there, and what that made of them.

    Raises
    ------
    InvalidInput
        A value of what should be numbers is none.
    """
    found: Mapping[str, str] = {name: kind for name, kind in reading.dtypes.items() if name in frame.columns}
    columns = {
        name: _numbers(frame[name], reading) if kind == NUMBER else _text(frame[name]) for name, kind in found.items()
    }
    notes = [_rewritten(frame[name], column) for name, column in columns.items() if found[name] == NUMBER]
    return frame.assign(**columns), tuple(note for note in notes if note)


def _text(column: pd.Series) -> pd.Series:
    return column.where(column.isna(), column.map(str)).astype("str")


def _numbers(column: pd.Series, reading: Reading) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        return column
    given = column.mask(column.isin(reading.missing_words))
    found = written_numbers(given, reading.decimal or ".")
    if wrong := list(given[found.isna() & given.notna()].unique()):
        some = ", ".join(repr(str(value)) for value in wrong[:SHOWN_VALUES])
        more = f" and {len(wrong) - SHOWN_VALUES:,} more" if len(wrong) > SHOWN_VALUES else ""
        raise _invalid(
            f"column '{column.name}' should be read as numbers, and it holds {some}{more}",
            "correct those values; missing names words that mean missing, decimal the decimal sign",
        )
    return found.astype("float64")


def _rewritten(column: pd.Series, numbers: pd.Series) -> str | None:
    """Return what the first number that is not written as one was read as, for a person to see whether it was meant."""
    others = pd.to_numeric(column, errors="coerce").isna() & numbers.notna()
    if not others.any():
        return None
    text, number = column[others].iloc[0], numbers[others].iloc[0]
    return f"column '{column.name}' was read as numbers, {str(text)!r} as {number:.12g}; a request sends the number"


def _invalid(message: str, hint: str) -> InvalidInput:
    return InvalidInput(message, code="wrong-columns", hint=hint)
