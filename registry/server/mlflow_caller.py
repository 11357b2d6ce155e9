"""The door to who is calling MLflow's server: the user that it authenticated, not what the call says of itself."""

from flask import g, has_request_context


def caller() -> str | None:
    """Return the user behind the request that is being answered; `None` on a server without users, or outside one.

    MLflow's authentication (3.17) notes the user there before any handler runs.
    """
    return getattr(g, "mlflow_authenticated_user", None) if has_request_context() else None


def by_administrator() -> bool:
    """Return whether the caller is an administrator, or nobody is told from others.

    MLflow's authentication is imported where somebody was authenticated: it reads its configuration by that.
    """
    user = caller()
    if user is None:
        return True
    from mlflow.server import auth

    return bool(auth.store.get_user(user).is_admin)
