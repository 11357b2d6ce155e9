"""How the commands get their ledger and their gate: settings, policy, MLflow's registry, the history in SQL."""

import getpass
import importlib
import os
from collections.abc import Mapping
from pathlib import Path

from registry.artifact_cache import FILES, ArtifactCache
from registry.decide import Ledger
from registry.heartbeats import Heartbeats
from registry.mlflow_files import Cached, StoredFolder
from registry.mlflow_registry import MlflowRegistry
from registry.policy import load_policy
from registry.settings import RegistrySettings, history_place, load_settings, policy_place
from registry.sql_heartbeats import SqlHeartbeats
from registry.sql_migrate import open_history


def open_ledger(environ: Mapping[str, str], folder: Path) -> Ledger:
    """Return the ledger that the settings name; MLflow's tables are made first where they are missing."""
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    registry = MlflowRegistry(Cached(cache=open_cache(settings, folder), look_in_s3=_look_in_s3))
    url, beside_mlflow = history_place(settings, environ)
    return Ledger(
        registry=registry,
        history=open_history(url, beside_mlflow=beside_mlflow),
        policies=lambda: load_policy(policy_place(settings, folder)),
        mirror_stages=settings.mirror_stages,
    )


def open_heartbeats(environ: Mapping[str, str], folder: Path) -> Heartbeats:
    """Return where serving engines leave their word: beside the ledger, whose tables are there already."""
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    return SqlHeartbeats(history_place(settings, environ)[0])


def open_cache(settings: RegistrySettings, folder: Path) -> ArtifactCache:
    """Return the cache of stored files that the settings name."""
    return ArtifactCache(folder / settings.cache / FILES, max_bytes=settings.cache_max_mb * 2**20)


def _look_in_s3(uri: str) -> StoredFolder:
    """Look into S3, importing boto3 only then: it costs 0.1 to 0.4 s, which stores on this disk need not pay."""
    found: StoredFolder = importlib.import_module("registry.s3_artifacts").look(uri)
    return found


def actor() -> str:
    """Return who acts: the user that MLflow's server knows, else whoever is logged in here."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
