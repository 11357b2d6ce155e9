"""Who asks, as MLflow's users are looked for in each database."""

from base64 import b64encode
from pathlib import Path

import pytest
from fastapi import Request
from mlflow.server import auth

from slipway.registry.errors import NotApproved
from slipway.registry.server.mlflow_auth_app import UserAccess


@pytest.fixture(params=["sqlite", "postgresql"])
def users(request: pytest.FixtureRequest, tmp_path: Path) -> UserAccess:
    """Return a server's users: ann."""
    on_disk = request.param == "sqlite"
    auth.store.init_db(
        f"sqlite:///{tmp_path}/auth.db" if on_disk else request.getfixturevalue("postgres").create_database()
    )
    auth.store.create_user("ann", "correct horse battery")
    return UserAccess()


def asked_by(name: str) -> Request:
    """Return a request of somebody's."""
    said = b64encode(f"{name}:correct horse battery".encode())
    headers = [(b"authorization", b"Basic " + said), (b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": "/slipway/status", "headers": headers, "query_string": b""}
    return Request(scope)


def test_a_user_is_known_by_name_and_password(users: UserAccess):
    """As MLflow knows them."""
    assert users.user(asked_by("ann")) == "ann"


@pytest.mark.parametrize("name", ["bob", "an\0n", "\0", "x" * 5_000])
def test_a_name_that_no_user_has_or_can_have_is_not_known(users: UserAccess, name: str):
    """A database that cannot even be asked for it is no failure of the server's."""
    with pytest.raises(NotApproved) as caught:
        users.user(asked_by(name))
    assert caught.value.code == "not-authenticated"
