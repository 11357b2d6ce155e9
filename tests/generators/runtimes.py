"""What tests of runners share: signatures of frames, and compiled runners made in memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from slipway.registry.signature import Field
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.compiled.compile import compiled_to_store
from slipway.serving.runtimes.compiled.matrix_runner import MatrixRunner
from slipway.serving.runtimes.compiled.open_formulas import open_formulas
from slipway.serving.runtimes.compiled.open_trees import open_trees
from slipway.serving.runtimes.compiled.read_estimator import read_estimator
from slipway.serving.runtimes.compiled.read_preprocessing import read_preparation
from slipway.serving.runtimes.runner import RunnerReport
from slipway.serving.runtimes.stored import StoredRunner

KINDS = {"f": "double", "b": "boolean", "i": "long", "O": "string"}


def columns_of(frame: pd.DataFrame) -> Columns:
    """Return the columns of a signature that MLflow would infer from a frame."""
    kinds = [KINDS["O" if isinstance(frame[name].dtype, pd.StringDtype) else frame[name].dtype.kind] for name in frame]
    return Columns.of([Field(name=name, type=kind) for name, kind in zip(frame, kinds, strict=True)])


def report(kind: str = "compiled", methods: Sequence[str] = ("predict", "predict_proba")) -> RunnerReport:
    """Return some report."""
    return RunnerReport(kind=kind, reason="", methods=tuple(methods), one_row_s=0.0, resident_bytes=0)


def compiled(model: Any, columns: Columns) -> MatrixRunner:
    """Return a fitted model as a compiled runner, without files and without verification."""
    taken_apart = read_preparation(model, columns.fields)
    parts = read_estimator(taken_apart.estimator)
    opening, arrays = compiled_to_store(taken_apart.preparation, parts, predict_fn="predict")
    stored = StoredRunner(
        report=report(),
        opener="trees" if parts.trees else "formulas",
        opening=opening,
        arrays=arrays,
        trees=parts.trees,
    )
    return (open_trees if parts.trees else open_formulas)(stored, None)


def mixed(rows: int = 120, seed: int = 0) -> pd.DataFrame:
    """Return numbers rounded to their resolution, whole numbers, flags and text, some of it missing."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "width": rng.normal(5.8, 0.8, rows).round(1),
            "city": rng.choice(["Oslo", "Rome", "Lima", "Bonn"], rows, p=[0.5, 0.3, 0.15, 0.05]),
            "active": rng.random(rows) > 0.4,
            "visits": rng.integers(0, 40, rows),
            "income": rng.normal(3e4, 1e4, rows).round(2),
        }
    )
    frame.loc[rng.random(rows) < 0.1, "income"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "city"] = None
    return frame


def labels(frame: pd.DataFrame, classes: int = 2) -> np.ndarray:
    """Return labels that can be learned from a frame that `mixed` made, as text."""
    score = frame["width"].rank(pct=True) + 0.3 * frame["active"] + 0.3 * (frame["city"] == "Rome")
    return np.array(["no", "yes", "maybe"])[pd.qcut(score, classes, labels=False)]
