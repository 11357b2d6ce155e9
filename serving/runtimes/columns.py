"""The columns that a model's signature declares, as a `Table` holds them, and a table as the frame that models take."""

import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.internals import create_dataframe_from_blocks

from slipway.registry.signature import Field
from slipway.serving.table import Table

DTYPES = {
    "boolean": np.dtype(bool),
    "integer": np.dtype(np.int32),
    "long": np.dtype(np.int64),
    "float": np.dtype(np.float32),
    "datetime": np.dtype("datetime64[ns]"),
    "string": np.dtype(object),
    "binary": np.dtype(object),
}
TEXT: Any = pd.Series([], dtype="str").dtype


@dataclass(frozen=True, slots=True)
class Columns:
    """A signature's columns in their order, and the labels that a frame of them has: their names."""

    fields: tuple[Field, ...]
    labels: pd.Index

    @classmethod
    def of(cls, fields: Sequence[Field]) -> "Columns":
        """Return the columns of a signature."""
        return cls(tuple(fields), pd.Index([field.name for field in fields]))

    def frame(self, table: Table) -> pd.DataFrame:
        """Return a table as the frame that MLflow's parsing and enforcement make of the same rows.

        Text is `str`, as pandas 3 infers it, and `object` where a value is None or no value is text: pandas has no
        other place for None. An optional column that is absent from the table is absent from the frame. Numbers are not
        copied. What MLflow made itself is given as it is.
        """
        if table.frame is not None:
            made: pd.DataFrame = pickle.loads(table.frame)
            return made
        if table.numbers.shape[1] == len(self.fields) and not table.absent:
            return pd.DataFrame(table.numbers, index=_index(table), columns=self.labels, copy=False)
        every = [place for place, field in enumerate(self.fields) if field.type == "double"]
        doubles = [place for place in every if self.fields[place].name not in table.absent]
        numbers = table.numbers
        if len(doubles) < len(every):
            numbers = numbers[:, [i for i, place in enumerate(every) if place in doubles]]
        others = [place for place, field in enumerate(self.fields) if field.name in table.others]
        if any(self.fields[place].type == "datetime" for place in others):
            return self._frame_of_each(table)
        kept = sorted([*doubles, *others])
        block_of = {place: position for position, place in enumerate(kept)}
        blocks: list[tuple[Any, Any]] = []
        if doubles:
            blocks.append((numbers.T, np.array([block_of[place] for place in doubles], dtype=np.intp)))
        for place in others:
            values = _typed(table.others[self.fields[place].name], self.fields[place].type)
            block = values if isinstance(values, pd.api.extensions.ExtensionArray) else values[None, :]
            blocks.append((block, np.array([block_of[place]])))
        labels = self.labels if len(kept) == len(self.labels) else self.labels[kept]
        frame: pd.DataFrame = create_dataframe_from_blocks(blocks, index=_index(table), columns=labels)
        return frame

    def _frame_of_each(self, table: Table) -> pd.DataFrame:
        numbers = iter(table.numbers.T)
        found: dict[Any, Any] = {}
        for label, field in zip(self.labels, self.fields, strict=True):
            if field.type == "double":
                column = next(numbers)
                if field.name not in table.absent:
                    found[label] = column
            elif field.name in table.others:
                found[label] = _typed(table.others[field.name], field.type)
        return pd.DataFrame(found, columns=pd.Index(found), index=_index(table))

    def table(self, frame: pd.DataFrame) -> Table:
        """Return the rows of a frame with these labels as a table; what is missing stays None or NaN as it is.

        Raises
        ------
        KeyError
            The frame lacks a column that is not optional.
        ValueError, TypeError
            A value does not fit the declared type.
        """
        series = {field.name: frame[label] for label, field in self._in(frame)}
        doubles = [field.name for field in self.fields if field.type == "double"]
        missing = np.full(len(frame), np.nan)
        found = [series[n].to_numpy(dtype=np.float64, na_value=np.nan) if n in series else missing for n in doubles]
        numbers = np.column_stack(found) if found else np.empty((len(frame), 0))
        others = {
            field.name: series[field.name].to_numpy(dtype=DTYPES[field.type])
            for field in self.fields
            if field.type != "double" and field.name in series
        }
        return Table(np.ascontiguousarray(numbers), others, tuple(name for name in doubles if name not in series))

    def _in(self, frame: pd.DataFrame) -> Iterator[tuple[Any, Field]]:
        """Yield the columns that are taken from a frame, by their labels: all but the optional ones that it lacks."""
        pairs = zip(self.labels, self.fields, strict=True)
        yield from ((label, field) for label, field in pairs if field.required or label in frame.columns)


def _index(table: Table) -> pd.Index:
    """Return the labels of the rows, as `DataFrame` makes them of a list; without any, their numbers."""
    return pd.RangeIndex(table.n_rows) if table.index is None else pd.Index(table.index, tupleize_cols=False)


def _typed(values: npt.NDArray[Any], kind: str) -> Any:
    if kind != "string" or not is_text(values):
        return values
    return TEXT.construct_array_type()._from_sequence(values, dtype=TEXT)


def is_text(values: npt.NDArray[Any]) -> bool:
    """Return whether values of a text column become a frame's `str`: some are text, and none is None."""
    listed = values.tolist()
    return any(isinstance(value, str) for value in listed) and not any(value is None for value in listed)
