"""The kinds of runner that are our own: made of a scikit-learn model that MLflow loaded, and verified against it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from skops import io

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
from slipway.serving.runtimes.mlflow_loaded import LoadedByMlflow
from slipway.serving.runtimes.mlflow_runner import PREDICT_PROBA, MlflowRunner
from slipway.serving.runtimes.open import open_runner
from slipway.serving.runtimes.runner import PREDICT, Runner, unmeasured
from slipway.serving.runtimes.stored import StoredRunner, preparation_to_store, write_stored
from slipway.serving.runtimes.verification.hard_rows import HardRows, Known, hard_rows, take
from slipway.serving.runtimes.verification.measure import median_s, resident_bytes, size_bytes
from slipway.serving.runtimes.verification.verify import Verified, verify

PROFILE = Path("extra_files") / "profile.json"
COMPILED, PREPARED = "compiled", "prepared"
MOST_ROWS = 20_000
SEED = 20_260_101

Found = TypeVar("Found")


class Acceleration:
    """What may answer for a model faster than MLflow's own code; why what may not is kept in `reasons`."""

    def __init__(self, loaded: LoadedByMlflow, columns: Columns, model_folder: Path) -> None:
        self._loaded, self._columns, self._folder = loaded, columns, model_folder
        self._original = MlflowRunner(unmeasured("native", "", loaded.methods), loaded.model, columns)
        self.reasons: list[str] = []

    def best(self, into: Path, *, rows: pd.DataFrame | None, compiled_only: bool = False) -> StoredRunner | None:
        """Return the fastest that holds, with what it costs; `None` where none does.

        With `compiled_only` none that has objects of the model's own.

        It is written into a folder, to be opened from there as an engine will.

        Raises
        ------
        NotApproved
            The model's own numbers lead out of its arrays.
        """
        hard = None if self._read is None else self._tried("verified", lambda: self._hard_rows(rows))
        if hard is None:
            return None
        for made in self.made():
            if compiled_only and made.report.kind != COMPILED:
                continue
            if found := self._tried(made.report.kind, partial(self._verified, made, into, hard)):
                return found
        return None

    def made(self) -> Iterator[StoredRunner]:
        """Yield what can be made, neither verified nor measured, the fastest first; raises as `best` does."""
        if self._read is None:
            return
        taken_apart, parts = self._read
        if parts is not None and (found := self._tried(COMPILED, lambda: compiled(self._loaded, taken_apart, parts))):
            yield found
        if found := self._tried(PREPARED, lambda: prepared_only(self._loaded, taken_apart)):
            yield found

    def holds(self, runner: Runner, *, rows: pd.DataFrame | None) -> bool:
        """Return whether a runner that was made answers as the model does: an engine chooses no other."""
        compared = self._tried(runner.report.kind, lambda: self._compared(runner, self._hard_rows(rows)))
        return compared is not None and compared.agrees

    @cached_property
    def _read(self) -> tuple[TakenApart, EstimatorParts | None] | None:
        found = self._tried(COMPILED, self._taken_apart)
        return None if found is None else (found, self._tried(COMPILED, lambda: _parts_of(found.estimator)))

    def _taken_apart(self) -> TakenApart:
        if self._answers_no_rows():
            raise NotCompilable("it answers requests without rows, which faster runners refuse")
        return read_preparation(self._loaded.fitted, self._columns.fields)

    def _answers_no_rows(self) -> bool:
        empty = self._columns.table(pd.DataFrame({label: [] for label in self._columns.labels}))
        try:
            self._original.predict(empty, PREDICT, None)
        except Exception:  # whatever scikit-learn says: hardly any estimator takes none
            return False
        return True

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

    def _hard_rows(self, rows: pd.DataFrame | None) -> HardRows:
        assert self._read is not None  # nothing is verified that was not made of it
        taken_apart, parts = self._read
        example = self._loaded.example.given if self._loaded.example else None
        frames = [frame for frame in (rows, example) if isinstance(frame, pd.DataFrame) and len(frame)]
        profile = self._folder / PROFILE
        return hard_rows(
            self._columns.fields,
            taken_apart.preparation,
            parts.thresholds if parts else {},
            Known(
                rows=[self._columns.table(frame) for frame in frames],
                profile=Profile.from_json(profile.read_text()) if profile.is_file() else None,
            ),
            most=MOST_ROWS,
            rng=np.random.default_rng(SEED),
        )

    def _compared(self, runner: Runner, hard: HardRows) -> Verified:
        original = self._original
        return verify(runner, lambda table, method: original.predict(table, method, None), hard, runner.report.methods)

    def _verified(self, made: StoredRunner, into: Path, hard: HardRows) -> StoredRunner:
        """Open what was made, compare it with the original, and return it with what it costs."""
        write_stored(made, into)
        before = resident_bytes()
        runner = open_runner(into, self._folder)
        one = take(hard.ordinary, [0])
        runner.predict(one, PREDICT, None)
        grown = max(resident_bytes() - before, size_bytes(into))
        compared = self._compared(runner, hard)
        if not compared.agrees:
            raise NotCompilable(
                f"{compared.differing:,} of {compared.rows:,} hard rows are answered otherwise than by scikit-learn"
            )
        agreed = f"all {compared.rows:,} hard rows are answered as by scikit-learn"
        report = replace(
            made.report,
            reason="; ".join([f"{made.report.reason}: {agreed}", *self.reasons]),
            one_row_s=median_s(lambda: runner.predict(one, PREDICT, None)),
            resident_bytes=grown,
        )
        return replace(made, report=report)


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
        report=unmeasured(COMPILED, f"{type_name(prepared.estimator)} compiled", loaded.methods),
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
    what = f"{type_name(prepared.estimator)} itself behind a compiled preparation"
    return StoredRunner(
        report=unmeasured(PREPARED, what, loaded.methods),
        opener="sklearn",
        opening={"preparation": document, "predict_fn": loaded.predict_fn, "trusted": trusted},
        arrays=arrays,
        estimator=estimator,
    )


def _require_predict_fn(loaded: LoadedByMlflow, known: tuple[str, ...]) -> None:
    if loaded.predict_fn not in known:
        raise NotCompilable(f"it was logged to predict with its '{loaded.predict_fn}'")
