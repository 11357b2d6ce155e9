"""The door through which MLflow makes its users' tables and the first of them; it needs `slipway-ml[auth]`."""

from dataclasses import dataclass

from mlflow.server import auth

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import InvalidInput
from slipway.registry.versions.sql_examined import USERS, ExaminedDatabase, revisions_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Administrator:
    """The tables of MLflow's users, and the first who may make others."""

    url: str
    user: str
    password: str | None

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"the administrator '{self.user}'"

    def is_there(self) -> bool:
        """Return whether the tables are up to date and have an administrator, whoever that is."""
        database = ExaminedDatabase(self.url)
        return database.revision(USERS) == revisions_of(USERS).needed and bool(database.administrators())

    @translated()
    def make(self) -> None:
        """Have MLflow make or migrate the tables, and make the user where nobody is administrator.

        Raises
        ------
        InvalidInput
            There is no password for them, or none that MLflow takes.
        """
        auth.store.init_db(self.url)
        if ExaminedDatabase(self.url).administrators():
            return
        if self.password is None:
            raise InvalidInput(
                f"{self.name} is to be made, and there is no password for that user",
                code="no-admin-password",
                hint="set SLIPWAY_REGISTRY__SERVER__ADMIN_PASSWORD; it is not needed afterwards",
            )
        auth.create_admin_user(self.user, self.password)
