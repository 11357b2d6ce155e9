"""How the commands get their ledger and its decisions: settings, policy, MLflow's registry, the history.

The history is in SQL, or at a tracking server: then that decides, under its policy, and here it is only read.
"""

import importlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from slipway.registry.actor import actor
from slipway.registry.artifacts.artifact_cache import FILES, ArtifactCache
from slipway.registry.artifacts.mlflow_files import Cached, ReadableFolder
from slipway.registry.decisions import http_decisions
from slipway.registry.decisions.decisions import Decisions
from slipway.registry.decisions.ledger_decisions import LedgerDecisions
from slipway.registry.decisions.who import Who, say_why
from slipway.registry.engines.sql_heartbeats import SqlHeartbeats
from slipway.registry.http_client import SlipwayServer
from slipway.registry.ledger.http_history import HttpHistory
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.policy.http_policy import policies_of
from slipway.registry.policy.policy_file import load_policy
from slipway.registry.policy.roles import anybody
from slipway.registry.settings import (
    RegistrySettings,
    history_place,
    history_url,
    load_settings,
    names_server,
    policy_place,
    registry_uri,
)
from slipway.registry.versions.mlflow_registry import MlflowRegistry
from slipway.registry.versions.mlflow_store import prepare_tables


def open_ledger(environ: Mapping[str, str], folder: Path) -> Ledger:
    """Return the ledger that the settings name; commands have MLflow's tables made before, engines never make any."""
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    registry = MlflowRegistry(cached_files(settings, folder))
    if names_server(settings, environ):
        server = SlipwayServer(registry_uri(environ), environ)
        return Ledger(
            registry=registry,
            history=HttpHistory(server),
            policies=lambda: policies_of(server),
            mirror_stages=settings.mirror_stages,
        )
    url, beside_mlflow = history_place(settings, environ)
    return Ledger(
        registry=registry,
        history=open_history(url, beside_mlflow=beside_mlflow),
        policies=lambda: load_policy(policy_place(settings, folder)),
        mirror_stages=settings.mirror_stages,
    )


def open_decisions() -> Decisions:
    """Return the decisions on the ledger of the working folder, or of its server."""
    return open_all().decisions


class Opened(NamedTuple):
    """The ledger to read what is judged, and the decisions on it or on that of its server."""

    ledger: Ledger
    decisions: Decisions


def open_all() -> Opened:
    """Open the ledger of the working folder once, with the decisions; MLflow's tables are made where there are none."""
    prepare_tables()
    folder = Path.cwd()
    ledger = open_ledger(os.environ, folder)
    if isinstance(ledger.history, HttpHistory):
        return Opened(ledger, http_decisions.open_decisions())
    url = history_url(os.environ, folder)
    decisions = LedgerDecisions(ledger=ledger, who=who, may=anybody, beats=lambda: SqlHeartbeats(url).all())
    return Opened(ledger, decisions)


def who(reason: str) -> Who:
    """Return who decides now; nobody has authenticated whoever is logged in here."""
    return say_why(actor(), authenticated=False, at=datetime.now(UTC), reason=reason)


def cached_files(settings: RegistrySettings, folder: Path) -> Cached:
    """Return the cache of stored files that the settings name, and how to look into S3."""
    return Cached(cache=open_cache(settings, folder), look_in_s3=_look_in_s3)


def open_cache(settings: RegistrySettings, folder: Path) -> ArtifactCache:
    """Return the cache of stored files that the settings name."""
    return ArtifactCache(folder / settings.cache / FILES, max_bytes=settings.cache_max_mb * 2**20)


def _look_in_s3(uri: str) -> ReadableFolder:
    """Look into S3, importing boto3 only then: it costs 0.1 to 0.4 s, which stores on this disk need not pay."""
    found: ReadableFolder = importlib.import_module("slipway.registry.artifacts.s3_artifacts").look(uri)
    return found
