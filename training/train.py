"""The step train: a Dataset and a TrainSpec become a TrainedModel. Nothing is written, nothing recorded.

The same data, parameters and versions of the libraries give the same predictions: everything random
takes the spec's seed, and no result depends on the number of cores.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.pipeline import Pipeline

from slipway.registry.errors import InvalidInput
from slipway.training.cross_validation import cross_validate, make_folds
from slipway.training.dataset import ColumnKind, ColumnSchema, Dataset
from slipway.training.dates import DateFeatures, date_features
from slipway.training.estimators import choose_estimator, without_labels
from slipway.training.fit import fit
from slipway.training.holdout import HoldoutScheme, Split, split
from slipway.training.identifiers import group_notes
from slipway.training.leaks import leak_notes
from slipway.training.pipeline import NO_DATES, build_pipeline
from slipway.training.predictions import Predictions, predictions
from slipway.training.quality import MOST_CLASSES_OF_NUMBERS, refuse_features, refuse_target, warnings_for
from slipway.training.spec import Dates, Task, TrainSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedTraining:
    """A dataset made ready to fit: the columns that count, and who is held out."""

    dataset: Dataset
    task: Task
    columns: tuple[ColumnSchema, ...]
    split: Split
    notes: tuple[str, ...]
    dates: DateFeatures = NO_DATES

    def train_rows(self) -> tuple[pd.DataFrame, pd.Series]:
        """Return features (n_train, n_columns) and target (n_train,)."""
        return self._rows(self.split.train)

    def holdout_rows(self) -> tuple[pd.DataFrame, pd.Series]:
        """Return features (n_holdout, n_columns) and target (n_holdout,)."""
        return self._rows(self.split.holdout)

    def _rows(self, positions: npt.NDArray[np.intp]) -> tuple[pd.DataFrame, pd.Series]:
        rows = self.dataset.frame.iloc[positions]
        return rows[[column.name for column in self.columns]], rows[self.dataset.target]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainedModel:
    """A fitted pipeline with what it says of the rows it saw and of those it did not."""

    spec: TrainSpec
    prepared: PreparedTraining
    pipeline: Pipeline
    on_train: Predictions
    on_holdout: Predictions
    cross_validation: Mapping[str, float]
    fit_seconds: float
    notes: tuple[str, ...]


def prepare(dataset: Dataset, spec: TrainSpec) -> PreparedTraining:
    """Decide the task, the columns and the held-out rows.

    Raises
    ------
    InvalidInput
        The target or the estimator does not suit the task, no feature is left, one is infinite, or the holdout would
        miss a class.
    """
    target = dataset.frame[dataset.target]
    task = spec.task or infer_task(target)
    refuse_target(target, classification=task is Task.CLASSIFICATION)
    aside = {spec.key, spec.time_column, dataset.target}
    usable = tuple(c for c in dataset.schema if c.name not in aside)
    dates = date_features(dataset, usable) if spec.dates is Dates.EXPAND else NO_DATES
    columns = tuple(c for c in usable if c.name in dates.formats or c.kind is not ColumnKind.DATETIME)
    if not columns:
        raise InvalidInput(
            f"no feature is left in {dataset.source}: key, time column, target and dates are not features",
            code="no-features",
            hint=None,
        )
    if not choose_estimator(spec.estimator, spec.params, task=task, seed=spec.seed).takes_infinite:
        refuse_features(dataset.frame[[column.name for column in columns]])
    scheme = HoldoutScheme(
        fraction=spec.holdout, key=spec.key, time_column=spec.time_column, time_format=spec.time_format
    )
    sides = split(dataset, scheme, classes=task is Task.CLASSIFICATION)
    others = [column for column in columns if column.name not in dates.formats]
    apart = () if spec.time_column else group_notes(dataset.frame, others, sides.holdout, dataset.target)
    notes = (*warnings_for(dataset, others, dates=dates.formats), *apart, *sides.notes)
    prepared = PreparedTraining(dataset=dataset, task=task, columns=columns, split=sides, notes=notes, dates=dates)
    leaks = leak_notes(prepared.train_rows(), prepared.holdout_rows(), classification=task is Task.CLASSIFICATION)
    return replace(prepared, notes=(*leaks, *notes))


def infer_task(target: pd.Series) -> Task:
    """Return CLASSIFICATION for strings, booleans and at most 20 distinct whole numbers, else REGRESSION."""
    if not pd.api.types.is_numeric_dtype(target) or pd.api.types.is_bool_dtype(target):
        return Task.CLASSIFICATION
    distinct = target.dropna().unique()
    whole = bool(np.all(np.mod(distinct, 1) == 0))
    return Task.CLASSIFICATION if whole and len(distinct) <= MOST_CLASSES_OF_NUMBERS else Task.REGRESSION


def train(dataset: Dataset, spec: TrainSpec) -> TrainedModel:
    """Fit the spec's estimator on the training rows and predict both sides.

    Raises
    ------
    InvalidInput
        The spec does not fit the data, or the estimator refuses its parameters; one line says why.
    """
    prepared = prepare(dataset, spec)
    pipeline = unfitted_pipeline(prepared, spec)
    features, y = prepared.train_rows()
    scores_of_folds = cross_validation_scores(prepared, spec) if spec.cv else {}
    started = time.perf_counter()
    notes = fit(pipeline, features, y)
    fit_seconds = time.perf_counter() - started
    return TrainedModel(
        spec=spec,
        prepared=prepared,
        pipeline=pipeline,
        on_train=predictions(pipeline, features, y, task=prepared.task),
        on_holdout=predictions(pipeline, *prepared.holdout_rows(), task=prepared.task),
        cross_validation=scores_of_folds,
        fit_seconds=fit_seconds,
        notes=notes,
    )


def unfitted_pipeline(prepared: PreparedTraining, spec: TrainSpec) -> Pipeline:
    """Return the pipeline that the spec means for these columns."""
    chosen = choose_estimator(spec.estimator, spec.params, task=prepared.task, seed=spec.seed)
    return build_pipeline(prepared.columns, chosen, prepared.dataset.missing_words, prepared.dates)


def cross_validation_scores(prepared: PreparedTraining, spec: TrainSpec) -> dict[str, float]:
    """Return the scores of the spec on `spec.cv` folds of the training rows."""
    features, y = prepared.train_rows()
    order = _time_order(prepared.split)
    features, y = features.iloc[order], y.iloc[order]
    folds = make_folds(
        y,
        groups=prepared.split.ids[prepared.split.train][order],
        count=spec.cv,
        task=prepared.task,
        seed=spec.seed,
        in_time_order=spec.time_column is not None,
    )
    return cross_validate(unfitted_pipeline(prepared, spec), features, y, task=prepared.task, folds=folds)


def _time_order(sides: Split) -> npt.NDArray[np.intp]:
    if sides.times is None:
        return np.arange(len(sides.train))
    return np.argsort(sides.times[sides.train], kind="stable")


def describe_params(trained: TrainedModel) -> dict[str, Any]:
    """Return the parameters that a run records: the spec's, the task, row counts, and the estimator's own."""
    own = without_labels(trained.pipeline.named_steps["estimator"]).get_params(deep=False)
    return {
        **trained.spec.recorded(),
        "task": str(trained.prepared.task),
        "rows_train": len(trained.prepared.split.train),
        "rows_holdout": len(trained.prepared.split.holdout),
        "features": len(trained.prepared.columns),
        **{f"estimator.{name}": value for name, value in own.items()},
    }
