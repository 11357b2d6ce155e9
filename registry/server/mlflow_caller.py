"""The door to who is calling MLflow's server: the user that it authenticated, not what the call says of itself."""

from flask import current_app, g, has_request_context

ADMINISTERS = "slipway-administers"  # the extension of the server's application that tells who is an administrator


def caller() -> str | None:
    """Return the user behind the request that is being answered; `None` on a server without users, or outside one.

    MLflow's authentication (3.17) notes the user there before any handler runs.
    """
    return getattr(g, "mlflow_authenticated_user", None) if has_request_context() else None


def by_administrator() -> bool:
    """Return whether the caller is an administrator of this server, or nobody is told from others."""
    user = caller()
    return user is None or bool(current_app.extensions.get(ADMINISTERS, _nobody)(user))


def _nobody(user: str) -> bool:
    """Return that who is known to MLflow's own application, over a guarded store, has no rights here."""
    return False
