"""The door to a server's own registry, past the guard: what Slipway decides is written through MLflow's plain store.

Artifacts that clients reach through the server are reached directly here, where the server keeps them.
"""

import os
import posixpath
import tempfile
from collections.abc import Callable
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.workspace_context import get_request_workspace

from slipway.registry.artifacts.locations import DEFAULT_WORKSPACE, in_workspace, proxied_path, unguarded
from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.artifacts.mlflow_files import Cached
from slipway.registry.artifacts.mlflow_location import location_of
from slipway.registry.errors import NotFound, Unavailable
from slipway.registry.versions.mlflow_registry import LightClient, MlflowRegistry, require_no_model_around
from slipway.registry.versions.not_there import no_model_to_see


class ServerRegistry(MlflowRegistry):
    """The `ModelRegistry` inside a tracking server, on the database behind its registry."""

    def __init__(self, url: str, cached: Cached, *, require_outside_versions: Callable[[str, str], None]) -> None:
        super().__init__(cached, LightClient(url, url))
        self._require_outside_versions = require_outside_versions

    @translated()
    def stored_files(self, model_uri: str) -> Path:
        """Return a local folder with the model's stored files: the store itself where that is local."""
        return super().stored_files(_kept(location_of(model_uri, self._client)))

    def _unknown(self, name: str) -> NotFound:
        """Return the error for a name that no model has, naming no others: whoever asks may not see them all."""
        return no_model_to_see(name)

    @translated()
    def run_files(self, run_id: str, path: str) -> Path | None:
        """Return a local folder with the files below a path of a run's artifacts."""
        try:
            root = _kept(str(self._client.get_run(run_id).info.artifact_uri))
            return self._files.folder_of(posixpath.join(root, path))
        except NotFound:
            return None
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None

    @translated()
    def log_text(self, run_id: str, text: str, path: str) -> None:
        """Store a text among a run's artifacts; never among the files of a version that is protected, or of a model."""
        self._require_outside_versions(run_id, path)
        root = _kept(str(self._client.get_run(run_id).info.artifact_uri))
        repository = get_artifact_repository(root)
        require_no_model_around(path, repository.list_artifacts)
        folder, name = posixpath.split(path)
        with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
            (Path(scratch) / name).write_text(text)
            repository.log_artifact(str(Path(scratch) / name), folder or None)


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
