"""Who asks a tracking server: user and password or a token, found where MLflow's client (3.17) finds them."""

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

CREDENTIALS = Path("~/.mlflow/credentials")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with a password, else a token, else nobody in particular."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


def credentials_of(uri: str, environ: Mapping[str, str]) -> Credentials:
    """Return who asks the server at a URI: by the environment, the file of credentials, or the URI itself."""
    kept = configparser.ConfigParser()
    kept.read(CREDENTIALS.expanduser())
    split = urlsplit(uri)
    user = environ.get("MLFLOW_TRACKING_USERNAME") or kept.get("mlflow", "mlflow_tracking_username", fallback=None)
    password = environ.get("MLFLOW_TRACKING_PASSWORD") or kept.get("mlflow", "mlflow_tracking_password", fallback=None)
    if not (user and password) and split.username and split.password:
        user, password = unquote(split.username), unquote(split.password)
    if user and password:
        return Credentials(user, password)
    return Credentials(token=environ.get("MLFLOW_TRACKING_TOKEN") or None)
