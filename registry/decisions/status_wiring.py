"""How `slipway status` gets its ledger: without MLflow, which takes longer to import than all of its answer.

MLflow's tables and ours are read by SQL. Where that is not enough (a registry of another kind, tables that are to be
made or migrated first) the decisions are opened as for every other command.
"""

import importlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from slipway.registry.decisions.status import Status, everybody, status_of_models
from slipway.registry.engines.sql_heartbeats import SqlHeartbeats
from slipway.registry.errors import Conflict, NotFound
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.sql_history import open_to_read
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.settings import RegistrySettings, history_place, load_settings, policy_place
from slipway.registry.versions.reader import sql_reader


def read_status() -> Status:
    """Return every stage in use here, and what could not be told; what was not applied is applied first."""
    folder = Path.cwd()
    settings = load_settings(RegistrySettings, "registry", environ=os.environ, folder=folder)
    reader = sql_reader(os.environ, folder, whole=lambda: _whole(folder).registry)
    if reader is None:
        return _with_mlflow()
    url, _ = history_place(settings, os.environ)
    try:
        history = open_to_read(url)
    except (Conflict, NotFound):  # its tables are made or migrated by whoever decides
        return _with_mlflow()
    ledger = Ledger(
        registry=cast(ModelRegistry, reader),
        history=history,
        policies=lambda: load_policy(policy_place(settings, folder)),
        mirror_stages=settings.mirror_stages,
    )
    return status_of_models(ledger, seen=everybody, beats=SqlHeartbeats(url).all, now=datetime.now(UTC))


def _whole(folder: Path) -> Ledger:
    ledger: Ledger = _wiring().open_ledger(os.environ, folder)
    return ledger


def _with_mlflow() -> Status:
    found: Status = _wiring().open_decisions().status()
    return found


def _wiring() -> Any:
    return importlib.import_module("slipway.registry.decisions.wiring")
