"""The step log: a TrainedModel becomes a run that can be compared, and a LoggedModel that can be registered.

Every run holds the same names, whatever the estimator: parameters; metrics `train_…`, `cv_…`, `holdout_…` and
`baseline_…` (a constant's, on the held-out rows); plots; `holdout/` (who was held out, and the rows
themselves where allowed); `reference/profile.json`; and the model, which carries a copy of the profile,
since a model travels without its run.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from slipway.registry.metrics import OF_A_TRAINING
from slipway.registry.profile import Profile, profile_columns
from slipway.registry.version import LoggedModel
from slipway.training.baseline import constant_on_holdout, notes_beside_constant
from slipway.training.dataset import Dataset
from slipway.training.git_source import CodeVersion
from slipway.training.importance import Importance
from slipway.training.plots import importance_plot, plots
from slipway.training.predictions import Predictions
from slipway.training.spec import Task
from slipway.training.train import TrainedModel, describe_params

EXAMPLE_ROWS = 5
SIGNATURE_ROWS = 1000
PLOT_DPI = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelToStore:
    """A fitted pipeline with all that is stored beside it."""

    pipeline: Pipeline
    features: pd.DataFrame
    labels: Any
    example: pd.DataFrame
    serialization: str
    files: tuple[Path, ...]


class RunLog(Protocol):
    """An open run. Each call is visible at once; a name logged twice keeps its first value."""

    @property
    def run_id(self) -> str:
        """Return the run's id."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters; one that the run has already is left as it is."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags, over earlier ones."""

    def log_dataset(self, dataset: Dataset) -> None:
        """Record what was trained on."""

    def log_model(self, model: ModelToStore) -> str:
        """Store the model and return its id.

        Raises InvalidInput when the serialization would have to trust types that nobody reviewed.
        """

    def log_metrics(self, metrics: Mapping[str, float], *, model_id: str) -> None:
        """Record metrics of the run and of the model."""

    def log_folder(self, folder: Path) -> None:
        """Store a folder's files under the same relative paths."""

    def seconds(self) -> float:
        """Return the run's age."""


def log(
    trained: TrainedModel,
    importance: Importance,
    *,
    run: RunLog,
    code: CodeVersion | None,
    holdout_rows_max_bytes: int,
) -> LoggedModel:
    """Write everything that a trained model leaves behind into an open run."""
    tags, metrics = tags_of(trained, code), metrics_of(trained)
    headline, constant = (_headline(trained, metrics, side) for side in ("holdout", "baseline"))
    run.log_params(describe_params(trained))
    run.set_tags({**tags, **_note(trained, importance, notes_beside_constant(headline, constant))})
    run.log_dataset(trained.prepared.dataset)
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        write_importance(importance, trained.prepared.task, Path(folder))
        profile = write_artifacts(trained, Path(folder), holdout_rows_max_bytes=holdout_rows_max_bytes)
        model_id = run.log_model(_model_to_store(trained, profile))
        run.log_folder(Path(folder))
    run.log_metrics({**metrics, "wall_seconds": run.seconds()}, model_id=model_id)
    return LoggedModel(
        run_id=run.run_id,
        model_uri=f"models:/{model_id}",
        model_id=model_id,
        task=str(trained.prepared.task),
        tags=tags,
        headline=headline,
        constant=constant,
    )


def _headline(trained: TrainedModel, metrics: Mapping[str, float], side: str) -> dict[str, float]:
    """Return the metrics that a table shows, as a side has them."""
    sides = {name: name.replace("holdout", side, 1) for name in OF_A_TRAINING[str(trained.prepared.task)]}
    return {name: metrics[of_side] for name, of_side in sides.items() if of_side in metrics}


def tags_of(trained: TrainedModel, code: CodeVersion | None) -> dict[str, str]:
    """Return what the run and the version are tagged with."""
    dataset = trained.prepared.dataset
    tags = {
        "slipway.task": str(trained.prepared.task),
        "slipway.estimator": trained.spec.estimator,
        "slipway.serialization": trained.spec.serialization,
        "slipway.data_source": dataset.source,
        "slipway.data_digest": dataset.digest,
        "slipway.holdout_scheme": trained.prepared.split.scheme.digest,
        "slipway.holdout_rows": trained.prepared.split.holdout_digest,
    }
    if dataset.missing_words:
        tags["slipway.missing_words"] = json.dumps(dataset.missing_words)
    if read_as := dataset.reading.model_dump(mode="json", exclude={"missing_words"}, exclude_defaults=True):
        tags["slipway.read_as"] = json.dumps(read_as, ensure_ascii=False)
    if time_format := trained.prepared.split.scheme.time_format:
        tags["slipway.time_format"] = time_format
    if dataset.source_digest:
        tags["slipway.data_dvc_md5"] = dataset.source_digest
    if code:
        tags |= {"slipway.git_commit": code.commit, "slipway.git_dirty": str(code.dirty).lower()}
    return tags


def _note(trained: TrainedModel, importance: Importance, beside: Sequence[str]) -> dict[str, str]:
    """Show the warnings where MLflow's UI shows a run's description."""
    notes = [*trained.prepared.notes, *trained.notes, *beside, *importance.notes()]
    return {"mlflow.note.content": "\n".join(f"- warning: {note}" for note in notes)} if notes else {}


def metrics_of(trained: TrainedModel) -> dict[str, float]:
    """Return every finite metric under its side's prefix."""
    sides = {
        "train": trained.on_train.scores(),
        "cv": trained.cross_validation,
        "holdout": trained.on_holdout.scores(),
        "baseline": constant_on_holdout(trained).scores(),
    }
    found = {f"{side}_{name}": value for side, values in sides.items() for name, value in values.items()}
    return {name: value for name, value in found.items() if np.isfinite(value)} | {"fit_seconds": trained.fit_seconds}


def write_artifacts(trained: TrainedModel, folder: Path, *, holdout_rows_max_bytes: int) -> Path:
    """Write plots of predictions, holdout and reference below a folder; return the path of the profile."""
    write_plots(trained.on_holdout, folder)
    _write_holdout(trained, folder / "holdout", max_bytes=holdout_rows_max_bytes)
    profile = folder / "reference" / "profile.json"
    profile.parent.mkdir()
    profile.write_text(profile_of(trained).to_json())
    return profile


def write_plots(holdout: Predictions, folder: Path) -> None:
    """Write the plots of some predictions as PNG files.

    They belong at the root of a run's artifacts: MLflow's compare page (3.17) shows no folder's files.
    """
    for name, figure in plots(holdout):
        figure.savefig(folder / f"{name}.png", dpi=PLOT_DPI)


def write_importance(importance: Importance, task: Task, folder: Path) -> None:
    """Write the permutation importance as a plot and as a table, in which features that were left out have no value."""
    metric = "accuracy" if task is Task.CLASSIFICATION else "r2"
    importance_plot(importance.losses, metric=metric).savefig(folder / "permutation_importance.png", dpi=PLOT_DPI)
    table = importance.losses.sort_values(ascending=False)
    table = pd.concat([table, pd.Series(np.nan, index=list(importance.left_out), name=table.name, dtype=float)])
    table.rename_axis("feature").to_csv(folder / "permutation_importance.csv")


def _write_holdout(trained: TrainedModel, folder: Path, *, max_bytes: int) -> None:
    """Write who was on which side, and the held-out rows where neither the spec nor their size forbids it."""
    folder.mkdir()
    prepared, sides = trained.prepared, trained.prepared.split
    rows = prepared.dataset.frame.iloc[sides.holdout]
    size_bytes = int(rows.memory_usage(index=False).sum())
    stored = trained.spec.holdout_rows and size_bytes <= max_bytes
    if stored:
        rows.to_parquet(folder / "rows.parquet", index=False)
    np.savez(folder / "row_ids.npz", train=sides.train_ids, holdout=sides.holdout_ids)
    document = {
        "scheme": sides.scheme.to_document(),
        "scheme_digest": sides.scheme.digest,
        "rows_train": len(sides.train),
        "rows_holdout": len(sides.holdout),
        "rows_stored": stored,
        "target": prepared.dataset.target,
        "id_columns": list(sides.id_columns),
        "features": [column.name for column in prepared.columns],
        "data": trained.spec.data,
        "data_digest": prepared.dataset.digest,
        "missing_words": list(prepared.dataset.missing_words),
        "reading": prepared.dataset.reading.model_dump(mode="json", exclude={"missing_words"}, exclude_defaults=True),
    }
    (folder / "holdout.json").write_text(json.dumps(document, indent=2))


def profile_of(trained: TrainedModel) -> Profile:
    """Profile the features of the training rows, and the predictions of the held-out rows.

    Predictions of rows that the model was fitted on are surer than any it will make in production.
    """
    features, _ = trained.prepared.train_rows()
    said = pd.DataFrame({"prediction": trained.on_holdout.labels})
    if trained.on_holdout.are_probabilities and trained.on_holdout.class_scores is not None:
        for i, name in enumerate(trained.on_holdout.classes):
            said[f"probability of {name}"] = trained.on_holdout.class_scores[:, i]
    return Profile(features=profile_columns(features), predictions=profile_columns(said), n_rows=len(features))


def _model_to_store(trained: TrainedModel, profile: Path) -> ModelToStore:
    features, _ = trained.prepared.train_rows()
    sample = features.iloc[_signature_positions(features)]
    held_out, _ = trained.prepared.holdout_rows()
    example = held_out.head(EXAMPLE_ROWS) if trained.spec.holdout_rows else _typical_row(features)
    return ModelToStore(
        pipeline=trained.pipeline,
        features=sample,
        labels=trained.on_train.labels[:SIGNATURE_ROWS],
        example=example.reset_index(drop=True),
        serialization=trained.spec.serialization,
        files=(profile,),
    )


def _signature_positions(features: pd.DataFrame) -> list[int]:
    """Return rows enough to infer the signature: the first ones, and of each column its first missing value."""
    missing = [int(column.isna().to_numpy().argmax()) for _, column in features.items() if column.isna().any()]
    return sorted({*range(min(SIGNATURE_ROWS, len(features))), *missing})


def _typical_row(features: pd.DataFrame) -> pd.DataFrame:
    """Return one row that is nobody's: medians, and each other column's commonest value, or missing."""
    typical = {
        name: column.median() if pd.api.types.is_float_dtype(column) else next(iter(column.mode()), np.nan)
        for name, column in features.items()
    }
    return pd.DataFrame([typical]).astype(features.dtypes.to_dict())
