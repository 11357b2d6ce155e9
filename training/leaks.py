"""Features that alone give the target away: a date of cancellation, a reminder that only late payers get.

A model with such a feature is right on held-out rows, and wrong where it is asked before the target is known. Whether a
feature is known in time, only its owner knows: nothing is refused.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import recall_score
from sklearn.tree import DecisionTreeClassifier

from slipway.training.dataset import ColumnKind, kind_of
from slipway.training.listed import listed
from slipway.training.text_columns import dropped

TOLD = 0.99  # of the rows of each class, on average
TOLD_ORDER = 0.999
ROWS = 2_000
LEAST_ROWS = 50
MOST_FEATURES = 500
MOST_CLASSES = 20
LEAVES_A_CLASS = 4

Labels = npt.NDArray[np.intp]


def leak_notes(
    train: tuple[pd.DataFrame, pd.Series], held_out: tuple[pd.DataFrame, pd.Series], *, classification: bool
) -> Iterator[str]:
    """Yield a warning of features that alone tell the target of nearly all held-out rows.

    Classes are told by a small tree of one feature, or by a word's commonest class, that was fitted on training rows;
    numbers by their order. At most 2,000 rows of each side and 500 features are looked at, and nothing is said below
    50 held-out rows, where one of many features is right by chance.
    """
    (features, y), (others, other_y) = _some(train), _some(held_out)
    if len(other_y) < LEAST_ROWS:
        return
    names = [str(name) for name in features if kind_of(features[name]) is not ColumnKind.DATETIME][:MOST_FEATURES]
    if classification:
        classes = pd.Index(y.unique())
        labels, other_labels = classes.get_indexer(y), classes.get_indexer(other_y)
        few = len(classes) <= MOST_CLASSES
        found = [name for name in names if few and _tells(features[name], labels, others[name], other_labels)]
    else:
        found = [name for name in names if _orders(others[name], other_y)]
    if found:
        yield (
            f"features that alone tell the target of nearly every held-out row, and may give it away: {listed(found)}; "
            f"if they are known only once the target is, {dropped(found)}"
        )


def _some(side: tuple[pd.DataFrame, pd.Series]) -> tuple[pd.DataFrame, pd.Series]:
    features, y = side
    chosen = np.random.default_rng(0).permutation(len(y))[:ROWS]
    return features.iloc[chosen], y.iloc[chosen]


def _tells(column: pd.Series, labels: Labels, other: pd.Series, other_labels: Labels) -> bool:
    by = _by_words if kind_of(column) is ColumnKind.CATEGORICAL else _by_numbers
    told = by(column, labels, other)
    return bool(recall_score(other_labels, told, average="macro", zero_division=0) >= TOLD)


def _by_numbers(column: pd.Series, labels: Labels, other: pd.Series) -> Labels:
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES_A_CLASS * (int(labels.max()) + 1), random_state=0)
    found: Labels = tree.fit(_within_floats(column), labels).predict(_within_floats(other))
    return found


def _within_floats(column: pd.Series) -> npt.NDArray[np.float64]:
    """Return shape (n, 1): boosted trees take infinities, and this tree takes none."""
    limit = float(np.finfo(np.float32).max)
    found: npt.NDArray[np.float64] = np.clip(column.to_numpy(dtype=np.float64), -limit, limit)
    return found.reshape(-1, 1)


def _by_words(column: pd.Series, labels: Labels, other: pd.Series) -> Labels:
    """Return each word's commonest class; of words that were not there, that of all words; and that of missing ones."""
    given = pd.Series(labels, index=column.index)[column.notna()]
    missing = labels[column.isna().to_numpy()]
    commonest = given.groupby(column[column.notna()]).agg(_commonest)
    told = other.map(commonest).fillna(_commonest(given)).where(other.notna(), _commonest(missing))
    return told.to_numpy(dtype=np.intp)


def _commonest(labels: pd.Series | Labels) -> int:
    """Return the commonest label, -1 of none."""
    return int(np.bincount(labels).argmax()) if len(labels) else -1


def _orders(column: pd.Series, y: pd.Series) -> bool:
    """Return whether numbers stand in the order of the target, or the other way round, in most rows that have one."""
    if kind_of(column) is not ColumnKind.NUMERIC or column.count() < max(LEAST_ROWS, len(y) / 2):
        return False
    given = column.notna()
    if column[given].nunique() < 2:
        return False
    return bool(abs(column[given].corr(y[given], method="spearman")) >= TOLD_ORDER)
