"""The door to the tracking server that this process is: its guard and its database."""

from mlflow.server.handlers import _get_model_registry_store

from slipway.registry.errors import InvalidInput
from slipway.registry.server.guard.protection import Protection

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
