"""What a team's server is made of, from its settings: the parts that it needs, in the order in which they are made."""

import importlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from slipway.registry.distribution import install_with
from slipway.registry.errors import InvalidInput
from slipway.registry.settings import RegistrySettings, history_place, load_settings
from slipway.registry.setup.auth_config import auth_config
from slipway.registry.setup.local_examined import Folder
from slipway.registry.setup.mlflow_prepared import MlflowTables
from slipway.registry.setup.s3_examined import ExaminedBucket
from slipway.registry.setup.server_settings import ServerSettings, TeamSettings
from slipway.registry.setup.sql_prepared import HistoryTables
from slipway.registry.setup.team import Part


def server_settings(environ: Mapping[str, str], folder: Path) -> tuple[RegistrySettings, ServerSettings]:
    """Return the settings, and among them those of the team's server.

    Raises
    ------
    InvalidInput
        There are none, or wrong ones.
    """
    settings = load_settings(TeamSettings, "registry", environ=environ, folder=folder)
    if settings.server is None:
        raise InvalidInput(
            "the settings name no server of a team",
            code="no-server-settings",
            hint="slipway.yaml: registry: {server: {database: postgresql://…, artifacts: s3://…}}",
        )
    return settings, settings.server


def artifacts_of(server: ServerSettings, environ: Mapping[str, str]) -> ExaminedBucket | Folder:
    """Return the place of the server's artifacts."""
    if server.artifacts.startswith("file:"):
        return Folder(Path(unquote(urlsplit(server.artifacts).path)))
    return ExaminedBucket(server.artifacts, {**environ, **server.s3_variables})


def history_of(settings: RegistrySettings, server: ServerSettings) -> HistoryTables:
    """Return the tables of the history, beside MLflow's unless the settings name another place."""
    url, beside_mlflow = history_place(settings, {"MLFLOW_REGISTRY_URI": server.database_url})
    return HistoryTables(url=url, beside_mlflow=beside_mlflow)


def parts_of(
    settings: RegistrySettings, server: ServerSettings, environ: Mapping[str, str], folder: Path
) -> tuple[Part, ...]:
    """Return the parts, in order.

    Raises
    ------
    InvalidInput
        The server is to know its users, and what that takes is not installed.
    """
    tables: Part = MlflowTables(server.database_url)
    parts: list[Part] = [artifacts_of(server, environ), tables, history_of(settings, server)]
    if server.users:
        config = auth_config(server, environ, folder)
        parts += [config, _administrator(server, config.database_url)]
    return tuple(parts)


def _administrator(server: ServerSettings, url: str) -> Part:
    """Return the first administrator; MLflow's users need a package that a server without them does not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what MLflow 3.17 uses of Starlette is deprecated
            kind = importlib.import_module("slipway.registry.setup.mlflow_users").Administrator
    except ImportError as error:
        raise InvalidInput(
            f"a server that knows its users needs more packages: {error}",
            code="no-auth-packages",
            hint=install_with("auth"),
        ) from error
    password = server.admin_password.get_secret_value() if server.admin_password else None
    made: Part = kind(url=url, user=server.admin_name, password=password)
    return made
