"""Whether everything of a tracking server is guarded that has to be, asked once before it takes requests."""

import os

from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES, MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS
from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR, SERVE_ARTIFACTS_ENV_VAR
from mlflow.server.handlers import (
    _get_artifact_repo_mlflow_artifacts,
    _get_model_registry_store,
    _get_tracking_store,
)
from mlflow.server.workspace_helpers import _get_workspace_store

from slipway.registry.artifacts.locations import unguarded
from slipway.registry.artifacts.unclear_locations import require_plain
from slipway.registry.errors import InvalidInput
from slipway.registry.server.guard.mlflow_guarded_artifacts import ArtifactGuard
from slipway.registry.server.guard.mlflow_guarded_workspaces import GuardedWorkspaces
from slipway.registry.server.guard.protection import Protection
from slipway.registry.server.mlflow_server import HOW, server_protection


def require_guarded_server() -> None:
    """Refuse to offer decisions on a server whose stages anybody could move past them.

    Raises
    ------
    InvalidInput
        A part of the server is not guarded, or tracking and registry are in different databases.
    NotApproved
        Artifacts are kept at a place that is not the same to everybody.
    """
    registry, tracking = _get_model_registry_store(), _get_tracking_store()
    server_protection()
    if not isinstance(getattr(tracking, "protection", None), Protection):
        raise InvalidInput("the tracking store of this server is not guarded", code="not-guarded", hint=HOW)
    if getattr(tracking, "db_uri", None) != getattr(registry, "db_uri", None):
        raise InvalidInput(
            "tracking and registry of this server are in different databases, and the guard looks in one",
            code="two-databases",
            hint="give --backend-store-uri only",
        )
    enabled = MLFLOW_ENABLE_WORKSPACES.get()  # type: ignore[no-untyped-call]
    if enabled and not isinstance(_get_workspace_store(), GuardedWorkspaces):
        raise InvalidInput(
            "the workspaces of this server are not guarded",
            code="not-guarded",
            hint="give no --workspace-store-uri: workspaces are kept where --backend-store-uri says",
        )
    if MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS.get():  # type: ignore[no-untyped-call]
        raise InvalidInput(
            "this server would run the code of its users' scorers, with its own passwords",
            code="not-guarded",
            hint="leave MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS unset",
        )
    if os.environ.get(SERVE_ARTIFACTS_ENV_VAR):
        _require_guarded_artifacts(os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR, ""))


def _require_guarded_artifacts(kept_at: str) -> None:
    """Ask what MLflow made of the words: it takes `slipway+/data` for a folder of that name, below its own."""
    require_plain(unguarded(kept_at), "artifacts cannot be kept")
    repository = _get_artifact_repo_mlflow_artifacts()  # type: ignore[no-untyped-call]
    if not isinstance(repository, ArtifactGuard):
        raise InvalidInput(
            f"the artifacts that this server passes on are not guarded: they are kept at {kept_at or 'the default'}",
            code="not-guarded",
            hint=f"{HOW}, or slipway+file:///… for a folder; or --no-serve-artifacts",
        )
