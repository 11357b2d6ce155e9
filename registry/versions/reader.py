"""Which door commands read the registry through: straight into MLflow's tables where they are known, else MLflow."""

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

from slipway.registry.model_registry import ModelRegistry, RegistryReader
from slipway.registry.reachable import has_plain_files
from slipway.registry.settings import registry_uri, tracking_uri
from slipway.registry.versions.sql_registry import SqlRegistry

WORKSPACES = ("MLFLOW_ENABLE_WORKSPACES", "MLFLOW_WORKSPACE")
IN_MEMORY = ("sqlite://", "sqlite:///:memory:")


def open_reader(environ: Mapping[str, str], folder: Path) -> RegistryReader:
    """Return the registry that MLflow is configured for, to be read; MLflow's tables are made where there are none."""
    return sql_reader(environ, folder, whole=_mlflow) or _mlflow()


def sql_reader(environ: Mapping[str, str], folder: Path, *, whole: Callable[[], ModelRegistry]) -> SqlRegistry | None:
    """Return the registry as it is read by SQL; `None` where only MLflow knows its way.

    So it is at a server, in workspaces, in MLflow's old store of plain files, and in tables of another version of
    MLflow's, which it may have to migrate first. `whole` is asked for all that is not read so.
    """
    uris = (registry_uri(environ), tracking_uri(environ))
    if any(not uri.startswith(("sqlite:", "postgresql")) or uri in IN_MEMORY for uri in uris):
        return None
    is_named = bool(environ.get("MLFLOW_TRACKING_URI"))
    if any(environ.get(name) for name in WORKSPACES) or (not is_named and has_plain_files(folder)):
        return None
    found = SqlRegistry(*uris, whole=whole)
    return found if found.is_known() else None


def _mlflow() -> ModelRegistry:
    """Import MLflow only here: that takes longer than all reading."""
    importlib.import_module("slipway.registry.versions.mlflow_store").prepare_tables()
    found: ModelRegistry = importlib.import_module("slipway.registry.versions.mlflow_registry").MlflowRegistry()
    return found
