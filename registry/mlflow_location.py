"""Where MLflow keeps the files that a URI names: its storage location, found without downloading anything."""

import re

from mlflow import MlflowClient

from registry.errors import NotFound

LOGGED_MODEL = re.compile(r"models:/(m-[^/@]+)")
NUMBERED = re.compile(r"models:/([^/@]+)/(\d+)")
ALIASED = re.compile(r"models:/([^/@]+)@([^/@]+)")
OF_RUN = re.compile(r"runs:/([^/]+)(?:/(.+?))?/?")
SCHEME = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*:")
REFERENCES_AT_MOST = 5


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
