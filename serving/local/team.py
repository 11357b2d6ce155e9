"""A team's tracking server: the plain `mlflow server` command that runs it, from its settings.

What holds a password goes into the environment that MLflow reads, where other users of the machine do not see it.
"""

import shlex
from pathlib import Path
from urllib.parse import urlsplit

from slipway.registry.addresses import without_brackets
from slipway.registry.artifacts.locations import GUARDED
from slipway.registry.masking import masked
from slipway.registry.setup.auth_config import VARIABLE
from slipway.registry.setup.server_settings import ServerSettings
from slipway.serving.local.up import Service

SECRET_KEY = "MLFLOW_FLASK_SERVER_SECRET_KEY"


def team_service(server: ServerSettings, *, auth_config: Path, secret_key: str) -> Service:
    """Return the guarded tracking server on PostgreSQL and an object store.

    `auth_config` is MLflow's file about its users, `secret_key` what all workers sign forms with; both are for a server
    that knows its users.
    """
    app = "slipway-auth" if server.users else "slipway"
    arguments = ["server", "--app-name", app, "--artifacts-destination", f"{GUARDED}{server.artifacts}"]
    arguments += ["--host", without_brackets(server.host), "--port", str(server.port), "--workers", str(server.workers)]
    environment = {"MLFLOW_BACKEND_STORE_URI": f"{GUARDED}{server.database_url}", **server.s3_variables}
    if server.addresses:
        arguments += ["--allowed-hosts", ",".join(_hosts(server)), "--cors-allowed-origins", ",".join(server.addresses)]
    if server.users:
        environment |= {VARIABLE: str(auth_config), SECRET_KEY: secret_key}
    urls = (f"{server.url}/health", f"{server.url}/slipway/status")
    return Service(
        name="tracking", arguments=tuple(arguments), ready_urls=urls, port=server.port, environment=environment
    )


def shown(service: Service) -> str:
    """Return the command line that starts a service, to be read by people: without passwords."""
    given = {name: "***" if name == SECRET_KEY else masked(value) for name, value in service.environment.items()}
    words = [*(f"{name}={value}" for name, value in given.items()), "mlflow", *service.arguments]
    return " ".join(word if "***" in word else shlex.quote(word) for word in words)


def _hosts(server: ServerSettings) -> list[str]:
    """Return the names that a request may ask for: those of the addresses, and this machine's own."""
    named = [urlsplit(address).netloc for address in server.addresses]
    own = dict.fromkeys((f"localhost:{server.port}", f"127.0.0.1:{server.port}", urlsplit(server.url).netloc))
    return [*named, *own]
