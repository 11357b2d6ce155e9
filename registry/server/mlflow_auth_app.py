"""The door through which `mlflow server --app-name slipway-auth` finds MLflow's application with its users.

MLflow's own application with authentication is taken as it is, and asked who somebody is and what they may do.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from fastapi import FastAPI, Request
from flask import request as flask_request
from mlflow.exceptions import MlflowException
from mlflow.server import app as flask_app
from mlflow.server import auth

from slipway.registry.artifacts.file_locks import held_alone
from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import NOT_AUTHENTICATED, NotApproved
from slipway.registry.server.mlflow_app import OpenAccess, keeper, with_slipway
from slipway.registry.text import can_be_asked_for

USER = "slipway.user"
MADE_WITHIN_S = 300.0


class UserAccess(OpenAccess):
    """A server with MLflow's users and their permissions."""

    def user(self, request: Request) -> str | None:
        """Return the user that MLflow finds behind a request, by whatever way of asking it is configured for.

        It is asked once a request: to check a password takes longer than most answers.
        """
        if USER not in request.scope:
            request.scope[USER] = self._authenticated(request)
        return str(request.scope[USER])

    def _authenticated(self, request: Request) -> str:
        headers = dict(request.headers)
        with (
            flask_app.test_request_context(path=request.url.path, method=request.method, headers=headers),
            translated(),
        ):
            said = flask_request.authorization
            found = auth.authenticate_request() if said is None or can_be_asked_for(said.username) else None
        username = getattr(found, "username", None)
        if not username:
            raise NotApproved(
                "this server wants to know who you are",
                code=NOT_AUTHENTICATED,
                hint="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
            )
        return str(username)

    def may(self, user: str | None, model: str, *, edit: bool) -> bool:
        """Return what MLflow's own check says; an administrator may everything."""
        if user is None:
            return False
        try:
            if self.administers(user):
                return True
            found = auth._resolve_user_permission_for_resource(user, "registered_model", model)
        except MlflowException:
            return False
        return bool(found.can_update if edit else found.can_read)

    def administers(self, user: str) -> bool:
        """Return whether MLflow has somebody as an administrator."""
        try:
            return bool(auth.store.get_user(user).is_admin)
        except MlflowException:
            return False


def create_app() -> FastAPI:
    """Return MLflow's application with its users, and Slipway's API at `/slipway/`.

    For the name `basic-auth` the command `mlflow server` makes the first administrator before it starts workers
    (3.17); for others the workers do, and here one after the other.
    """
    with _one_at_a_time():
        app = auth.create_app()
    if not isinstance(app, FastAPI):
        raise SystemExit("Slipway's API needs uvicorn, which mlflow server uses without --gunicorn-opts")
    return with_slipway(app, flask_app, lambda: keeper(UserAccess()))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold the workers of one server apart while they make its tables of users."""
    name = sha256(auth.auth_config.database_uri.encode()).hexdigest()[:16]
    with held_alone(Path(tempfile.gettempdir()) / f"slipway-auth-{name}.lock", wait_s=MADE_WITHIN_S):
        yield
