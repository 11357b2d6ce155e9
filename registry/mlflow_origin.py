"""The door to who stored some files, as MLflow's tracking knows it: by where they lie, not by what they say."""

import re
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from registry.model_registry import Origin

# Where MLflow (3.17) keeps the files of a logged model and of a run, below an experiment's folder.
OF_LOGGED_MODEL = re.compile(r"/models/(m-[0-9a-f]{32})/artifacts(?:/|$)")
OF_RUN = re.compile(r"/([0-9a-f]{32})/artifacts(?:/|$)")
# Set by a guarded server, and by nobody else there.
LOGGED_BY = "slipway.logged_by"


def origin_of_location(location: str, client: MlflowClient) -> Origin | None:
    """Return the logged model's source run, or the run, that keeps its files at a location or above it."""
    try:
        if found := OF_LOGGED_MODEL.search(location):
            return _of_logged_model(found[1], location, client)
        if found := OF_RUN.search(location):
            return _of_run(found[1], location, client)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    return None


def _of_logged_model(model_id: str, location: str, client: MlflowClient) -> Origin | None:
    logged = client.get_logged_model(model_id)
    if not _is_at(location, str(logged.artifact_location)):
        return None
    by = logged.tags.get(LOGGED_BY)
    return Origin(
        run_id=logged.source_run_id or None,
        experiment_id=str(logged.experiment_id),
        logged_at=datetime.fromtimestamp(logged.creation_timestamp / 1000, UTC),
        people=(by,) if by else (),
    )


def _of_run(run_id: str, location: str, client: MlflowClient) -> Origin | None:
    info = client.get_run(run_id).info
    if not _is_at(location, str(info.artifact_uri)):
        return None
    return Origin(run_id=run_id, experiment_id=str(info.experiment_id))


def _is_at(location: str, root: str) -> bool:
    """Return whether a location is a root or lies below it; one that leads out of it again is not."""
    path, above = location.removeprefix("file://"), root.removeprefix("file://").rstrip("/")
    return ".." not in path.split("/") and (path.rstrip("/") == above or path.startswith(f"{above}/"))
