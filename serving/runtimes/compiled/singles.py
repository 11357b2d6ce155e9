"""Boosting in single precision, as XGBoost reckons: from the prepared matrix to its predictions, bit for bit.

Sums of singles depend on their order, and so do their last digits in JSON. The ensemble says in double which leaf each
tree comes to; the leaves are added here, tree after tree, and go through the same steps in single as in XGBoost 3.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.estimators import Formula
from slipway.serving.runtimes.compiled.forests import ROWS_AT_ONCE
from slipway.serving.runtimes.compiled.formulas import Classes, Finite
from slipway.serving.runtimes.compiled.preprocessing import Matrix
from slipway.serving.runtimes.compiled.trees import Trees

Singles = npt.NDArray[np.float32]

ONE, TINY, LARGEST = np.float32(1), np.float32(1e-16), np.float32(88.7)
STEPS = 32
POWERS = np.exp2(np.arange(STEPS) / STEPS)
CUBIC, SQUARE, LINEAR = (
    float.fromhex("0x1.c6af84b912394p-5") / STEPS**3,
    float.fromhex("0x1.ebfce50fac4f3p-3") / STEPS**2,
    float.fromhex("0x1.62e42ff0c52d6p-1") / STEPS,
)
PER_STEP = STEPS / np.log(2)


def exp(x: Singles) -> Singles:
    """Return the exponential as the C library has it (`expf` of glibc from 2.27 on: Arm's optimized routines).

    NumPy's own for singles has other last bits in four of ten values; a double's, rounded, in one of two thousand.

    >>> exp(np.array([0.0, 1.0], dtype=np.float32)).tolist()
    [1.0, 2.7182817459106445]
    """
    z = PER_STEP * x.astype(np.float64)
    steps = np.rint(z)
    r, k = z - steps, steps.astype(np.int64)
    power = np.ldexp(POWERS[k % STEPS], k // STEPS)
    found = ((CUBIC * r + SQUARE) * (r * r) + (LINEAR * r + 1.0)) * power
    return np.asarray(found, dtype=np.float32)


def sigmoid(margins: Singles) -> Singles:
    """Return two probabilities for one margin, shape (n, 2) for (n, 1)."""
    p = ONE / (exp(np.minimum(-margins[:, 0], LARGEST)) + ONE + TINY)
    return np.column_stack([ONE - p, p])


def softmax(margins: Singles) -> Singles:
    """Return each row's exponentials over their sum, which is taken in double, shape (n, k)."""
    above: Singles = np.subtract(margins, margins.max(axis=1, keepdims=True))
    found = exp(above)
    total = np.add.accumulate(found.astype(np.float64), axis=1)[:, -1:]
    return np.asarray(found / total.astype(np.float32), dtype=np.float32)


PROBABILITIES: Mapping[str, Callable[[Singles], Singles]] = {"sigmoid": sigmoid, "softmax": softmax}


class SingleBoosting:
    """Boosted trees whose leaves are singles: `values` are all of them, `base` is where each class's sum begins.

    The trees stand class after class, as many for each.
    """

    def __init__(
        self, trees: Trees, classes: Classes | None, finite: Finite, *, values: Singles, base: Singles, link: str
    ) -> None:
        self._leaves, self._check, self._classes = trees.sums, finite.check, classes
        self._values, self._base = values, base
        self._probabilities = PROBABILITIES[link] if classes is not None else None

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        if self._classes is None:
            return {"predict": lambda X: self._margins(X)[:, 0]}
        return {"predict": self._predict, "predict_proba": self._predict_proba}

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        assert self._classes is not None
        return self._classes.of(self._predict_proba(X).argmax(axis=1))

    def _predict_proba(self, X: Matrix) -> Singles:
        assert self._probabilities is not None
        return self._probabilities(self._margins(X))

    def _margins(self, X: Matrix) -> Singles:
        self._check(X)
        parts = [self._sums(X[start : start + ROWS_AT_ONCE]) for start in range(0, len(X), ROWS_AT_ONCE)]
        return np.concatenate(parts)

    def _sums(self, X: Matrix) -> Singles:
        n_classes = len(self._base)
        leaves = self._leaves(X).astype(np.intp).reshape(len(X), n_classes, -1)
        begun = np.broadcast_to(self._base[:, None], (len(X), n_classes, 1))
        found: Singles = np.add.accumulate(np.concatenate([begun, self._values.take(leaves)], axis=2), axis=2)[:, :, -1]
        return found
