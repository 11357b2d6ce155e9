"""A frame whose schema MLflow has enforced, as a `Table`."""

import pickle
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from slipway.registry.signature import Field, Signature
from slipway.serving.runtimes.columns import TEXT, is_text
from slipway.serving.table import Table


def table_of(frame: pd.DataFrame, signature: Signature) -> Table:
    """Return the rows of a frame that has the signature's columns in the signature's types, optional ones maybe not.

    A boolean column with missing values is one of objects, as MLflow leaves it. Where a frame made of the table would
    be another one than this, the table holds this one, too.
    """
    table = _values(frame, signature)
    if _is_as_made(frame, table, signature):
        return table
    return msgspec.structs.replace(table, frame=pickle.dumps(frame, protocol=5))


def _values(frame: pd.DataFrame, signature: Signature) -> Table:
    doubles = [field.name for field in signature.inputs if field.type == "double"]
    numbers = np.full((len(frame), len(doubles)), np.nan)
    for i, name in enumerate(doubles):
        if name in frame:
            numbers[:, i] = frame[name].to_numpy()
    others = {
        field.name: frame[field.name].to_numpy()
        for field in signature.inputs
        if field.type != "double" and field.name in frame
    }
    return Table(numbers, others, tuple(name for name in doubles if name not in frame))


def _is_as_made(frame: pd.DataFrame, table: Table, signature: Signature) -> bool:
    """Return whether `Columns.frame` makes this frame of its values: labels and types, as the values are the same."""
    fields = [field for field in signature.inputs if field.name in frame]
    return (
        _is_same(frame.index, pd.RangeIndex(len(frame)))
        and _is_same(frame.columns, pd.Index([field.name for field in fields], dtype=TEXT))
        and all(_has_made_type(frame[field.name].dtype, table, field) for field in fields)
    )


def _has_made_type(dtype: Any, table: Table, field: Field) -> bool:
    if field.type == "string" and is_text(table.others[field.name]):
        return bool(dtype == TEXT) and dtype.storage == TEXT.storage
    return bool(dtype == np.float64) if field.type == "double" else isinstance(dtype, np.dtype)


def _is_same(one: pd.Index, other: pd.Index) -> bool:
    return type(one) is type(other) and one.identical(other)
