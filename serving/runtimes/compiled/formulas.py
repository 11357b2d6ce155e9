"""scikit-learn's last steps, from scores to labels and probabilities, with numpy alone.

Each is the same operations in the same order as scikit-learn 1.9; only the logistic function, which is scipy's there,
can differ in the last bit.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.preprocessing import Matrix

Labels = npt.NDArray[Any]


class Classes:
    """The labels of a classifier: from places to labels, with one row's answer ready."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._one = [labels[place : place + 1].copy() for place in range(len(labels))]
        for row in self._one:
            row.setflags(write=False)

    def __len__(self) -> int:
        return len(self._labels)

    def one(self, place: int) -> Labels:
        """Return shape (1,), read-only."""
        return self._one[place]

    def of(self, places: npt.NDArray[Any]) -> Labels:
        """Return shape (n,)."""
        found: Labels = self._labels.take(places)
        return found


def expit(x: Matrix) -> Matrix:
    """Return 1 / (1 + exp(-x)) for each value, without overflow.

    >>> expit(np.array([0.0, -1000.0])).tolist()
    [0.5, 0.0]
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0 / (1.0 + e), e / (1.0 + e))


def softmax(x: Matrix) -> Matrix:
    """Return each row's exponentials over their sum, shape (n, k), the row's largest taken away first."""
    e = np.exp(x - x.max(axis=1)[:, None])
    p: Matrix = e / e.sum(axis=1)[:, None]
    return p


def two_columns(p: Matrix) -> Matrix:
    """Return [1 - p, p], shape (n, 2), for shape (n,)."""
    found = np.empty((len(p), 2))
    found[:, 1] = p
    found[:, 0] = 1 - p
    return found


def logistic(scores: Matrix) -> Matrix:
    """Return the two probabilities of one score, shape (n, 2), for shape (n, 1)."""
    return two_columns(expit(scores[:, 0]))


def half_logistic(scores: Matrix) -> Matrix:
    """Return the two probabilities under the exponential loss, shape (n, 2), for shape (n, 1)."""
    return two_columns(expit(2 * scores[:, 0]))


def one_versus_rest(scores: Matrix) -> Matrix:
    """Return the logistic function of each score over the row's sum; equal parts where that is zero."""
    return _normalised(expit(scores))


def huber(scores: Matrix) -> Matrix:
    """Return the probabilities of the modified Huber loss: scores cut to -1..1, brought to 0..1."""
    p = np.clip(scores, -1, 1)
    p += 1.0
    p /= 2.0
    return two_columns(p[:, 0]) if p.shape[1] == 1 else _normalised(p)


def _normalised(p: Matrix) -> Matrix:
    total = p.sum(axis=1)
    nothing = total == 0
    if nothing.any():
        p[nothing, :] = 1
        total[nothing] = p.shape[1]
    p /= total[:, None]
    return p


PROBABILITIES: Mapping[str, Callable[[Matrix], Matrix]] = {
    "logistic": logistic,
    "half_logistic": half_logistic,
    "softmax": softmax,
    "one_versus_rest": one_versus_rest,
    "huber": huber,
}

LINKS: Mapping[str, Callable[[Matrix], Matrix]] = {"identity": lambda scores: scores, "log": np.exp}


FLOAT32_MOST = float(np.finfo(np.float32).max)
# From here on rounding to float32 gives infinity.
FLOAT32_TOO_MUCH = FLOAT32_MOST + 2.0**103


class Finite:
    """What an estimator refuses: infinities always, NaN unless it takes missing values, both maybe not at all.

    `dtype` is what scikit-learn converts to before it looks.
    """

    def __init__(self, *, nan: bool, infinite: bool, dtype: str) -> None:
        self._takes_nan, self._takes_infinite = nan, infinite
        self._dtype = dtype
        self._too_much = FLOAT32_TOO_MUCH if dtype == "float32" else np.inf
        self._harmless = FLOAT32_MOST**2 if dtype == "float32" else float(np.finfo(np.float64).max)

    def check(self, X: Matrix) -> None:
        """Raise ValueError, worded as scikit-learn's, where it would refuse a value."""
        if self._takes_nan and self._takes_infinite:
            return
        flat = X.ravel()
        # One pass in compiled code clears all ordinary rows: NaN fails the comparison, as does a large number. Beyond
        # 1e154 numpy warns of the overflow; not to be warned costs ten times as much on every call.
        if flat.dot(flat) <= self._harmless:
            return
        if not self._takes_nan and np.isnan(flat).any():
            raise ValueError("Input X contains NaN.")
        if not self._takes_infinite and (np.abs(flat) >= self._too_much).any():
            raise ValueError(f"Input X contains infinity or a value too large for dtype('{self._dtype}').")
