"""A runner over a prepared matrix: what the kinds `compiled` and `prepared` have in common."""

from collections.abc import Mapping
from typing import Any

from slipway.registry.errors import InvalidInput
from slipway.serving.runtimes.compiled.estimators import Formula
from slipway.serving.runtimes.compiled.preprocessing import Preparation, missing_columns
from slipway.serving.runtimes.runner import RunnerReport
from slipway.serving.runtimes.stored import StoredRunner, preparation_from_store
from slipway.serving.table import Table


class MatrixRunner:
    """A runner that prepares the matrix itself and has a function of it for each method; threads may share it."""

    def __init__(self, report: RunnerReport, preparation: Preparation, answers: Mapping[str, Formula]) -> None:
        self._report, self._matrix, self._answers = report, preparation.matrix, answers

    @property
    def report(self) -> RunnerReport:
        """Return which runner this is."""
        return self._report

    def predict(self, table: Table, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return what the fitted model's method would; `params` are ignored, as the sklearn flavor ignores them.

        Raises
        ------
        InvalidInput
            The rows lack a column that the signature calls optional: scikit-learn's models can do without none. Or
            there are no rows, which scikit-learn's estimators refuse.
        """
        if not table.n_rows:
            raise no_rows()
        if table.absent:
            raise missing_columns(table.absent)
        answer = self._answers.get(method)
        if answer is None:
            raise unknown_method(method, self._answers)
        return answer(self._matrix(table))

    def predict_parsed(self, parsed: Any, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return the same: only models with a signature of columns come here, and their requests are tables."""
        return self.predict(parsed, method, params)

    def break_off(self) -> None:
        """Do nothing: a thread of this process cannot be ended."""

    def close(self) -> None:
        """Do nothing: all is in this process's memory."""


def no_rows() -> InvalidInput:
    """Return what to say to a request without rows, where the model takes none such."""
    return InvalidInput("the request has no rows, and the model needs one", code="no-rows", hint=None)


def unknown_method(method: str, known: Mapping[str, Any]) -> InvalidInput:
    """Return the error of a request for a method that the model does not have."""
    return InvalidInput(
        f"the model has no method '{method}'; it has: {', '.join(known)}", code="unknown-method", hint=None
    )


def matrix_runner(stored: StoredRunner, answers: Mapping[str, Formula]) -> MatrixRunner:
    """Return the runner of an opened estimator; `predict` is whatever the model was logged to predict with."""
    preparation = preparation_from_store(stored.opening["preparation"], stored.arrays)
    named = {method: answers[method] for method in stored.report.methods if method in answers}
    return MatrixRunner(stored.report, preparation, {**named, "predict": answers[stored.opening["predict_fn"]]})
