"""Evaluate: measure a registered version on a dataset. Nothing is written; the command logs the result.

Any version that predicts through MLflow can be measured; one that gives class scores is also ranked.
Rows that the version was trained on are counted and said, since a score on them promises nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

LEAST_DIFFERENT = 2


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

    Where that cannot be told, `rows_trained_on` is `None` and `why_unknown` says why. `scores_unseen` are those of the
    other rows alone, where it was trained on some: empty where these are too few, or all of one class.
    """

    version: Version
    task: Task
    scores: Mapping[str, float]
    rows: int
    rows_trained_on: int | None
    why_unknown: str | None
    scores_unseen: Mapping[str, float]
    predictions: Predictions


def evaluate(loaded: LoadedVersion, dataset: Dataset) -> Evaluation:
    """Predict every row of the dataset and score the predictions.

    Raises
    ------
    InvalidInput
        The dataset lacks columns that the version takes, its target does not suit the task or has classes that the
        model does not know, or the model refuses rows.
    """
    target = dataset.frame[dataset.target]
    task = _task_of(loaded, target)
    refuse_target(target, classification=task is Task.CLASSIFICATION)
    _refuse_unknown_classes(loaded, target)
    said = _predictions(loaded, dataset, target, task)
    known = _trained_on(loaded, dataset)
    return Evaluation(
        version=loaded.version,
        task=task,
        scores=said.scores(),
        rows=len(target),
        rows_trained_on=None if isinstance(known, str) else int(known.sum()),
        why_unknown=known if isinstance(known, str) else None,
        scores_unseen={} if isinstance(known, str) or not known.any() else _scores_of(said, ~known),
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


def _refuse_unknown_classes(loaded: LoadedVersion, target: pd.Series) -> None:
    """Refuse rows of classes that the model cannot answer: their ranks and probabilities are not defined."""
    classes = list(getattr(loaded.model, "classes_", ()))
    unknown = target[~target.isin(classes)] if classes else target.head(0)
    if unknown.empty:
        return
    raise InvalidInput(
        f"{loaded.version} answers {_few(classes)}, and target '{target.name}' has another class in "
        f"{len(unknown):,} of {len(target):,} rows: {_few(list(unknown.unique()))}",
        code="unknown-classes",
        hint="write the classes as in training (dtype says whether they are text or numbers), or leave those rows out",
    )


def _few(values: Sequence[Any]) -> str:
    return listed([str(value) for value in values])


def _scores_of(said: Predictions, chosen: npt.NDArray[np.bool_]) -> Mapping[str, float]:
    """Return the scores of some rows; none where they are fewer than two, or alike in the target."""
    if len(np.unique(said.y[chosen])) < LEAST_DIFFERENT:
        return {}
    scores = None if said.class_scores is None else said.class_scores[chosen]
    return replace(said, y=said.y[chosen], labels=said.labels[chosen], class_scores=scores).scores()


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


def _trained_on(loaded: LoadedVersion, dataset: Dataset) -> npt.NDArray[np.bool_] | str:
    """Return shape (n,): whether the version was trained on each row; or why that cannot be told."""
    from_training = loaded.train_ids()
    if from_training is None:
        return "no run of the version says which rows it was trained on"
    train_ids, columns = from_training
    if missing := [name for name in columns if name not in dataset.frame.columns]:
        return f"they were told apart by {listed(columns)}, and these rows have no {listed(missing)}"
    ids = dataset.frame[list(columns)]
    if len(columns) == 1 and (without := int(ids[columns[0]].isna().sum())):
        return f"'{columns[0]}' is missing in {without:,} of these rows"
    return np.isin(row_ids(ids), train_ids)
