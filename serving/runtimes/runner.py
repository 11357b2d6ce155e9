"""The port to a loaded model: what the engine needs of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from slipway.serving.table import Table

PREDICT = "predict"
UNKNOWN_S = 1.0  # a model that brings no row to try is taken for a slow one


@dataclass(frozen=True, kw_only=True, slots=True)
class RunnerReport:
    """Which runner a version got, and why; shown to operators and stored beside the version's files in the cache.

    `kind` is `compiled` (preparation and estimator are ours), `prepared` (preparation is ours, the estimator its own),
    `native` (the flavor's model), `pyfunc` or `isolated` (pyfunc in a process of its own). `reason` says what was
    verified, or why no faster kind was chosen. `methods` are what a request may ask for: `predict`, maybe
    `predict_proba`.
    `one_row_s` is the median time of one row in seconds; `resident_bytes` what opening it adds to a process.
    """

    kind: str
    reason: str
    methods: tuple[str, ...]
    one_row_s: float
    resident_bytes: int

    @property
    def is_rowwise(self) -> bool:
        """Return whether rows of several requests may be predicted together: that was verified for these kinds."""
        return self.kind in ("compiled", "prepared")


def unmeasured(kind: str, reason: str, methods: tuple[str, ...]) -> RunnerReport:
    """Return the report of a runner that was not opened yet: it counts as slow, and as taking nothing."""
    return RunnerReport(kind=kind, reason=reason, methods=methods, one_row_s=UNKNOWN_S, resident_bytes=0)


class Runner(Protocol):
    """A model that is open and can be asked from any thread.

    What the model itself raises passes through: the engine answers 500 and names no internals.
    """

    @property
    def report(self) -> RunnerReport:
        """Return which runner this is."""

    def predict(self, table: Table, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return the predictions for a table's rows, as the flavor's own model would: an array, a frame, what it likes.

        Equal rows give equal answers, however many others are in the table, up to a stated tolerance of probabilities.
        """

    def predict_parsed(self, parsed: Any, method: str, params: Mapping[str, Any] | None) -> Any:
        """Return the predictions for what MLflow's own parsing made of a request that is not plain.

        `parsed` is a `Table` where the signature is one of columns, else whatever `mlflow.pyfunc` would be given.
        """

    def break_off(self) -> None:
        """End the call that is under way, where that can be done: where the model has a process of its own."""

    def close(self) -> None:
        """Free what the runner holds outside this process; a second call does nothing."""
