"""Dates as features: which columns hold them, and how they are written; the stored pipeline expands them.

A row goes in with its dates as they are, in text or as moments, so that a request sends what a table holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import NUMBER, STRING
from slipway.training.dataset import ColumnKind, ColumnSchema, Dataset
from slipway.training.text_columns import TextKind, kind_of_text
from slipway.training.times import format_of


@dataclass(frozen=True, kw_only=True, slots=True)
class DateFeatures:
    """Column → the format of its text, `None` for moments; ages are in days before `reference`."""

    formats: Mapping[str, str | None] = field(default_factory=dict)
    reference: np.datetime64 | None = None

    def describe(self) -> str:
        """Return in words what is expanded, and by which formats."""
        columns = ", ".join(f"'{name}'" + (f" by {form}" if form else "") for name, form in self.formats.items())
        return f"dates expanded to parts and to days before {self.reference}: {columns}"


def date_features(dataset: Dataset, columns: Sequence[ColumnSchema]) -> DateFeatures:
    """Return the dates among some columns; the reference is the latest of them all.

    Raises
    ------
    InvalidInput
        The format of a column's text cannot be told.
    """
    formats = {c.name: _format(dataset, c) for c in columns if _holds_dates(dataset, c)}
    if not formats:
        return DateFeatures()
    latest = max(_moments(dataset.frame[name], form).max() for name, form in formats.items())
    return DateFeatures(formats=formats, reference=np.datetime64(latest, "D"))


def _holds_dates(dataset: Dataset, column: ColumnSchema) -> bool:
    said = dataset.reading.dtypes.get(column.name)
    if column.kind is not ColumnKind.CATEGORICAL or said in (STRING, NUMBER):
        return column.kind is ColumnKind.DATETIME
    return said is not None or kind_of_text(dataset.frame[column.name]) is TextKind.DATES


def _format(dataset: Dataset, column: ColumnSchema) -> str | None:
    if column.kind is ColumnKind.DATETIME:
        return None
    try:
        return dataset.reading.dtypes.get(column.name) or format_of(dataset.frame[column.name])
    except InvalidInput as error:
        raise InvalidInput(
            error.message.replace("time column", "column", 1),
            code=error.code,
            hint=f"say how they are written: dtype={column.name}=%d.%m.%Y; or drop={column.name}",
        ) from error


def _moments(column: pd.Series, form: str | None) -> pd.Series:
    try:
        return pd.to_datetime(column, format=form)
    except ValueError as error:
        raise InvalidInput(
            f"column '{column.name}' does not hold dates as {form} says: {str(error).splitlines()[0]}",
            code="not-dates",
            hint=f"correct the format (dtype={column.name}=…) or those values, or drop={column.name}",
        ) from error
