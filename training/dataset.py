"""A dataset: rows with a target, typed columns, a digest of the content, and where it came from."""

import enum
from dataclasses import dataclass

import pandas as pd

from slipway.registry.reading import Reading
from slipway.registry.rows import Ids

AS_IT_IS = Reading()


class ColumnKind(enum.StrEnum):
    """What a column holds, as far as preparing it is concerned."""

    NUMERIC = "numeric"
    BOOLEAN = "boolean"
    CATEGORICAL = "categorical"
    DATETIME = "datetime"


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnSchema:
    """A feature's name and kind."""

    name: str
    kind: ColumnKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """Rows ready for training: features are float64, bool, text with NaN for missing, or datetime64.

    `schema` lists the features in the frame's order, and `ids`, shape (n,), names each row over them.
    `source_digest` is what DVC recorded of the file, `reading` how it was read. `unlabelled` rows without a target were
    left out; `target_dtype` is the target's type without those. `form_notes` say what was told from the file, `notes`
    what else had to be changed to read it.
    """

    frame: pd.DataFrame
    target: str
    name: str
    source: str
    digest: str
    schema: tuple[ColumnSchema, ...]
    ids: Ids
    source_digest: str | None = None
    reading: Reading = AS_IT_IS
    notes: tuple[str, ...] = ()
    form_notes: tuple[str, ...] = ()
    unlabelled: int = 0
    target_dtype: str | None = None

    @property
    def missing_words(self) -> tuple[str, ...]:
        """Return the words that mean missing: text features hold them still, and the pipeline maps them."""
        return self.reading.missing_words


def kind_of(column: pd.Series) -> ColumnKind:
    """Return the kind of a column by its dtype."""
    if pd.api.types.is_bool_dtype(column):
        return ColumnKind.BOOLEAN
    if pd.api.types.is_numeric_dtype(column):
        return ColumnKind.NUMERIC
    if pd.api.types.is_datetime64_any_dtype(column):
        return ColumnKind.DATETIME
    return ColumnKind.CATEGORICAL
