"""A team's server is MLflow's plain command, and no password is in it."""

from pathlib import Path
from typing import Any

from slipway.registry.setup.server_settings import ServerSettings
from slipway.serving.local.team import shown, team_service
from slipway.serving.local.up import Service

URL = "postgresql://ann:hunter2@db/mlflow"


def service(**settings: Any) -> Service:
    """Return the service of settings."""
    server = ServerSettings(database=URL, artifacts="s3://models/team", **settings)
    return team_service(server, auth_config=Path("/etc/auth.ini"), secret_key="signs-forms")


def test_it_is_the_documented_command():
    """Guarded store, guarded artifacts, our application; the database is told by the environment."""
    found = service(workers=8)
    assert " ".join(found.arguments) == (
        "server --app-name slipway --artifacts-destination slipway+s3://models/team "
        "--host 127.0.0.1 --port 5000 --workers 8"
    )
    assert found.environment == {"MLFLOW_BACKEND_STORE_URI": f"slipway+{URL}"}


def test_it_is_ready_when_mlflow_and_slipway_answer():
    """Asked on its own machine, wherever it listens."""
    assert service(host="0.0.0.0").ready_urls == (
        "http://127.0.0.1:5000/health",
        "http://127.0.0.1:5000/slipway/status",
    )


def test_an_address_of_ipv6_is_asked_in_brackets_and_let_in():
    """MLflow's own argument has none."""
    for host in ("::1", "[::1]", "::"):
        found = service(host=host, addresses=("https://mlflow.example.org",))
        assert found.ready_urls[0] == "http://[::1]:5000/health"
        assert found.arguments[found.arguments.index("--host") + 1] == host.strip("[]")
        assert found.arguments[found.arguments.index("--allowed-hosts") + 1].endswith(",[::1]:5000")


def test_the_address_at_which_it_is_asked_is_let_in():
    """Wherever it listens: `slipway up --team` would wait for it for ever else."""
    words = service(host="10.0.0.5", addresses=("https://mlflow.example.org",)).arguments
    assert words[words.index("--allowed-hosts") + 1].endswith(",10.0.0.5:5000")


def test_a_server_that_knows_its_users_is_another_application():
    """With MLflow's file about them, and one key for all workers."""
    found = service(users=True)
    assert found.arguments[:3] == ("server", "--app-name", "slipway-auth")
    assert found.environment["MLFLOW_AUTH_CONFIG_PATH"] == "/etc/auth.ini"
    assert found.environment["MLFLOW_FLASK_SERVER_SECRET_KEY"] == "signs-forms"


def test_addresses_are_let_in_and_nobody_else():
    """Their host names, this machine's own, and pages of theirs."""
    words = service(addresses=("https://mlflow.example.org",)).arguments
    assert words[words.index("--allowed-hosts") + 1] == "mlflow.example.org,localhost:5000,127.0.0.1:5000"
    assert words[words.index("--cors-allowed-origins") + 1] == "https://mlflow.example.org"


def test_an_endpoint_of_ones_own_is_told_as_mlflow_reads_it():
    """MLflow's and our own uploads go to the same store."""
    assert service(s3_endpoint="http://ceph:8000").environment["MLFLOW_S3_ENDPOINT_URL"] == "http://ceph:8000"


def test_what_is_shown_can_be_typed_and_holds_no_secret():
    """Variables first, then MLflow's command."""
    found = service(users=True)
    assert shown(found) == (
        "MLFLOW_BACKEND_STORE_URI=slipway+postgresql://ann:***@db/mlflow MLFLOW_AUTH_CONFIG_PATH=/etc/auth.ini "
        "MLFLOW_FLASK_SERVER_SECRET_KEY=*** mlflow server --app-name slipway-auth "
        "--artifacts-destination slipway+s3://models/team --host 127.0.0.1 --port 5000 --workers 4"
    )
    assert "hunter2" not in f"{found}{shown(found)}"
