"""Frames and series from what an isolated model's process answered; apart, since importing pandas takes 40 MB."""

from typing import Any

import numpy.typing as npt
import pandas as pd


def frame(n_rows: int, names: list[Any], columns: list[npt.NDArray[Any]]) -> pd.DataFrame:
    """Return a frame; columns are told apart by place, since several may have one name."""
    made = pd.DataFrame(dict(enumerate(columns)), index=pd.RangeIndex(n_rows))
    made.columns = pd.Index([_hashable(name) for name in names])
    return made


def series(name: Any, values: npt.NDArray[Any]) -> "pd.Series[Any]":
    """Return a series."""
    return pd.Series(values, name=_hashable(name))


def _hashable(name: Any) -> Any:
    return tuple(map(_hashable, name)) if isinstance(name, list) else name
