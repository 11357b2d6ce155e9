"""A frame whose schema MLflow has enforced, as a `Table`."""

import numpy as np
import pandas as pd

from slipway.registry.signature import Signature
from slipway.serving.table import Table


def table_of(frame: pd.DataFrame, signature: Signature) -> Table:
    """Return the rows of a frame that has the signature's columns in the signature's types, optional ones maybe not.

    A boolean column with missing values is one of objects, as MLflow leaves it.
    """
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
