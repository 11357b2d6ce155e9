"""How much each feature matters: what the model loses on held-out rows when the feature is shuffled.

Bounded by time: every shuffle costs a prediction, and a table may have thousands of columns. The likeliest are measured
first, and what was left out is said.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import accuracy_score, r2_score

from slipway.training.dataset import ColumnKind, kind_of
from slipway.training.listed import listed
from slipway.training.spec import Task
from slipway.training.train import TrainedModel

ROWS = 500
SHUFFLES = 100
REPEATS = 5
TREES = 50
ROWS_AT_ONCE = 10_000
QUICK_S = 0.2  # after which the time that is left is looked at again
# With so few features, all are measured within any sensible time, and their order does not matter.
FEW_FEATURES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Importance:
    """`losses`: feature → mean loss of the estimator's own score; `left_out`: features that time did not reach."""

    losses: pd.Series
    left_out: tuple[str, ...]
    seconds: float

    def notes(self) -> Iterator[str]:
        """Say what was left out, unless that was asked for: without any time."""
        if self.left_out and self.seconds:
            total = len(self.left_out) + len(self.losses)
            yield (
                f"the importance of {len(self.left_out):,} of {total:,} features was not measured "
                f"within {self.seconds:g} s, the likeliest were first: {listed(self.left_out)}; "
                "importance_seconds gives more time"
            )


def importance_of(trained: TrainedModel, *, clock: Callable[[], float] = time.monotonic) -> Importance:
    """Return the importance of a trained model's features on its held-out rows, within its spec's time.

    It is what accuracy loses, or R² where numbers are foretold.

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
    shuffling = _Shuffling(trained, features, y, repeats=max(1, min(REPEATS, SHUFFLES // len(names))))
    at_once = 1
    while len(losses) < len(names) and (started := clock()) < deadline:
        some = names[len(losses) : len(losses) + at_once]
        losses |= shuffling.losses(some)
        is_quick = clock() - started < QUICK_S
        at_once = min(2 * at_once, shuffling.most_at_once) if is_quick else 1
    return Importance(
        losses=pd.Series(losses, name="importance", dtype=float),
        left_out=tuple(name for name in names if name not in losses),
        seconds=spec.importance_seconds,
    )


class _Shuffling:
    """What a model loses on some rows when features are shuffled.

    Many shuffled tables are predicted at once: most of a small table's prediction is the way there.
    """

    def __init__(self, trained: TrainedModel, features: pd.DataFrame, y: pd.Series, *, repeats: int) -> None:
        self._predict, self._seed = trained.pipeline.predict, trained.spec.seed
        self._score = accuracy_score if trained.prepared.task is Task.CLASSIFICATION else r2_score
        self._features, self._y, self._repeats = features, y, repeats
        self._base = self._score(y, self._predict(features))
        self.most_at_once = max(1, ROWS_AT_ONCE // (repeats * len(features)))

    def losses(self, names: Sequence[str]) -> dict[str, float]:
        """Return feature → mean loss."""
        answers = self._predict(pd.concat([each for name in names for each in self._shuffled(name)]))
        parts = np.split(np.asarray(answers), len(names) * self._repeats)
        scores = np.reshape([self._score(self._y, part) for part in parts], (len(names), self._repeats))
        return dict(zip(names, self._base - scores.mean(axis=1), strict=True))

    def _shuffled(self, name: str) -> Iterator[pd.DataFrame]:
        rng = np.random.default_rng([self._seed, list(self._features.columns).index(name)])
        for _ in range(self._repeats):
            order = rng.permutation(len(self._features))
            yield self._features.assign(**{name: self._features[name].array[order]})


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
