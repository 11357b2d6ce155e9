"""Decide how a version is run, make sure that it answers as its model does, and write what opening it needs.

Runs in a child process of bounded memory, since loading and compiling import much and may use much. The best kind that
holds is taken: `compiled`, `prepared`, `native` for scikit-learn's models over columns, `pyfunc` for those over
tensors. What ships code, or is not proved to run none when it is loaded, never runs in the process of others: it is
`compiled` where that can be, else `isolated`. So are all other flavors: their compiled code follows whatever numbers a
file holds, out of its arrays as well, and takes the process along.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from slipway.registry.errors import NotApproved
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.serving.runtimes.acceleration import Acceleration
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.harmless import why_unseen
from slipway.serving.runtimes.isolated import IsolatedRunner, ModelProcessError
from slipway.serving.runtimes.mlflow_loaded import (
    Example,
    LoadedByMlflow,
    answer_example,
    example_of,
    is_sklearn,
    load_model,
    ships_code,
)
from slipway.serving.runtimes.mlflow_runner import MlflowRunner, columns_of
from slipway.serving.runtimes.runner import PREDICT, UNKNOWN_S, Runner, RunnerReport, unmeasured
from slipway.serving.runtimes.stored import StoredRunner, write_stored
from slipway.serving.runtimes.verification.hard_rows import take
from slipway.serving.runtimes.verification.libraries import other_libraries
from slipway.serving.runtimes.verification.measure import median_s, resident_bytes, size_bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the model is, where its runner goes, and what of its libraries is to be said."""

    model_folder: Path
    into: Path
    other_libraries: str


def prepare_runner(model_folder: Path, into: Path, *, accelerate: bool, rows: pd.DataFrame | None) -> RunnerReport:
    """Choose and verify the runner of the model in a folder, and write it into another, over what is there.

    `rows` are held-out rows to verify with, where there are any. Without `accelerate`, nothing is compiled. What stands
    against a faster kind is said in the report's `reason`.

    Raises
    ------
    NotApproved, InvalidInput, NotFound, Unavailable
        The model cannot be loaded, or fails on its own input example.
    """
    place = _Place(model_folder, into, other_libraries(model_folder))
    if ships_code(model_folder):
        return _prepare_isolated(place, "it ships code, whose modules may have the names of others")
    risky = risky_parts(model_folder, untrusted_types)
    apart = f"it could run code: {risky[0].what}" if risky else why_unseen(model_folder)
    if not is_sklearn(model_folder):
        return _prepare_isolated(place, apart or "")
    before = resident_bytes()
    loaded = load_model(model_folder)
    # One thread: on a busy machine, the threads of histogram gradient boosting wait for each other a hundred times
    # longer than they work.
    with threadpool_limits(1):
        return _prepare_loaded(loaded, place, before, accelerate=accelerate, rows=rows, apart=apart)


@dataclass(frozen=True, slots=True)
class Possible:
    """A runner that an engine may choose, written into a folder; `holds` says of an opened one whether it would."""

    place: Path
    holds: Callable[[Runner, pd.DataFrame | None], bool]


def prepare_each(model_folder: Path, into: Path) -> Sequence[Possible]:
    """Prepare every runner that an engine may choose for a model that ships no code, the fastest first.

    Nothing is verified: that takes longer than all else, and is of use only of a runner that is found to answer
    otherwise. Raises as `prepare_runner` does.
    """
    place = _Place(model_folder, into / "native", "")
    before = resident_bytes()
    loaded = load_model(model_folder)
    with threadpool_limits(1):
        _prepare_loaded(loaded, place, before, accelerate=False, rows=None)
        found = [Possible(place.into, lambda runner, rows: True)]
        if loaded.fitted is None or loaded.columns is None or _against(loaded, accelerate=True):
            return found
        acceleration = Acceleration(loaded, loaded.columns, model_folder)
        ours = [_possible(made, acceleration, into / made.report.kind) for made in acceleration.made()]
        return [*ours, *found]


def _possible(made: StoredRunner, acceleration: Acceleration, place: Path) -> Possible:
    write_stored(made, place)
    return Possible(place, lambda runner, rows: acceleration.holds(runner, rows=rows))


def _prepare_loaded(
    loaded: LoadedByMlflow,
    place: _Place,
    before: int,
    *,
    accelerate: bool,
    rows: pd.DataFrame | None,
    apart: str | None = None,
) -> RunnerReport:
    """Choose and write the runner of a model that was loaded; `apart` is why it may not be loaded among others."""
    answer_example(loaded.model, loaded.example)
    grown = max(resident_bytes() - before, size_bytes(place.model_folder))
    if loaded.columns is None:
        reason = "its signature is not one of columns with names"
        if apart:
            return _prepare_isolated(place, f"{apart}; {reason}")
        return _prepare_mlflow(loaded, place, kind="pyfunc", reason=reason, grown=grown)
    acceleration = Acceleration(loaded, loaded.columns, place.model_folder)
    against = _against(loaded, accelerate=accelerate)
    found = None if against else acceleration.best(place.into, rows=rows, compiled_only=apart is not None)
    if found:
        return _written(found, place)
    reason = against or "; ".join(acceleration.reasons)
    if apart:
        return _prepare_isolated(place, f"{apart}; {reason}")
    return _prepare_mlflow(loaded, place, kind="native", reason=reason, grown=grown)


def _against(loaded: LoadedByMlflow, *, accelerate: bool) -> str | None:
    if not accelerate:
        return "acceleration is off"
    return "its signature declares parameters, which MLflow's code validates" if loaded.has_params else None


def _prepare_mlflow(loaded: LoadedByMlflow, place: _Place, *, kind: str, reason: str, grown: int) -> RunnerReport:
    report = unmeasured(kind, reason, loaded.methods)
    runner = MlflowRunner(report, loaded.model, loaded.columns)
    seconds = _one_row_s(runner, loaded.columns, loaded.example)
    return _written(StoredRunner(report=_measured(report, seconds, grown), opener="mlflow"), place)


def _prepare_isolated(place: _Place, reason: str) -> RunnerReport:
    report = unmeasured("isolated", reason, (PREDICT,))
    with _started(report, place.model_folder) as runner:
        methods = runner.start()
        example = example_of(place.model_folder)
        answer_example(_AsModel(runner), example)
        seconds = _one_row_s(runner, columns_of(place.model_folder), example)
        report = _measured(replace(report, methods=methods), seconds, runner.resident_bytes())
    return _written(StoredRunner(report=report, opener="isolated"), place)


def _started(report: RunnerReport, model_folder: Path) -> IsolatedRunner:
    try:
        return IsolatedRunner(report, model_folder)
    except ModelProcessError as error:
        raise NotApproved(
            f"the model cannot be loaded in a process of its own: {error}",
            code="model-not-loadable",
            hint="load it with mlflow.pyfunc.load_model in the environment that serves",
        ) from error


class _AsModel:
    """A runner as the model that an example is tried on."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def predict(self, given: Any, params: Mapping[str, Any] | None) -> Any:
        """Return what the model answers."""
        return self._runner.predict_parsed(given, PREDICT, params)


def _one_row_s(runner: Runner, columns: Columns | None, example: Example | None) -> float:
    """Return the seconds of one row of the example: as a table where the signature is one of columns."""
    if example is None:
        return UNKNOWN_S
    if columns is None or not isinstance(example.given, pd.DataFrame):
        return median_s(lambda: runner.predict_parsed(example.given, PREDICT, example.params))
    one = take(columns.table(example.given), [0])
    return median_s(lambda: runner.predict(one, PREDICT, example.params))


def _measured(report: RunnerReport, one_row_s: float, grown: int) -> RunnerReport:
    unknown = "; its speed is unknown, as it has no input example" if one_row_s == UNKNOWN_S else ""
    return replace(report, reason=f"{report.reason}{unknown}", one_row_s=one_row_s, resident_bytes=grown)


def _written(stored: StoredRunner, place: _Place) -> RunnerReport:
    report = stored.report
    if place.other_libraries:
        report = replace(report, reason=f"{report.reason}; its requirements: {place.other_libraries}")
    write_stored(replace(stored, report=report), place.into)
    return report
