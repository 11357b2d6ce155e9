"""Decide how a version is run, make sure that it answers as its model does, and write what opening it needs.

Runs in a child process of bounded memory, since loading and compiling import much and may use much. The best kind that
holds is taken: `compiled`, `prepared`, `native` for scikit-learn's models over columns; `pyfunc` for all others;
`isolated` for models that ship code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from skops import io
from threadpoolctl import threadpool_limits

from slipway.registry.errors import NotApproved
from slipway.registry.profile import Profile
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.compiled.compile import compiled_to_store
from slipway.serving.runtimes.compiled.estimator_parts import EstimatorParts
from slipway.serving.runtimes.compiled.read_estimator import read_estimator
from slipway.serving.runtimes.compiled.read_preprocessing import (
    TakenApart,
    makes_doubles,
    read_preparation,
    without_checks,
)
from slipway.serving.runtimes.compiled.sklearn_prepared import METHODS
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name
from slipway.serving.runtimes.isolated import IsolatedRunner, ModelProcessError
from slipway.serving.runtimes.mlflow_loaded import (
    Example,
    LoadedByMlflow,
    answer_example,
    example_of,
    load_model,
    ships_code,
)
from slipway.serving.runtimes.mlflow_runner import PREDICT_PROBA, MlflowRunner, columns_of
from slipway.serving.runtimes.open import open_runner
from slipway.serving.runtimes.runner import PREDICT, Runner, RunnerReport
from slipway.serving.runtimes.stored import StoredRunner, preparation_to_store, write_stored
from slipway.serving.runtimes.verification.hard_rows import HardRows, Known, hard_rows, take
from slipway.serving.runtimes.verification.libraries import other_libraries
from slipway.serving.runtimes.verification.measure import UNKNOWN_S, median_s, resident_bytes, size_bytes
from slipway.serving.runtimes.verification.verify import verify

PROFILE = Path("extra_files") / "profile.json"
COMPILED, PREPARED = OURS = ("compiled", "prepared")  # the kinds of our own, the fastest first
MOST_ROWS = 20_000
SEED = 20_260_101

Found = TypeVar("Found")


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
    return _prepare(model_folder, into, kinds=OURS if accelerate else (), rows=rows)


def prepare_each(model_folder: Path, into: Path) -> Mapping[str, Path]:
    """Prepare every runner that an engine may choose, whatever rows it has to verify with: kind → where it lies.

    Rows may speak against a compiled runner, and then a prepared one is tried; raises as `prepare_runner` does.
    """
    found: dict[str, Path] = {}
    for kinds in (OURS, (PREPARED,), ()):
        place = into / f"of-{len(kinds)}-kinds"
        found.setdefault(_prepare(model_folder, place, kinds=kinds, rows=None).kind, place)
    return found


def _prepare(model_folder: Path, into: Path, *, kinds: Sequence[str], rows: pd.DataFrame | None) -> RunnerReport:
    place = _Place(model_folder, into, other_libraries(model_folder))
    if ships_code(model_folder):
        return _prepare_isolated(place)
    before = resident_bytes()
    loaded = load_model(model_folder)
    # One thread: on a busy machine, the threads of histogram gradient boosting wait for each other a hundred times
    # longer than they work.
    with threadpool_limits(1):
        return _prepare_loaded(loaded, place, before, kinds=kinds, rows=rows)


def _prepare_loaded(
    loaded: LoadedByMlflow, place: _Place, before: int, *, kinds: Sequence[str], rows: pd.DataFrame | None
) -> RunnerReport:
    answer_example(loaded.model, loaded.example)
    grown = max(resident_bytes() - before, size_bytes(place.model_folder))
    if loaded.fitted is None or loaded.columns is None:
        no_flavor = "the model has no scikit-learn flavor"
        reason = no_flavor if loaded.fitted is None else "its signature is not one of columns with names"
        return _prepare_mlflow(loaded, place, kind="pyfunc", reason=reason, grown=grown)
    attempts = _Attempts(loaded, loaded.columns, place, rows)
    against = _against(loaded, kinds)
    found = None if against else attempts.best(kinds)
    if found:
        return found
    reason = against or "; ".join(attempts.reasons)
    return _prepare_mlflow(loaded, place, kind="native", reason=reason, grown=grown)


def _against(loaded: LoadedByMlflow, kinds: Sequence[str]) -> str | None:
    if not kinds:
        return "acceleration is off"
    return "its signature declares parameters, which MLflow's code validates" if loaded.has_params else None


class _Attempts:
    """The kinds of our own, tried one after the other; why each was not taken is kept."""

    def __init__(self, loaded: LoadedByMlflow, columns: Columns, place: _Place, rows: pd.DataFrame | None) -> None:
        self._loaded, self._columns, self._place, self._rows = loaded, columns, place, rows
        self._original = MlflowRunner(_report("native", "", loaded.methods), loaded.model, columns)
        self.reasons: list[str] = []

    def best(self, kinds: Sequence[str]) -> RunnerReport | None:
        """Return the report of the first of the kinds that holds, its files being written; `None` where none does."""
        prepared = self._tried("compiled", lambda: read_preparation(self._loaded.fitted, self._columns.fields))
        if prepared is None:
            return None
        parts = self._tried("compiled", lambda: _parts_of(prepared.estimator))
        hard = self._tried("verified", lambda: self._hard_rows(prepared, parts))
        if hard is None:
            return None
        if parts is not None and COMPILED in kinds:
            found = self._tried("compiled", lambda: self._verified(compiled(self._loaded, prepared, parts), hard))
            if found:
                return found
        return self._tried("prepared", lambda: self._verified(prepared_only(self._loaded, prepared), hard))

    def _tried(self, kind: str, attempt: Callable[[], Found]) -> Found | None:
        try:
            return attempt()
        except NotApproved:
            raise
        except NotCompilable as error:
            self.reasons.append(f"not {kind}: {error}")
        except Exception as error:  # a fault of ours, or of an estimator, costs speed and nothing else
            self.reasons.append(f"not {kind}: {type(error).__name__}: {error}")
        return None

    def _hard_rows(self, prepared: TakenApart, parts: EstimatorParts | None) -> HardRows:
        example = self._loaded.example.given if self._loaded.example else None
        frames = [frame for frame in (self._rows, example) if isinstance(frame, pd.DataFrame) and len(frame)]
        profile = self._place.model_folder / PROFILE
        return hard_rows(
            self._columns.fields,
            prepared.preparation,
            parts.thresholds if parts else {},
            Known(
                rows=[self._columns.table(frame) for frame in frames],
                profile=Profile.from_json(profile.read_text()) if profile.is_file() else None,
            ),
            most=MOST_ROWS,
            rng=np.random.default_rng(SEED),
        )

    def _verified(self, stored: StoredRunner, hard: HardRows) -> RunnerReport:
        """Open what was made, compare it with the original, and return its report with what it costs."""
        methods = stored.report.methods
        write_stored(stored, self._place.into)
        before = resident_bytes()
        runner = open_runner(self._place.into, self._place.model_folder)
        one = take(hard.ordinary, [0])
        runner.predict(one, PREDICT, None)
        grown = max(resident_bytes() - before, size_bytes(self._place.into))
        compared = verify(runner, lambda table, method: self._original.predict(table, method, None), hard, methods)
        if not compared.agrees:
            raise NotCompilable(
                f"{compared.differing:,} of {compared.rows:,} hard rows are answered otherwise than by scikit-learn"
            )
        agreed = f"all {compared.rows:,} hard rows are answered as by scikit-learn"
        report = replace(
            stored.report,
            reason="; ".join([f"{stored.report.reason}: {agreed}", *self.reasons]),
            one_row_s=median_s(lambda: runner.predict(one, PREDICT, None)),
            resident_bytes=grown,
        )
        return _written(replace(stored, report=report), self._place)


def _parts_of(fitted: Any) -> EstimatorParts:
    """Read a fitted estimator; where its own numbers lead out of its arrays, no runner may follow them.

    Raises
    ------
    NotApproved
        They do.
    """
    try:
        return read_estimator(fitted)
    except IndexError as error:
        raise NotApproved(
            f"the model's {type_name(fitted)} leads out of its own arrays: {error}",
            code="content-unsound",
            hint="fitting leaves no such thing: find out who wrote the file, and log a newly fitted model",
        ) from error


def compiled(loaded: LoadedByMlflow, prepared: TakenApart, parts: EstimatorParts) -> StoredRunner:
    """Return a compiled runner, neither verified nor measured."""
    _require_predict_fn(loaded, (PREDICT, PREDICT_PROBA))
    preparation = prepared.preparation
    if not parts.opening["takes_infinite"] and not parts.opening["takes_nan"]:
        preparation = without_checks(preparation)
    opening, arrays = compiled_to_store(preparation, parts, predict_fn=loaded.predict_fn)
    return StoredRunner(
        report=_report("compiled", f"{type_name(prepared.estimator)} compiled", loaded.methods),
        opener="trees" if parts.trees else "formulas",
        opening=opening,
        arrays=arrays,
        trees=parts.trees,
    )


def prepared_only(loaded: LoadedByMlflow, prepared: TakenApart) -> StoredRunner:
    """Return a runner with the fitted estimator itself, neither verified nor measured."""
    _require_predict_fn(loaded, METHODS)
    if not makes_doubles(prepared.preparation):
        raise NotCompilable("its estimator is given whole numbers, and may reckon with them as such")
    document, arrays = preparation_to_store(prepared.preparation)
    estimator = io.dumps(prepared.estimator)
    # This process has loaded and run these types: opening the file anew trusts them, and nothing else.
    trusted = io.get_untrusted_types(data=estimator)
    return StoredRunner(
        report=_report(
            "prepared", f"{type_name(prepared.estimator)} itself behind a compiled preparation", loaded.methods
        ),
        opener="sklearn",
        opening={"preparation": document, "predict_fn": loaded.predict_fn, "trusted": trusted},
        arrays=arrays,
        estimator=estimator,
    )


def _require_predict_fn(loaded: LoadedByMlflow, known: tuple[str, ...]) -> None:
    if loaded.predict_fn not in known:
        raise NotCompilable(f"it was logged to predict with its '{loaded.predict_fn}'")


def _prepare_mlflow(loaded: LoadedByMlflow, place: _Place, *, kind: str, reason: str, grown: int) -> RunnerReport:
    report = _report(kind, reason, loaded.methods)
    runner = MlflowRunner(report, loaded.model, loaded.columns)
    seconds = _one_row_s(runner, loaded.columns, loaded.example)
    return _written(StoredRunner(report=_measured(report, seconds, grown), opener="mlflow"), place)


def _prepare_isolated(place: _Place) -> RunnerReport:
    report = _report("isolated", "it ships code, whose modules may have the names of others", (PREDICT,))
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


def _report(kind: str, reason: str, methods: tuple[str, ...]) -> RunnerReport:
    return RunnerReport(kind=kind, reason=reason, methods=methods, one_row_s=UNKNOWN_S, resident_bytes=0)


def _measured(report: RunnerReport, one_row_s: float, grown: int) -> RunnerReport:
    unknown = "; its speed is unknown, as it has no input example" if one_row_s == UNKNOWN_S else ""
    return replace(report, reason=f"{report.reason}{unknown}", one_row_s=one_row_s, resident_bytes=grown)


def _written(stored: StoredRunner, place: _Place) -> RunnerReport:
    report = stored.report
    if place.other_libraries:
        report = replace(report, reason=f"{report.reason}; its requirements: {place.other_libraries}")
    write_stored(replace(stored, report=report), place.into)
    return report
