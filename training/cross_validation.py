"""Scores on folds of the training rows: held-out rows never take part."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit
from sklearn.pipeline import Pipeline

from slipway.registry.errors import InvalidInput
from slipway.training.fit import fit
from slipway.training.predictions import predictions
from slipway.training.spec import Task

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]


def cross_validate(
    pipeline: Pipeline, features: pd.DataFrame, y: pd.Series, *, task: Task, folds: list[Fold]
) -> dict[str, float]:
    """Return the mean over the folds of every metric, and its standard deviation as `NAME_std`."""
    by_fold = [_score_fold(pipeline, features, y, fold, task) for fold in folds]
    names = by_fold[0].keys()
    means = {name: float(np.mean([scores[name] for scores in by_fold])) for name in names}
    return means | {f"{name}_std": float(np.std([scores[name] for scores in by_fold])) for name in names}


def _score_fold(
    pipeline: Pipeline, features: pd.DataFrame, y: pd.Series, fold: Fold, task: Task
) -> Mapping[str, float]:
    fitted, measured = fold
    model = clone(pipeline)
    fit(model, features.iloc[fitted], y.iloc[fitted])
    return predictions(model, features.iloc[measured], y.iloc[measured], task=task).scores()


def make_folds(
    y: pd.Series, *, groups: npt.NDArray[np.uint64], count: int, task: Task, seed: int, in_time_order: bool
) -> list[Fold]:
    """Return `count` folds of positions (fitted, measured) over the rows of `y`.

    Rows of one group (the same key, or the same features) stay together. Classes keep their shares.
    With `in_time_order` each fold is measured on rows later than those it was fitted on; the rows must
    come sorted.

    Raises
    ------
    InvalidInput
        There are fewer rows, groups or rows of a class than folds.
    """
    fewest = _fewest(y, groups, task)
    if in_time_order:
        fewest = min(fewest, len(y) - 1)  # the first rows are fitted on and never measured
    if fewest < count:
        raise InvalidInput(
            f"cross-validation with cv={count} needs {count} rows of every class and {count} distinct rows; "
            f"the training rows have only {fewest}",
            code="too-few-rows-for-folds",
            hint=f"set cv to {fewest} or less, or bring more rows",
        )
    return list(_split(y, groups, count, task, seed, in_time_order))


def _fewest(y: pd.Series, groups: npt.NDArray[np.uint64], task: Task) -> int:
    distinct = len(np.unique(groups))
    return min(distinct, int(y.value_counts().min())) if task is Task.CLASSIFICATION else distinct


def _split(
    y: pd.Series, groups: npt.NDArray[np.uint64], count: int, task: Task, seed: int, in_time_order: bool
) -> Iterator[Fold]:
    if in_time_order:
        yield from TimeSeriesSplit(count).split(y)
        return
    repeated = len(np.unique(groups)) < len(groups)
    kinds: dict[tuple[bool, bool], Any] = {
        (False, False): KFold,
        (False, True): StratifiedKFold,
        (True, False): GroupKFold,
        (True, True): StratifiedGroupKFold,
    }
    kind = kinds[repeated, task is Task.CLASSIFICATION]
    yield from kind(count, shuffle=True, random_state=seed).split(y, y, groups if repeated else None)
