"""The settings of a team's tracking server: `registry: {server: …}` in `slipway.yaml`, `SLIPWAY_REGISTRY__SERVER__…`.

One place for the command that runs the server, the one that prepares what it needs, and the one that examines it.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from slipway.registry.addresses import HERE, http_address
from slipway.registry.settings import RegistrySettings


class ServerSettings(BaseModel):
    """Where a team's server keeps what it is given, where it listens, and whether it knows its users.

    `database` is `postgresql://…`, `artifacts` is `s3://bucket/prefix` or a folder. `addresses` are those at which
    people reach the server (`https://mlflow.example.org`), where they are others than its host and port. The first
    administrator's password is needed to make the account, and not afterwards.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database: SecretStr
    artifacts: str
    s3_endpoint: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(5000, ge=1, le=65535)
    workers: int = Field(4, ge=1, le=256)
    addresses: tuple[str, ...] = ()
    users: bool = False
    admin_name: str = "admin"
    admin_password: SecretStr | None = None

    @field_validator("database")
    @classmethod
    def _is_postgresql(cls, database: SecretStr) -> SecretStr:
        if not database.get_secret_value().startswith(("postgresql://", "postgresql+psycopg://")):
            raise ValueError("expected postgresql://user:password@host/database")
        return database

    @field_validator("artifacts")
    @classmethod
    def _is_bucket_or_folder(cls, artifacts: str) -> str:
        split = urlsplit(artifacts)
        if split.scheme == "s3" and split.netloc:
            return artifacts.rstrip("/")
        if split.scheme in ("", "file") and split.path:
            return Path(unquote(split.path) if split.scheme else artifacts).absolute().as_uri()
        raise ValueError("expected s3://bucket/prefix, or a folder")

    @field_validator("s3_endpoint", "addresses")
    @classmethod
    def _are_http(cls, named: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for url in (named,) if isinstance(named, str) else named or ():
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
                raise ValueError("expected http://host:port or https://host")
        return named

    @property
    def database_url(self) -> str:
        """Return the database's URL with its password."""
        return self.database.get_secret_value()

    @property
    def s3_variables(self) -> dict[str, str]:
        """Return the variable by which MLflow and boto3 find the object store, where that is not Amazon's."""
        return {"MLFLOW_S3_ENDPOINT_URL": self.s3_endpoint} if self.s3_endpoint else {}

    @property
    def url(self) -> str:
        """Return where the server answers on its own machine."""
        return http_address(HERE.get(self.host, self.host), self.port)


class TeamSettings(RegistrySettings):
    """The settings of the registry, with those of a team's server read too."""

    server: ServerSettings | None = None
