"""The door to what was deleted in MLflow: it stays on the disk until `mlflow gc`, which asks nobody who needs it.

`mlflow gc` (3.17) deletes runs, logged models and experiments that are marked as deleted for good, whatever versions
rest on them; given ids of one kind, it still takes all of the other kinds.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.leftover import size_below
from slipway.registry.versions.mlflow_registry import all_of

LOGGED_MODEL = "models:/m-"
EXPERIMENTS_AT_ONCE = 100
PAGE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class DeletedInMlflow:
    """Runs that are marked as deleted, and what their files on this disk take.

    `needed` maps each run that a version rests on to that version; `lost` are versions whose logged model is marked as
    deleted, or gone.
    """

    run_ids: tuple[str, ...]
    size_bytes: int
    needed: dict[str, str]
    lost: tuple[str, ...]


@translated()
def deleted_in_mlflow() -> DeletedInMlflow:
    """Return what was deleted, and which versions rest on it: a rollback may go back to any that is registered."""
    client = MlflowClient()
    runs = {str(run.info.run_id): run for run in _deleted_runs(client)}
    needed, lost = dict[str, str](), list[str]()
    for version in _versions(client) if runs else ():
        name = f"{version.name}/{version.version}"
        made_by = _run_of_logged_model(client, version)
        if made_by is None:
            lost.append(name)
        needed.update({run_id: name for run_id in (version.run_id, made_by) if run_id in runs})
    size_bytes = sum(size_below(folder) for run in runs.values() if (folder := _folder(run)) is not None)
    return DeletedInMlflow(run_ids=tuple(sorted(runs)), size_bytes=size_bytes, needed=needed, lost=tuple(lost))


def _deleted_runs(client: MlflowClient) -> Iterator[Run]:
    found = all_of(partial(client.search_experiments, view_type=ViewType.ALL, max_results=PAGE))
    ids = [str(each.experiment_id) for each in found]
    for start in range(0, len(ids), EXPERIMENTS_AT_ONCE):
        some = ids[start : start + EXPERIMENTS_AT_ONCE]
        yield from all_of(partial(client.search_runs, some, run_view_type=ViewType.DELETED_ONLY, max_results=PAGE))


def _versions(client: MlflowClient) -> Iterator[ModelVersion]:
    return all_of(partial(client.search_model_versions, max_results=PAGE))


def _run_of_logged_model(client: MlflowClient, version: ModelVersion) -> str | None:
    """Return the run that logged a version's model, empty where it is none; `None` where the model is deleted."""
    if not str(version.source).startswith(LOGGED_MODEL):
        return ""
    try:
        return str(client.get_logged_model(str(version.source).removeprefix("models:/")).source_run_id or "")
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _folder(run: Run) -> Path | None:
    """Return where a run's files are on this disk; `None` where they are elsewhere."""
    split = urlsplit(str(run.info.artifact_uri))
    return Path(unquote(split.path)) if split.scheme in ("", "file") else None
