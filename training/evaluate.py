"""Evaluate: measure a registered version on a dataset. Nothing is written; the command logs the result.

Any version that predicts through MLflow can be measured; one that gives class scores is also ranked.
Rows that the version was trained on are counted and said, since a score on them promises nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from slipway.registry.errors import InvalidInput
from slipway.registry.reading import Reading
from slipway.registry.rows import row_ids
from slipway.registry.shown_task import foretells_amounts
from slipway.registry.version import Version
from slipway.training.dataset import Dataset
from slipway.training.fit import first_line
from slipway.training.listed import listed
from slipway.training.predictions import Predictions, predictions
from slipway.training.quality import beyond_floats, refuse_target
from slipway.training.spec import Task
from slipway.training.train import infer_task


class LoadedVersion(Protocol):
    """A version loaded for prediction; its model may also have scikit-learn's `predict_proba` and `classes_`."""

    version: Version

    @property
    def model(self) -> Any:
        """Return what predicts."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that it takes; none where it does not say."""

    def train_ids(self) -> tuple[npt.NDArray[np.uint64], tuple[str, ...]] | None:
        """Return the sorted ids of the rows it was trained on and the columns they were made from.

        `None` where the version's run does not say.
        """

    def reading(self) -> Reading:
        """Return how its training data was read, for other data to be read alike."""

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the features in the types that the signature declares, where that loses nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """What a version scored on a dataset, metric name → value, and how many of its rows it was trained on.

    Where that cannot be told, `rows_trained_on` is `None` and `why_unknown` says why.
    """

    version: Version
    task: Task
    scores: Mapping[str, float]
    rows: int
    rows_trained_on: int | None
    why_unknown: str | None
    predictions: Predictions


def evaluate(loaded: LoadedVersion, dataset: Dataset) -> Evaluation:
    """Predict every row of the dataset and score the predictions.

    Raises
    ------
    InvalidInput
        The dataset lacks columns that the version takes, its target does not suit the task, or the model refuses rows.
    """
    target = dataset.frame[dataset.target]
    task = _task_of(loaded, target)
    refuse_target(target, classification=task is Task.CLASSIFICATION)
    said = _predictions(loaded, dataset, target, task)
    known = _rows_trained_on(loaded, dataset)
    return Evaluation(
        version=loaded.version,
        task=task,
        scores=said.scores(),
        rows=len(target),
        rows_trained_on=known if isinstance(known, int) else None,
        why_unknown=known if isinstance(known, str) else None,
        predictions=said,
    )


def _task_of(loaded: LoadedVersion, target: pd.Series) -> Task:
    """Return what the model itself shows of its task, else what its version's tag says, else what the rows suggest."""
    if len(getattr(loaded.model, "classes_", ())):
        return Task.CLASSIFICATION
    if foretells_amounts(loaded.model):
        return Task.REGRESSION
    told = loaded.version.tags.get("slipway.task")
    return Task(told) if told in set(Task) else infer_task(target)


def _columns(loaded: LoadedVersion, dataset: Dataset) -> pd.DataFrame:
    wanted = loaded.columns or tuple(column.name for column in dataset.schema)
    missing = [name for name in wanted if name not in dataset.frame.columns]
    if missing:
        raise InvalidInput(
            f"{loaded.version.model}/{loaded.version.number} takes columns that {dataset.source} lacks: "
            f"{', '.join(missing)}",
            code="missing-columns",
            hint=f"it takes: {', '.join(wanted)}",
        )
    return dataset.frame[list(wanted)]


def _predictions(loaded: LoadedVersion, dataset: Dataset, target: pd.Series, task: Task) -> Predictions:
    features = loaded.fitting(_columns(loaded, dataset))
    try:
        return predictions(loaded.model, features, target, task=task)
    except Exception as error:  # whatever the model is made of may raise whatever it likes
        wrong = beyond_floats(features)
        raise InvalidInput(
            f"{loaded.version} cannot predict these rows: {wrong or first_line(error)}",
            code="rows-refused",
            hint="correct or remove those rows",
        ) from error


def _rows_trained_on(loaded: LoadedVersion, dataset: Dataset) -> int | str:
    """Return how many rows the version was trained on, or why that cannot be told."""
    from_training = loaded.train_ids()
    if from_training is None:
        return "no run of the version says which rows it was trained on"
    train_ids, columns = from_training
    if missing := [name for name in columns if name not in dataset.frame.columns]:
        return f"they were told apart by {listed(columns)}, and these rows have no {listed(missing)}"
    ids = dataset.frame[list(columns)]
    if len(columns) == 1 and (without := int(ids[columns[0]].isna().sum())):
        return f"'{columns[0]}' is missing in {without:,} of these rows"
    return int(np.isin(row_ids(ids), train_ids).sum())
