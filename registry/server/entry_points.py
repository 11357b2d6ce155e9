"""What MLflow finds by entry point for URIs that begin with `slipway+`.

MLflow loads these while it is being imported itself (3.17): each imports what it opens when it is called.
"""

import importlib
from typing import Any


def registry_store(store_uri: str) -> Any:
    """Return the guarded model registry of a database."""
    return _call("slipway.registry.server.guard.mlflow_guarded_registry", "open_registry", store_uri)


def tracking_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Return the guarded tracking store of a database."""
    return _call("slipway.registry.server.guard.mlflow_guarded_tracking", "open_tracking", store_uri, artifact_uri)


def workspace_store(workspace_uri: str) -> Any:
    """Return the guarded workspaces of a database."""
    return _call("slipway.registry.server.guard.mlflow_guarded_workspaces", "open_workspaces", workspace_uri)


def artifact_repository(artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None) -> Any:
    """Return the guarded artifacts of a folder or bucket."""
    return _call(
        "slipway.registry.server.guard.mlflow_guarded_artifacts",
        "open_artifacts",
        artifact_uri,
        tracking_uri,
        registry_uri,
    )


def _call(module: str, function: str, *given: Any) -> Any:
    return getattr(importlib.import_module(module), function)(*given)
