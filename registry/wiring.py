"""How the commands get their ledger and their gate: settings, policy, MLflow's registry, the history in SQL."""

import getpass
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.artifact_cache import ArtifactCache
from registry.decide import Ledger
from registry.mlflow_files import Cached
from registry.mlflow_registry import MlflowRegistry
from registry.policy import load_policy
from registry.settings import RegistrySettings, history_place, load_settings
from registry.sql_history import SqlHistory


def open_ledger(environ: Mapping[str, str], folder: Path) -> Ledger:
    """Return the ledger that the settings name; MLflow's tables are made first where they are missing."""
    settings = load_settings(RegistrySettings, "registry", environ=environ, folder=folder)
    registry = MlflowRegistry(Cached(cache=open_cache(settings, folder), look_in_s3=_look_in_s3))
    url, beside_mlflow = history_place(settings, environ)
    return Ledger(
        registry=registry,
        history=SqlHistory(url, beside_mlflow=beside_mlflow),
        policies=lambda: load_policy(folder / settings.policy),
        mirror_stages=settings.mirror_stages,
    )


def open_cache(settings: RegistrySettings, folder: Path) -> ArtifactCache:
    """Return the cache of stored files that the settings name."""
    return ArtifactCache(folder / settings.cache, max_bytes=int(settings.cache_max_gb * 10**9))


def _look_in_s3(uri: str) -> Any:
    """Look into S3, importing boto3 only then: it costs 0.1 to 0.4 s, which stores on this disk need not pay."""
    return importlib.import_module("registry.s3_artifacts").look(uri)


def actor() -> str:
    """Return who acts: the user that MLflow's server knows, else whoever is logged in here."""
    return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
