"""Times: a column becomes numbers that sort as time does, or is refused with what stands against it.

Dates and numbers sort by themselves. Text does not: `06/01/2023` comes before `12/31/2022`, and `2.1.2023` after
`10.1.2023`. It is parsed by one format, which is given or inferred from all values, and which is recorded. A guess is
never made: where two formats read every value, and differently, the person who asks has to say which is meant.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.errors import InvalidInput
from slipway.training.dataset import ColumnKind, kind_of

ISO = "ISO8601"
ISO_DATE = r"\s*\d{4}([-/]\d{1,2}([-/]\d{1,2}([T ]\d.*)?)?)?\s*"
ISO_ZONE = r".*[T ]\d.*(Z|[+-]\d\d(:?\d\d)?)\s*"
CLOCK = re.compile(
    r"(?P<date>.*?)(?P<between>T|, | )(?P<hour>\d{1,2}):\d\d(?P<second>:\d\d(?P<fraction>\.\d+)?)?"
    r"(?P<half>(?P<gap> ?)[AaPp][Mm])?(?P<zone>(?P<space> ?)(?:(?P<offset>Z|[+-]\d\d:?\d\d)|(?P<name>[A-Z]{3,4})))?\s*"
)
ORDERS = (
    "%d{0}%m{0}%Y",
    "%m{0}%d{0}%Y",
    "%Y{0}%m{0}%d",
    "%d{0}%m{0}%y",
    "%m{0}%d{0}%y",
    "%y{0}%m{0}%d",
    "%m{0}%Y",
)
NAMED_ORDERS = ("%d{0}{1}{0}%Y", "%d{0}{1}{0}%y", "{1}{0}%d{0}%Y", "{1}{0}%Y", "%a, %d{0}{1}{0}%Y")
DATES = (
    *(order.format(mark) for mark in "./- " for order in ORDERS),
    *(order.format(mark, month) for mark in " -/" for month in ("%b", "%B") for order in NAMED_ORDERS),
    *(order.format(month) for month in ("%b", "%B") for order in ("{0} %d, %Y", "%a {0} %d %Y", "%d. {0} %Y")),
)
# Dates that were written as one number lose their leading zero, and sort as dates only with the year first.
DIGITS = {8: ("%Y%m%d", "%d%m%Y", "%m%d%Y"), 6: ("%y%m%d", "%d%m%y", "%m%d%y")}
NUMBER = r"\s*[+-]?\d+(\.\d*)?\s*"
SHAPES_TRIED = 5
NAMED_AT_MOST = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """`order`, shape (n,), sorts the rows by time; `format` is what text was parsed by, `None` for other columns."""

    order: npt.NDArray[Any]
    format: str | None


def times_of(column: pd.Series, *, time_format: str | None) -> Times:
    """Return a column as times.

    `time_format` is strptime's, or ISO8601; without it, that of text is inferred.

    Raises
    ------
    InvalidInput
        A value is missing or infinite, is no time in the one format, or the format cannot be told.
    """
    if missing := int(column.isna().sum()):
        raise _invalid(
            f"time column '{column.name}' is missing in {missing} rows",
            "missing-times",
            "remove those rows, or hold out by hash: leave time_column empty",
        )
    kind = kind_of(column)
    if kind is ColumnKind.BOOLEAN:
        raise _invalid(
            f"time column '{column.name}' holds truth values, which are no times", "not-times", "name another column"
        )
    if kind is ColumnKind.CATEGORICAL:
        numbers = column.str.fullmatch(NUMBER).all() and time_format is None
        return _of_numbers(column.astype("float64")) if numbers else _of_text(column, time_format)
    if time_format is not None and kind is ColumnKind.NUMERIC:
        return _of_text(_as_digits(column), time_format)
    if time_format is not None:
        raise _invalid(
            f"time column '{column.name}' holds dates, and time_format is for text",
            "time-format-not-used",
            "leave time_format empty",
        )
    if kind is ColumnKind.DATETIME:
        utc = column.dt.tz_convert("UTC").dt.tz_localize(None) if column.dt.tz is not None else column
        return Times(order=utc.to_numpy().astype("int64"), format=None)
    return _of_numbers(column)


def format_of(column: pd.Series) -> str:
    """Return the one format by which all texts of a column that are there are dates.

    Raises
    ------
    InvalidInput
        No format reads them all, or two do and differently.
    """
    given = column.dropna()
    return _inferred(given, pd.Series(given.unique(), name=column.name))


def _of_numbers(column: pd.Series) -> Times:
    values = column.to_numpy(dtype=np.float64)
    if infinite := int(np.isinf(values).sum()):
        raise _invalid(
            f"time column '{column.name}' is infinite in {infinite} rows", "infinite-times", "remove those rows"
        )
    if found := _day_first(column):
        raise _invalid(
            f"time column '{column.name}' holds dates as numbers with the year last, such as {values[0]:.0f}, "
            "and such numbers do not sort as dates",
            "numbers-not-in-order",
            f"say how they are written, e.g. time_format={found}; or write them with the year first",
        )
    return Times(order=values, format=None)


def _day_first(column: pd.Series) -> str | None:
    """Return a format with the year last by which all numbers are dates, where they are none with the year first."""
    values = column.to_numpy(dtype=np.float64)
    if (values % 1 != 0).any() or values.min() < 1 or values.max() >= 1e8:
        return None
    digits = _as_digits(column)
    width = len(digits.iloc[0])
    if width not in DIGITS or values.min() < 10 ** (width - 2):
        return None
    first, *last = DIGITS[width]
    if _parsed(digits, first).notna().all():
        return None
    return next((each for each in last if _parsed(digits, each).notna().all()), None)


def _as_digits(column: pd.Series) -> pd.Series:
    """Return whole numbers as text, with the zeros in front that numbers lose."""
    values = column.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all() or (values % 1 != 0).any():
        raise _invalid(
            f"time column '{column.name}' holds fractions, and time_format is for text",
            "time-format-not-used",
            "leave time_format empty",
        )
    text = column.astype("int64").astype("str")
    return text.str.zfill(int(text.str.len().max()))


def _of_text(column: pd.Series, time_format: str | None) -> Times:
    distinct = pd.Series(column.unique(), name=column.name)
    chosen = time_format or _inferred(column, distinct)
    parsed = _parsed(distinct, chosen)
    if parsed.isna().any():
        raise _not_dates(column, distinct[parsed.isna()], chosen)
    if chosen == ISO:
        _refuse_some_zones(column, distinct)
    by_value = dict(zip(distinct, parsed.dt.tz_localize(None).to_numpy().astype("int64"), strict=True))
    return Times(order=column.map(by_value).to_numpy(dtype="int64"), format=chosen)


def _inferred(column: pd.Series, distinct: pd.Series) -> str:
    """Return the one format that reads every value, and the one that reads most where none does."""
    most: dict[str, int] = {}
    for value in distinct.head(SHAPES_TRIED):
        read = {each: _parsed(distinct, each) for each in _formats_like(value)}
        whole = [each for each in read if read[each].notna().all()]
        if whole:
            return _the_only(column, {each: read[each] for each in whole})
        most |= {each: int(found.notna().sum()) for each, found in read.items()}
    if not most:
        raise _not_dates(column, distinct, None)
    return max(most, key=lambda each: most[each])


def _the_only(column: pd.Series, read: Mapping[str, pd.Series]) -> str:
    first, *others = read
    differing = [each for each in others if not read[each].equals(read[first])]
    if differing:
        raise _invalid(
            f"time column '{column.name}' can be read in more than one way: {column.iloc[0]!r} by "
            f"{first} or by {differing[0]}, and so can every other value",
            "ambiguous-times",
            f"say which: time_format={first} or time_format={differing[0]}",
        )
    return first


def _formats_like(value: str) -> Sequence[str]:
    """Return the formats that read one value."""
    match = CLOCK.fullmatch(value)
    clock = _clock_format(match) if match else ""
    formats = [ISO, *(f"{date}{clock}" for date in DATES)]
    one = pd.Series([value])
    return [each for each in formats if _parsed(one, each).notna().all()]


def _clock_format(match: re.Match[str]) -> str:
    """Return the format of what follows the date in a text."""
    hour = "%I" if match["half"] else "%H"
    seconds = ("%S.%f" if match["fraction"] else "%S") if match["second"] else None
    half = f"{match['gap']}%p" if match["half"] else ""
    zone = ""
    if match["zone"]:
        zone = f"{match['space']}{'%z' if match['offset'] else '%Z'}"
    return f"{match['between']}{':'.join(filter(None, (hour, '%M', seconds)))}{half}{zone}"


def _parsed(values: pd.Series, time_format: str) -> pd.Series:
    """Return moments in UTC, missing where a text is none; a moment without a zone is taken for UTC."""
    plausible = values.str.fullmatch(ISO_DATE) if time_format == ISO else values.str.contains(r"\d")  # not "now"
    try:
        found = pd.to_datetime(values.where(plausible), format=time_format, errors="coerce", utc=True)
    except ValueError as error:
        raise _invalid(
            f"time_format='{time_format}': {str(error).splitlines()[0]}",
            "wrong-time-format",
            "write it as for strptime, e.g. time_format=%d.%m.%Y, or time_format=ISO8601",
        ) from error
    return pd.Series(found, index=values.index)


def _refuse_some_zones(column: pd.Series, distinct: pd.Series) -> None:
    zoned = distinct.str.fullmatch(ISO_ZONE)
    if zoned.any() and not zoned.all():
        raise _invalid(
            f"time column '{column.name}' names a zone in some values ({distinct[zoned].iloc[0]!r}) and none in "
            f"others ({distinct[~zoned].iloc[0]!r})",
            "mixed-zones",
            "write all of them with a zone, or none",
        )


def _not_dates(column: pd.Series, wrong: pd.Series, time_format: str | None) -> InvalidInput:
    rows = np.flatnonzero(column.isin(wrong))
    named = ", ".join(f"{column.iloc[row]!r} in row {row + 1}" for row in rows[:NAMED_AT_MOST])
    more = f" and {len(rows) - NAMED_AT_MOST:,} more" if len(rows) > NAMED_AT_MOST else ""
    what = f"by the format {time_format}" if time_format else "in any format known here"
    return _invalid(
        f"time column '{column.name}' does not sort as dates: {len(rows):,} of {len(column):,} values are no dates "
        f"{what}: {named}{more}",
        "not-times",
        "write all dates alike, best as 2023-12-31; or name their format, e.g. time_format=%d.%m.%Y",
    )


def _invalid(message: str, code: str, hint: str) -> InvalidInput:
    return InvalidInput(message, code=code, hint=hint)
