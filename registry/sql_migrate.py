"""How the ledger's tables are made and brought up to date, by Alembic.

Apart from `registry.sql_history`, since importing Alembic takes longer than reading a history.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from registry.errors import InvalidInput
from registry.sql_history import SqlHistory
from registry.sql_tables import REVISION

MIGRATIONS = Path(__file__).parent / "sql_migrations"


def open_history(url: str, *, beside_mlflow: bool) -> SqlHistory:
    """Return the ledger, creating or migrating its tables where they are not up to date.

    Raises
    ------
    InvalidInput
        The URL names neither SQLite nor PostgreSQL, or MLflow's tables are not there yet and should be: made after
        ours, MLflow's own migrations would fail.
    Unavailable
        The database does not answer.
    """
    history = SqlHistory(url)
    if history.revision() != REVISION:
        # The workers of a server, and twenty first commands, start at once.
        with history.lock("migrations"), history.connected() as connection:
            _migrate(connection, beside_mlflow=beside_mlflow)
    return history


def _migrate(connection: sa.Connection, *, beside_mlflow: bool) -> None:
    if beside_mlflow and not sa.inspect(connection).has_table("alembic_version"):
        raise InvalidInput(
            "the database has no MLflow tables yet, and MLflow cannot make them after the history's",
            code="no-mlflow-tables",
            hint="slipway init",
        )
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.commit()
