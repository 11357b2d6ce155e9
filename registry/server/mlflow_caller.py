"""The door to who is calling MLflow's server: the user that it authenticated, not what the call says of itself."""

from flask import g, has_request_context


def caller() -> str | None:
    """Return the user behind the request that is being answered; `None` on a server without users, or outside one.

    MLflow's authentication (3.17) notes the user there before any handler runs.
    """
    return getattr(g, "mlflow_authenticated_user", None) if has_request_context() else None
