"""Which doors an engine looks at the registry through: straight into SQL where it can, else MLflow's client.

Importing MLflow takes a second that a restart need not wait for, so its door is imported only where it is used.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path

from registry.aliases import Aliases
from registry.errors import InvalidInput
from registry.heartbeats import Heartbeats
from registry.settings import RegistrySettings, history_place, load_settings
from registry.sql_aliases import SqlAliases
from registry.sql_heartbeats import SqlHeartbeats

MLFLOW_DOOR = "registry.mlflow_aliases"


def registry_uri(environ: Mapping[str, str]) -> str:
    """Return the registry's URI, by MLflow's own rules."""
    return environ.get("MLFLOW_REGISTRY_URI") or environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"


def open_aliases(environ: Mapping[str, str]) -> Aliases:
    """Return how this engine looks at the registry."""
    uri = registry_uri(environ)
    if uri.startswith(("sqlite:", "postgresql")):
        return SqlAliases(uri)
    door: Aliases = importlib.import_module(MLFLOW_DOOR).MlflowAliases()
    return door


def open_heartbeats(environ: Mapping[str, str], folder: Path) -> Heartbeats | None:
    """Return where this engine leaves its word; `None` where the history is in no database that it can reach.

    The tables are made by whoever prepares the first version, as by every command.
    """
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    try:
        url, _ = history_place(settings, environ)
    except InvalidInput:
        return None
    return SqlHeartbeats(url)
