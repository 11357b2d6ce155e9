"""How the ledger's tables are made and brought up to date, by Alembic.

Apart from `slipway.registry.ledger.sql_history`, since importing Alembic takes longer than reading a history.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from slipway.registry.errors import InvalidInput
from slipway.registry.ledger.sql_history import SqlHistory
from slipway.registry.ledger.sql_tables import REVISION

MIGRATIONS = Path(__file__).parent / "sql_migrations"
BEGIN_MIGRATION = {  # Python's sqlite3 begins no transaction by itself for a CREATE (3.11)
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": "SELECT pg_advisory_xact_lock(hashtext('slipway migrations'))",
}


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
        with history.connected() as connection:
            _migrate(connection, beside_mlflow=beside_mlflow)
    return history


def _migrate(connection: sa.Connection, *, beside_mlflow: bool) -> None:
    """Bring the tables up to date in one transaction, which holds off whoever else would do the same."""
    connection.exec_driver_sql(BEGIN_MIGRATION[connection.dialect.name])
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
