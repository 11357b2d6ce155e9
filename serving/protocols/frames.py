"""A frame whose schema MLflow has enforced, as a `Table`."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from registry.signature import Signature
from serving.table import Table

# A boolean column with missing values stays one of objects, as MLflow leaves it.
OBJECTS = frozenset({"string", "binary"})


def table_of(frame: pd.DataFrame, signature: Signature) -> Table:
    """Return the rows of a frame that has the signature's columns in the signature's types, optional ones maybe not."""
    doubles = [field.name for field in signature.inputs if field.type == "double"]
    numbers = np.full((len(frame), len(doubles)), np.nan)
    for i, name in enumerate(doubles):
        if name in frame:
            numbers[:, i] = frame[name].to_numpy()
    others = {
        field.name: _array(frame[field.name], field.type)
        for field in signature.inputs
        if field.type != "double" and field.name in frame
    }
    return Table(numbers, others)


def _array(column: "pd.Series[Any]", kind: str) -> npt.NDArray[np.generic]:
    return column.to_numpy(dtype=object) if kind in OBJECTS else column.to_numpy()
