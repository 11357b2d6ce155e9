"""MLflow's file about its users (3.17), which says where they are kept: ours names the team's database.

MLflow reads the database's URL from that file alone, with its password: the file is for its owner's eyes.
"""

import configparser
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.registry.errors import InvalidInput
from slipway.registry.setup.server_settings import ServerSettings

VARIABLE = "MLFLOW_AUTH_CONFIG_PATH"
PLACE = Path(".slipway/mlflow_auth.ini")
FOR_ITS_OWNER = 0o600


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthConfig:
    """Where the file is, and the database that it names; `text` is what belongs in one of ours."""

    path: Path
    database_url: str
    text: str | None = None

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"MLflow's file about its users, {self.path}"

    def is_there(self) -> bool:
        """Return whether the file says what it has to; the team's own says what it says."""
        return self.text is None or (self.path.is_file() and self.path.read_text() == self.text)

    def make(self) -> None:
        """Write it, whole or not at all, for its owner alone."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = self.path.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(FOR_ITS_OWNER)
        new.write_text(self.text or "")
        new.replace(self.path)


def auth_config(server: ServerSettings, environ: Mapping[str, str], folder: Path) -> AuthConfig:
    """Return the file that `MLFLOW_AUTH_CONFIG_PATH` names, else ours.

    Raises
    ------
    InvalidInput
        The file that is named cannot be read, or names no database.
    """
    own = environ.get(VARIABLE)
    if not own:
        return AuthConfig(path=folder / PLACE, database_url=server.database_url, text=_text(server))
    read = configparser.ConfigParser()
    try:
        read.read_string(Path(own).read_text())
        return AuthConfig(path=Path(own), database_url=read["mlflow"]["database_uri"])
    except (OSError, KeyError, configparser.Error) as error:
        raise InvalidInput(
            f"{VARIABLE} names {own}, which says of no database: {error}",
            code="wrong-auth-config",
            hint=f"write `database_uri` in its section [mlflow], or unset {VARIABLE}",
        ) from error


def _text(server: ServerSettings) -> str:
    written = configparser.ConfigParser(interpolation=None)
    written["mlflow"] = {
        "default_permission": "READ",
        "database_uri": server.database_url.replace("%", "%%"),
        "admin_username": server.admin_name.replace("%", "%%"),
        "authorization_function": "mlflow.server.auth:authenticate_request_basic_auth",
    }
    text = io.StringIO("")
    written.write(text)
    return text.getvalue()
