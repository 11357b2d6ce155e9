"""Through which doors an engine reads the registry: straight into SQL where it can, else MLflow's client.

Importing MLflow takes a second that a restart need not wait for, so its door is imported only where it is used.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path

from slipway.registry.engines.heartbeats import Heartbeats
from slipway.registry.engines.http_heartbeats import HttpHeartbeats
from slipway.registry.engines.sql_heartbeats import SqlHeartbeats
from slipway.registry.errors import InvalidInput
from slipway.registry.http_client import SlipwayServer
from slipway.registry.ledger.http_history import HttpHistory
from slipway.registry.ledger.sql_history import existing_history
from slipway.registry.settings import decided_at_server, history_url, registry_uri
from slipway.registry.versions.aliases import Aliases
from slipway.registry.versions.occupants import StageViews
from slipway.registry.versions.sql_aliases import SqlAliases

ASK_SERVER_EVERY_S = 10.0
MLFLOW_DOOR = "slipway.registry.versions.mlflow_aliases"


def open_aliases(environ: Mapping[str, str]) -> Aliases:
    """Return how this engine reads the registry."""
    uri = registry_uri(environ)
    if uri.startswith(("sqlite:", "postgresql")):
        return SqlAliases(uri)
    door: Aliases = importlib.import_module(MLFLOW_DOOR).MlflowAliases()
    return door


def open_stage_views(environ: Mapping[str, str], folder: Path) -> StageViews:
    """Return how this engine reads registry and history."""
    aliases = open_aliases(environ)
    if decided_at_server(environ, folder):
        history = HttpHistory(SlipwayServer(registry_uri(environ), environ))
        return StageViews(aliases, history, every_s=ASK_SERVER_EVERY_S)
    every_s = 0.0 if isinstance(aliases, SqlAliases) else ASK_SERVER_EVERY_S
    try:
        return StageViews(aliases, existing_history(history_url(environ, folder)), every_s=every_s)
    except InvalidInput:  # a registry of another kind, and no place is named for the history
        return StageViews(aliases, None)


def open_heartbeats(environ: Mapping[str, str], folder: Path) -> Heartbeats | None:
    """Return where this engine leaves its word; `None` where the history is in no database that it can reach.

    The tables are made by whoever prepares the first version, as by every command. A server keeps its own.
    """
    if decided_at_server(environ, folder):
        return HttpHeartbeats(SlipwayServer(registry_uri(environ), environ))
    try:
        return SqlHeartbeats(history_url(environ, folder))
    except InvalidInput:
        return None
