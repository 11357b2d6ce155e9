"""The door to a server's own registry, past the guard: what Slipway decides is written through MLflow's plain store.

Artifacts that clients reach through the server are reached directly here, where the server keeps them.
"""

import os
import posixpath
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import mlflow.artifacts
from mlflow.exceptions import MlflowException
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.workspace_context import get_request_workspace

from registry.errors import NotFound, Unavailable
from registry.mlflow_errors import translated
from registry.mlflow_registry import LightClient, MlflowRegistry
from registry.places import DEFAULT_WORKSPACE, in_workspace, proxied_path, unguarded


class ServerRegistry(MlflowRegistry):
    """The `ModelRegistry` inside a tracking server. What is fetched from elsewhere lies in a folder of the caller's."""

    def __init__(self, url: str, scratch: Path) -> None:
        super().__init__(LightClient(url, url))
        self._scratch = scratch

    @translated()
    def stored_files(self, model_uri: str) -> Path:
        """Return a local folder with the model's stored files: the store itself where that is local."""
        folder = self._fetched(self._location(model_uri))
        if folder is None or not (folder / "MLmodel").is_file():
            raise NotFound(f"nothing is stored at {model_uri} any more", code="artifacts-gone", hint=None)
        return folder

    @translated()
    def run_files(self, run_id: str, path: str) -> Path | None:
        """Return a local folder with the files below a path of a run's artifacts."""
        root = str(self._client.get_run(run_id).info.artifact_uri)
        return self._fetched(posixpath.join(root, path))

    @translated()
    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Store a text among a run's artifacts."""
        root = _kept(str(self._client.get_run(run_id).info.artifact_uri))
        folder, name = posixpath.split(path)
        with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
            (Path(scratch) / name).write_text(text)
            get_artifact_repository(root).log_artifact(str(Path(scratch) / name), folder or None)

    def _location(self, model_uri: str) -> str:
        """Return where a model's files lie, whatever names them."""
        split = urlsplit(model_uri)
        if split.scheme == "runs":
            run_id, _, path = split.path.lstrip("/").partition("/")
            return posixpath.join(str(self._client.get_run(run_id).info.artifact_uri), path)
        if split.scheme != "models":
            return model_uri
        name, _, number = split.path.lstrip("/").partition("/")
        if number:
            return str(self._client.get_model_version_download_uri(name, number))
        return str(self._client.get_logged_model(name).artifact_location)

    def _fetched(self, location: str) -> Path | None:
        """Return a local folder with what lies at a location; `None` where nothing does."""
        try:
            there = _kept(location)
            if urlsplit(there).scheme in ("", "file"):
                found = Path(mlflow.artifacts.download_artifacts(artifact_uri=there))
                return found if found.is_dir() else None
            if not get_artifact_repository(there).list_artifacts():
                return None
            into = tempfile.mkdtemp(dir=self._scratch)
            return Path(mlflow.artifacts.download_artifacts(artifact_uri=there, dst_path=into))
        except FileNotFoundError:
            return None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None


@contextmanager
def server_registry(url: str) -> Iterator[ServerRegistry]:
    """Yield the registry in a database; what was fetched for it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="slipway-server-") as scratch:
        yield ServerRegistry(url, Path(scratch))


def _kept(location: str) -> str:
    """Return where the server itself finds what lies at a location."""
    path = proxied_path(location)
    if path is None:
        return location
    destination = os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR)
    if not destination:
        raise Unavailable(
            f"{location} is kept by a server that passes artifacts on, and this one does not",
            code="artifacts-elsewhere",
            hint="start it with --serve-artifacts",
        )
    return posixpath.join(unguarded(destination), in_workspace(path, get_request_workspace() or DEFAULT_WORKSPACE))
