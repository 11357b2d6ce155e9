"""How much each feature matters: what the model loses on held-out rows when the feature is shuffled.

Bounded by time: every shuffle costs a prediction, and a table may have thousands of columns. The likeliest are measured
first, and what was left out is said.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.pipeline import Pipeline

from slipway.training.dataset import ColumnKind, kind_of
from slipway.training.listed import listed
from slipway.training.spec import Task
from slipway.training.train import TrainedModel

ROWS = 500
SHUFFLES = 100
REPEATS = 5
TREES = 50
# With so few features, all are measured within any sensible time, and their order does not matter.
FEW_FEATURES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """`losses`: feature → mean loss of the estimator's own score; `left_out`: features that time did not reach."""

    losses: pd.Series
    left_out: tuple[str, ...]
    seconds: float

    def notes(self) -> Iterator[str]:
        """Say what was left out."""
        if self.left_out:
            total = len(self.left_out) + len(self.losses)
            yield (
                f"the importance of {len(self.left_out):,} of {total:,} features was not measured "
                f"within {self.seconds:g} s, the likeliest were first: {listed(self.left_out)}; "
                "importance_seconds gives more time"
            )


def importance_of(trained: TrainedModel, *, clock: Callable[[], float] = time.monotonic) -> Importance:
    """Return the importance of a trained model's features on its held-out rows, within its spec's time.

    At most 500 rows are used. Each feature is shuffled 5 times, or less often where all features together would take
    over 100; with a seed of its own, so that a result does not depend on which others were measured.
    Source: Breiman, Random Forests (2001).
    """
    spec, (features, y) = trained.spec, trained.prepared.holdout_rows()
    chosen = np.random.default_rng(spec.seed).permutation(len(features))[:ROWS]
    features, y = features.iloc[chosen], y.iloc[chosen]
    deadline = clock() + spec.importance_seconds
    losses: dict[str, float] = {}
    names = _likeliest_first(trained, features)
    places = {str(name): place for place, name in enumerate(features.columns)}
    repeats = max(1, min(REPEATS, SHUFFLES // len(names)))
    base = float(trained.pipeline.score(features, y))
    for name in names:
        if clock() >= deadline:
            break
        rng = np.random.default_rng([spec.seed, places[name]])
        shuffled = [_score_shuffled(trained.pipeline, features, y, name, rng) for _ in range(repeats)]
        losses[name] = base - float(np.mean(shuffled))
    return Importance(
        losses=pd.Series(losses, name="importance", dtype=float),
        left_out=tuple(name for name in names if name not in losses),
        seconds=spec.importance_seconds,
    )


def _score_shuffled(
    pipeline: Pipeline, features: pd.DataFrame, y: pd.Series, name: str, rng: np.random.Generator
) -> float:
    order = rng.permutation(len(features))
    return float(pipeline.score(features.assign(**{name: features[name].array[order]}), y))


def _likeliest_first(trained: TrainedModel, features: pd.DataFrame) -> list[str]:
    """Order features by how well a small forest can tell the model's answers by them."""
    names = [str(name) for name in features.columns]
    if len(names) <= FEW_FEATURES:
        return names
    classification = trained.prepared.task is Task.CLASSIFICATION
    kind = ExtraTreesClassifier if classification else ExtraTreesRegressor
    forest = kind(TREES, max_depth=8, random_state=trained.spec.seed)
    coded = np.column_stack([_coded(features[name]) for name in names])
    forest.fit(coded, trained.pipeline.predict(features))
    return [names[i] for i in np.argsort(-forest.feature_importances_, kind="stable")]


def _coded(column: pd.Series) -> npt.NDArray[np.float64]:
    """Return shape (n,): numbers as they are, text by its order, missing as the least."""
    if kind_of(column) is ColumnKind.CATEGORICAL:
        return pd.factorize(column, sort=True)[0].astype(np.float64)
    limit = float(np.finfo(np.float32).max)
    values = column.to_numpy(dtype=np.float64)
    return np.where(np.isnan(values), -limit, np.clip(values, -limit, limit))
