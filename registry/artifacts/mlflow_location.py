"""Where MLflow keeps the files that a URI names: its storage location, found without downloading anything."""

import re

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from slipway.registry.artifacts.kept_copies import is_copy
from slipway.registry.artifacts.locations import names_no_place
from slipway.registry.errors import Conflict, NotFound
from slipway.registry.version import Version

LOGGED_MODEL = re.compile(r"models:/(m-[^/@]+)")
NUMBERED = re.compile(r"models:/([^/]+)/(\d+)")  # MLflow (3.17) lets a model's name hold an `@`
ALIASED = re.compile(r"models:/([^/]+)@([^/@]+)")
OF_RUN = re.compile(r"runs:/([^/]+)(?:/(.+?))?/?")
SCHEME = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*:")
REFERENCES_AT_MOST = 5
# MLflow (3.17) answers 400 for an alias or a deleted version that is not there, 403 for what the caller may not read.
NOT_THERE = (400, 403, 404)


def is_local(location: str) -> bool:
    """Return whether a storage location is a folder on this machine: a path, or a `file:` URI."""
    return SCHEME.match(location) is None


def location_of(uri: str, client: MlflowClient) -> str:
    """Return the storage location behind `models:/m-…`, `models:/name/3`, `models:/name@alias` or `runs:/…/path`.

    What is no such reference is returned as it is, and so is what MLflow alone can read (`models:/name/Production`).

    Raises
    ------
    NotFound
        References lead in a circle.
    """
    for _ in range(REFERENCES_AT_MOST):
        behind = _behind(uri, client)
        if behind == uri:
            return uri
        uri = behind
    raise NotFound(f"{uri} leads to no storage location", code="artifacts-gone", hint=None)


def require_fixed_location(version: Version, client: MlflowClient) -> None:
    """Refuse a version that MLflow finds by a name which may come to mean something else.

    MLflow resolves `models:/m-…` and `models:/name/3` when a version is created, and keeps the location; it keeps
    `runs:/…` as it is and resolves that with each download, when another model of that name may have been logged.
    A server's own copy is what it is.

    Raises
    ------
    Conflict
        MLflow keeps a reference, or the version's source has come to lead elsewhere than MLflow reads.
    """
    kept = str(client.get_model_version_download_uri(version.model, str(version.number)))
    if is_copy(kept):
        return
    hint = f'register its files by themselves: mlflow.register_model("models:/m-…", "{version.model}")'
    if names_no_place(kept) or location_of(kept, client) != kept:
        raise Conflict(
            f"MLflow finds the files of {version} by {kept}, which may lead to others tomorrow",
            code="not-a-location",
            hint=hint,
        )
    leads_to = _leads_to(version.source, client)
    if leads_to is not None and leads_to != kept:
        raise Conflict(
            f"{version} was made from {version.source}, which leads to {leads_to} now, and MLflow serves {kept}",
            code="source-moved",
            hint=hint,
        )


def _leads_to(source: str, client: MlflowClient) -> str | None:
    """Return where a source leads now; `None` where what it named is gone, so that it misleads nobody."""
    try:
        return location_of(source, client)
    except MlflowException as error:
        if error.get_http_status_code() not in NOT_THERE:  # type: ignore[no-untyped-call]
            raise
        return None


def _behind(uri: str, client: MlflowClient) -> str:
    if found := LOGGED_MODEL.fullmatch(uri):
        return str(client.get_logged_model(found[1]).artifact_location)
    if found := NUMBERED.fullmatch(uri):
        return str(client.get_model_version_download_uri(found[1], found[2]))
    if found := ALIASED.fullmatch(uri):
        version = client.get_model_version_by_alias(found[1], found[2])
        return str(client.get_model_version_download_uri(found[1], version.version))
    if found := OF_RUN.fullmatch(uri):
        return _of_run(found[1], found[2] or "", client)
    return uri


def _of_run(run_id: str, path: str, client: MlflowClient) -> str:
    """Return the location of a run's files; a model that the run logged is found by its name, as MLflow does."""
    run = client.get_run(run_id)
    name, _, below = path.partition("/")
    logged = name and _logged_model(run_id, run.info.experiment_id, name, client)
    place = str(logged or run.info.artifact_uri).rstrip("/")
    path = below if logged else path
    return f"{place}/{path}" if path else place


def _logged_model(run_id: str, experiment_id: str, name: str, client: MlflowClient) -> str | None:
    token: str | None = None
    while True:
        quoted = name.replace("'", "")
        page = client.search_logged_models(
            experiment_ids=[experiment_id], filter_string=f"name = '{quoted}'", page_token=token
        )
        for model in page:
            if model.source_run_id == run_id and model.name == name:
                return str(model.artifact_location)
        token = page.token
        if not token:
            return None
