"""Linear models and perceptrons: from the prepared matrix to what scikit-learn's `predict` and `predict_proba` return.

The same products and sums as scikit-learn's, by the same numpy. Each method takes shape (n, features) in float64 and
does not write into it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.formulas import PROBABILITIES, Classes, Finite, expit, softmax, two_columns
from slipway.serving.runtimes.compiled.preprocessing import Matrix

Formula = Callable[[Matrix], Any]

ACTIVATIONS: Mapping[str, Callable[[Matrix], Matrix]] = {
    "identity": lambda X: X,
    "relu": lambda X: np.maximum(X, 0, out=X),
    "tanh": lambda X: np.tanh(X, out=X),
    "exp": lambda X: np.exp(X, out=X),
    "logistic": expit,
    "softmax": softmax,
}


class Linear:
    """Scores X @ coef + intercept; a regressor's answer, or what a classifier decides by."""

    def __init__(
        self,
        *,
        coef: Matrix,
        intercept: npt.NDArray[Any],
        finite: Finite,
        classes: Classes | None,
        probabilities: str | None,
    ) -> None:
        self._coef, self._intercept, self._check = coef, intercept, finite.check
        self._classes = classes
        self._probabilities = PROBABILITIES[probabilities] if probabilities else None

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        if self._classes is None:
            return {"predict": self._scores}
        more: dict[str, Formula] = {"predict_proba": self._predict_proba} if self._probabilities else {}
        return {"predict": self._predict, **more}

    def _scores(self, X: Matrix) -> Matrix:
        self._check(X)
        scores: Matrix = X @ self._coef
        scores += self._intercept
        return scores

    def _predict(self, X: Matrix) -> npt.NDArray[Any]:
        assert self._classes is not None
        return decide(self._scores(X), self._classes, at=0.0)

    def _predict_proba(self, X: Matrix) -> Matrix:
        assert self._probabilities is not None
        return self._probabilities(self._scores(X))


def decide(scores: Matrix, classes: Classes, *, at: float, also_equal: bool = False) -> npt.NDArray[Any]:
    """Return labels for shape (n, k): the first largest of k scores, or whether the one is above `at`."""
    if len(scores) == 1:
        if scores.shape[1] > 1:
            return classes.one(int(scores.argmax()))
        score = scores.item(0)
        return classes.one(int(score > at or (also_equal and score == at)))
    if scores.shape[1] > 1:
        return classes.of(scores.argmax(axis=1))
    one = scores[:, 0]
    return classes.of((one >= at if also_equal else one > at).astype(np.intp))


class Network:
    """A multi-layer perceptron."""

    def __init__(
        self,
        *,
        layers: Sequence[tuple[Matrix, npt.NDArray[Any]]],
        hidden: str,
        output: str,
        finite: Finite,
        classes: Classes | None,
    ) -> None:
        self._layers, self._check, self._classes = layers, finite.check, classes
        self._hidden, self._output = ACTIVATIONS[hidden], ACTIVATIONS[output]

    def answers(self) -> Mapping[str, Formula]:
        """Return the methods that the estimator has."""
        if self._classes is None:
            return {"predict": self._regress}
        return {"predict": self._classify, "predict_proba": self._predict_proba}

    def _forward(self, X: Matrix) -> Matrix:
        self._check(X)
        *hidden, (coef, intercept) = self._layers
        for inner_coef, inner_intercept in hidden:
            X = X @ inner_coef
            X += inner_intercept
            X = self._hidden(X)
        X = X @ coef
        X += intercept
        return self._output(X)

    def _regress(self, X: Matrix) -> Matrix:
        found = self._forward(X)
        return found.ravel() if found.shape[1] == 1 else found

    def _classify(self, X: Matrix) -> npt.NDArray[Any]:
        assert self._classes is not None
        return decide(self._forward(X), self._classes, at=0.5)

    def _predict_proba(self, X: Matrix) -> Matrix:
        found = self._forward(X)
        return two_columns(found[:, 0]) if found.shape[1] == 1 else found
