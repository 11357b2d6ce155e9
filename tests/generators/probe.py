"""What a model was given, as text: types, dtypes, labels, and each value with its type, so that two inputs compare.

None is told from NaN, 0 from -0, an index that was sent from one that pandas made, and one kind of text from another.
"""

from typing import Any

import numpy as np
import pandas as pd


def told(given: Any) -> list[str]:
    """Return all there is to know of a model's input, one line for each of its parts.

    >>> told(np.array([[1.5]]))
    ['ndarray float64 (1, 1): float 1.5']
    """
    if isinstance(given, pd.DataFrame):
        labels = [f"{what} {_index(index)}" for what, index in (("columns", given.columns), ("index", given.index))]
        return ["DataFrame", *labels, *(_series(given.iloc[:, place]) for place in range(given.shape[1]))]
    if isinstance(given, pd.Series):
        return ["Series", f"index {_index(given.index)}", _series(given)]
    if isinstance(given, np.ndarray):
        return [f"ndarray {given.dtype} {given.shape}: {_values(given.ravel().tolist())}"]
    if isinstance(given, dict):
        return ["dict", *(f"{name!r}: {line}" for name, value in given.items() for line in told(value))]
    if isinstance(given, list):
        return ["list", *(line for value in given for line in told(value))]
    return [_value(given)]


def _index(index: pd.Index) -> str:
    return f"{type(index).__name__} {_dtype(index.dtype)} {index.name}: {_values(list(index))}"


def _series(column: pd.Series) -> str:
    return f"{_dtype(column.dtype)}: {_values(list(column))}"


def _dtype(dtype: Any) -> str:
    return f"{dtype}({getattr(dtype, 'storage', '')})"


def _values(values: list[Any]) -> str:
    return ", ".join(map(_value, values))


def _value(value: Any) -> str:
    """Return a value with its type; numpy's scalars of one type of Python's are that type."""
    if isinstance(value, str | float | int | bool):
        kind = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
        return f"{kind.__name__} {kind(value)!r}"
    return f"{type(value).__name__} {value!r}"
