"""The door to a server's own registry, past the guard: what Slipway decides is written through MLflow's plain store.

Artifacts that clients reach through the server are reached directly here, where the server keeps them.
"""

import posixpath
import tempfile
from collections.abc import Callable
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.artifacts.mlflow_files import Cached
from slipway.registry.artifacts.mlflow_location import location_of
from slipway.registry.errors import NotFound
from slipway.registry.server.mlflow_kept_copies import passed_on
from slipway.registry.version import Version
from slipway.registry.versions.mlflow_registry import LightClient, MlflowRegistry, require_no_model_around
from slipway.registry.versions.not_there import no_model_to_see


class ServerRegistry(MlflowRegistry):
    """The `ModelRegistry` inside a tracking server, on the database behind its registry."""

    def __init__(
        self,
        url: str,
        cached: Cached,
        *,
        require_outside_versions: Callable[[str, str], None],
        served_location: Callable[[Version, str], str],
    ) -> None:
        super().__init__(cached, LightClient(url, url))
        self._require_outside_versions = require_outside_versions
        self._served_location = served_location

    @translated()
    def location(self, version: Version) -> str:
        """Return where MLflow reads a version's files from now: the server's own copy, where it has one."""
        return self._served_location(version, self.logged_location(version))

    @translated()
    def logged_location(self, version: Version) -> str:
        """Return where a version's files were logged."""
        return super().location(version)

    @translated()
    def stored_files(self, model_uri: str) -> Path:
        """Return a local folder with the model's stored files: the store itself where that is local."""
        return super().stored_files(passed_on(location_of(model_uri, self._client)))

    def _unknown(self, name: str) -> NotFound:
        """Return the error for a name that no model has, naming no others: whoever asks may not see them all."""
        return no_model_to_see(name)

    @translated()
    def run_files(self, run_id: str, path: str) -> Path | None:
        """Return a local folder with the files below a path of a run's artifacts."""
        try:
            root = passed_on(str(self._client.get_run(run_id).info.artifact_uri))
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
        root = passed_on(str(self._client.get_run(run_id).info.artifact_uri))
        repository = get_artifact_repository(root)
        require_no_model_around(path, repository.list_artifacts)
        folder, name = posixpath.split(path)
        with tempfile.TemporaryDirectory(prefix="slipway-") as scratch:
            (Path(scratch) / name).write_text(text)
            repository.log_artifact(str(Path(scratch) / name), folder or None)
