"""Ensembles of trees: from the prepared matrix to what scikit-learn's `predict` and `predict_proba` return.

The trees' sums come from one `TreeEnsemble` in float64, added in the trees' order as scikit-learn adds them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.estimators import Formula, decide
from slipway.serving.runtimes.compiled.formulas import LINKS, PROBABILITIES, Classes, Finite
from slipway.serving.runtimes.compiled.preprocessing import Matrix
from slipway.serving.runtimes.compiled.trees import Trees

EXACT_BITS = 53
ROWS_AT_ONCE = 1024


def bits_of_a_count(n_trees: int) -> int:
    """Return how many bits hold a count of up to `n_trees` votes.

    >>> bits_of_a_count(100), bits_of_a_count(128)
    (7, 8)
    """
    return n_trees.bit_length()


def counts_in_a_double(bits: int) -> int:
    """Return how many counts of so many bits fit into the whole numbers that a double holds exactly."""
    return EXACT_BITS // bits


class Votes:
    """A forest whose leaves are each of one class: several classes' counts of votes are packed into one exact sum.

    Probabilities are scikit-learn's to the last bit: its sums of ones are exact as well.
    """

    def __init__(self, trees: Trees, classes: Classes, finite: Finite, *, n_trees: int) -> None:
        self._sums, self._check, self._classes = trees.sums, finite.check, classes
        self._n_trees, self._n_classes = n_trees, len(classes)
        bits = bits_of_a_count(n_trees)
        self._mask = (1 << bits) - 1
        in_one = min(counts_in_a_double(bits), len(classes))
        self._shifts = [bits * place for place in range(in_one)]
        self._shifts_of_rows = np.array(self._shifts)
        self._all_in_one = in_one == len(classes)

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        return {"predict": self._predict, "predict_proba": self._predict_proba}

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        if len(X) != 1 or not self._all_in_one:
            return self._classes.of(self._counts(X).argmax(axis=1))
        counts = self._counts_of_one(X)
        return self._classes.one(counts.index(max(counts)))

    def _predict_proba(self, X: Matrix) -> Matrix:
        if len(X) != 1 or not self._all_in_one:
            return self._counts(X) / self._n_trees
        return np.array([self._counts_of_one(X)]) / self._n_trees

    def _counts_of_one(self, X: Matrix) -> list[int]:
        self._check(X)
        packed, mask = int(self._sums(X).item(0)), self._mask
        return [(packed >> shift) & mask for shift in self._shifts]

    def _counts(self, X: Matrix) -> npt.NDArray[np.int64]:
        self._check(X)
        packed = self._sums(X).astype(np.int64)
        counts: npt.NDArray[np.int64] = (packed[:, :, None] >> self._shifts_of_rows) & self._mask
        return counts.reshape(len(X), -1)[:, : self._n_classes]


class Leaves:
    """A forest whose leaves hold several numbers: the ensemble says which leaf of each tree, we add.

    The operator's leaves have one number each; repeating the trees for every class costs as often the time. `values`
    has shape (leaves, numbers), numbers being a class's share each, or an output each where `classes` is `None`.
    """

    def __init__(self, trees: Trees, classes: Classes | None, finite: Finite, *, values: Matrix, n_trees: int) -> None:
        self._sums, self._check, self._classes = trees.sums, finite.check, classes
        self._values, self._n_trees = values, n_trees

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        if self._classes is None:
            return {"predict": self._means}
        return {"predict": self._predict, "predict_proba": self._means}

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        assert self._classes is not None
        return decide(self._means(X), self._classes, at=0.0)

    def _means(self, X: Matrix) -> Matrix:
        self._check(X)
        if len(X) == 1:
            leaves = self._sums(X)[0].astype(np.intp)
            means: Matrix = np.add.reduce(self._values.take(leaves, axis=0), axis=0, keepdims=True)
        else:
            means = np.zeros((len(X), self._values.shape[1]))
            for start in range(0, len(X), ROWS_AT_ONCE):
                self._add(X[start : start + ROWS_AT_ONCE], means[start : start + ROWS_AT_ONCE])
        means /= self._n_trees
        return means

    def _add(self, X: Matrix, sums: Matrix) -> None:
        """Add tree after tree: a sum over an axis of numpy's is in another order, and rounds otherwise."""
        for leaves in self._sums(X).T.astype(np.intp, order="C"):
            sums += self._values.take(leaves, axis=0)


class Mean:
    """A forest of regressors of one output."""

    def __init__(self, trees: Trees, finite: Finite, *, n_trees: int) -> None:
        self._sums, self._check, self._n_trees = trees.sums, finite.check, n_trees

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        return {"predict": self._predict}

    def _predict(self, X: Matrix) -> Matrix:
        self._check(X)
        return self._sums(X)[:, 0] / self._n_trees


class Boosting:
    """Gradient boosting: the sum of all trees, one per class, is the score."""

    def __init__(
        self,
        trees: Trees,
        classes: Classes | None,
        finite: Finite,
        *,
        link: str,
        also_equal: bool,
    ) -> None:
        self._sums, self._check, self._classes, self._also_equal = trees.sums, finite.check, classes, also_equal
        self._link = LINKS[link] if classes is None else PROBABILITIES[link]

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        if self._classes is None:
            return {"predict": self._regress}
        return {"predict": self._classify, "predict_proba": self._predict_proba}

    def _regress(self, X: Matrix) -> Matrix:
        self._check(X)
        return self._link(self._sums(X)[:, 0])

    def _classify(self, X: Matrix) -> npt.NDArray[Any]:
        assert self._classes is not None
        self._check(X)
        return decide(self._sums(X), self._classes, at=0.0, also_equal=self._also_equal)

    def _predict_proba(self, X: Matrix) -> Matrix:
        self._check(X)
        return self._link(self._sums(X))
