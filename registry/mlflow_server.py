"""The door to the tracking server that this process is: its guard, and whether everything is guarded that has to be."""

import os

from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR, SERVE_ARTIFACTS_ENV_VAR
from mlflow.server.handlers import _get_model_registry_store, _get_tracking_store

from registry.errors import InvalidInput
from registry.places import GUARDED
from registry.protection import Protection

HOW = (
    "mlflow server --app-name slipway --backend-store-uri slipway+postgresql://… --artifacts-destination slipway+s3://…"
)


def server_protection() -> Protection:
    """Return what guards this server's registry.

    Raises
    ------
    InvalidInput
        Nothing does: the server was started on MLflow's own store.
    """
    protection = getattr(_get_model_registry_store(), "protection", None)
    if not isinstance(protection, Protection):
        raise InvalidInput("the model registry of this server is not guarded", code="not-guarded", hint=HOW)
    return protection


def database_of_server() -> str:
    """Return the URL of the database behind this server's registry."""
    return str(getattr(_get_model_registry_store(), "db_uri", ""))


def require_guarded_server() -> None:
    """Refuse to offer decisions on a server whose stages anybody could move past them.

    Raises
    ------
    InvalidInput
        A part of the server is not guarded, or tracking and registry are in different databases.
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
    kept_at = os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR, "")
    if os.environ.get(SERVE_ARTIFACTS_ENV_VAR) and not kept_at.lower().startswith(GUARDED):
        raise InvalidInput(
            f"the artifacts that this server passes on are not guarded: they are kept at {kept_at or 'the default'}",
            code="not-guarded",
            hint=f"{HOW}; or --no-serve-artifacts",
        )
