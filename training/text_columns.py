"""What columns of text say: dates, numbers, measures or prose, which a model would take for so many categories.

Each is named with what to do. Nothing is turned into something else unasked: a request has to hold the same.
"""

import enum
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from slipway.training.listed import listed
from slipway.training.words import words_among_numbers
from slipway.training.written_numbers import written_numbers

VALUES = 1000
FEW_WORDS = 5
WORDS_OF_PROSE = 5
DISTINCT_PROSE = 0.5
DATE = r"(\d{4}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](\d{4}|\d{2}))([T ].*)?"
CLOCK = r"(\d+ days?,? ?)?\d{1,3}:\d{2}(:\d{2}([.,]\d+)?)?"
ISO_DURATION = r"P(?=.)(\d+[YMWD])*(T(\d+(\.\d+)?[HMS])+)?"
OF_TIME = (
    r"d|h|m|s|ms|hrs?|mins?|secs?|hours?|minutes?|seconds?|days?|weeks?|months?|years?"
    r"|std|stunden?|minuten?|sekunden?|tage?|wochen?|monate?|jahre?"
)
OTHER_UNITS = r"[mk]?g|t|[cmk]?m[²³23]?|km/h|mph|m?l|k?wh?|hp|ps|[kmgt]b|°[cf]|lbs?|oz|ft|in"
MEASURE = rf"(?i:([+-]?\d+([.,]\d+)? ?({OF_TIME}|{OTHER_UNITS})\b\.?,? ?)+)"


class TextKind(enum.StrEnum):
    """What the values of a column of text are."""

    DATES = "dates"
    NUMBERS = "numbers"
    MEASURES = "measures"
    PROSE = "prose"
    CATEGORIES = "categories"


def kind_of_text(column: pd.Series) -> TextKind:
    """Return what the values are, by at most `VALUES` distinct ones; a few words among numbers do not count.

    >>> [str(kind_of_text(pd.Series(each))) for each in (["1.2.2024"], ["€ 5"], ["01:30:00", "2 h"], ["a", "b"])]
    ['dates', 'numbers', 'measures', 'categories']
    """
    distinct = column.dropna().drop_duplicates().head(VALUES)
    if distinct.empty:
        return TextKind.CATEGORIES
    if distinct.str.fullmatch(DATE).all():
        return TextKind.DATES
    if len(others_among(distinct)) <= min(FEW_WORDS, len(distinct) // 2):
        return TextKind.NUMBERS
    if distinct.str.strip().str.fullmatch(rf"{CLOCK}|{ISO_DURATION}|{MEASURE}").all():
        return TextKind.MEASURES
    words = distinct.str.count(r"\S+").mean()
    is_prose = words >= WORDS_OF_PROSE and column.nunique() > DISTINCT_PROSE * column.count()
    return TextKind.PROSE if is_prose else TextKind.CATEGORIES


def others_among(distinct: pd.Series) -> list[str]:
    """Return the texts that say no number."""
    return list(distinct[written_numbers(distinct, ".").isna()])


def text_notes(frame: pd.DataFrame, kinds: Mapping[str, TextKind], missing_words: Sequence[str]) -> Iterator[str]:
    """Tell of columns of text that would be better taken otherwise, and how; `kinds` are those to tell of."""
    named = {kind: [name for name, each in kinds.items() if each is kind] for kind in TextKind}
    if dates := named[TextKind.DATES]:
        yield (
            f"text columns that look like dates, taken as categories: {listed(dates)}; "
            f"dates=expand makes features of them, {dropped(dates)}"
        )
    for name in named[TextKind.NUMBERS]:
        column = frame[name][~frame[name].isin(missing_words)]
        if not words_among_numbers(column.value_counts()):  # of those, `word_notes` tells
            yield _numbers_note(column)
    if measures := named[TextKind.MEASURES]:
        yield (
            f"durations or numbers with a unit, taken as categories: {listed(measures)}, such as "
            f"{frame[measures[0]].dropna().iloc[0]!r}; write them as numbers of one unit, or {dropped(measures)}"
        )
    if prose := named[TextKind.PROSE]:
        yield f"free text, of which each value is a category of its own: {listed(prose)}; {dropped(prose)}"


def _numbers_note(column: pd.Series) -> str:
    others = others_among(column.dropna().drop_duplicates())[:FEW_WORDS]
    numbers = column[~column.isin(others)].dropna()
    also = f", and missing={','.join(others)} if that is what {listed(others)} means" if others else ""
    return (
        f"column '{column.name}' holds numbers written as text, such as {numbers.iloc[0]!r}, and is taken as "
        f"categories; dtype={column.name}=number reads them as numbers{also}"
    )


def dropped(names: Sequence[str]) -> str:
    """Return in words how columns are left out."""
    return f"drop={','.join(names)} leaves {'it' if len(names) == 1 else 'them'} out"
