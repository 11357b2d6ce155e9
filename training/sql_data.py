"""The door to tables in SQL databases, by connections that the settings name.

Nothing is changed there: one SELECT is read in a transaction that the database itself keeps read-only where it knows
how, and that is rolled back everywhere.
"""

from typing import Any
from urllib.parse import quote

import pandas as pd
import sqlalchemy
from pandas.errors import DatabaseError
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.training.statement import changing_word, only_statement, refuse_change

READ_ONLY_BY = {"sqlite": "PRAGMA query_only = ON", "mysql": "SET TRANSACTION READ ONLY"}
READ_ONLY_BY["mariadb"] = READ_ONLY_BY["mysql"]


def read_statement(connection: str, url: str, statement: str) -> pd.DataFrame:
    """Return the rows of one SELECT on a named connection, and leave the database as it is.

    Raises
    ------
    InvalidInput
        The URL or the statement is wrong; the database's first line is repeated, the URL never.
    Unavailable
        The database does not answer.
    """
    statement = only_statement(statement)
    try:
        engine = _engine(url)
        _refuse_unguarded(engine.dialect.name, statement)
        with engine.connect() as opened:
            _keep_read_only(opened)
            opened.execute(sqlalchemy.text("SELECT 1"))
            found = _read(opened, connection, statement)
            opened.rollback()
        engine.dispose()
        return found
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidInput(
            f"connection '{connection}' is no database URL that can be used here ({type(error).__name__})",
            code="wrong-connection",
            hint="write it as postgresql://user@host/database or sqlite:////path/to/file.db",
        ) from error
    except OperationalError as error:
        raise Unavailable(
            f"connection '{connection}' does not answer: {_first_line(error)}",
            code="database-unavailable",
            hint="check that the database runs and that the connection's URL is right",
        ) from error


def _engine(url: str) -> sqlalchemy.Engine:
    """Return an engine whose connections can hold one read-only statement each."""
    parsed = sqlalchemy.make_url(url)
    options: dict[str, Any] = {"poolclass": sqlalchemy.NullPool}
    if parsed.get_backend_name() == "sqlite":
        return sqlalchemy.create_engine(_read_only_file(parsed), **options)
    if parsed.get_backend_name() == "postgresql":
        options["execution_options"] = {"postgresql_readonly": True}
        if parsed.get_dialect().driver == "psycopg":
            # A prepared statement is one statement; unprepared, a second one could end our transaction.
            options["connect_args"] = {"prepare_threshold": 0}
    return sqlalchemy.create_engine(parsed, **options)


def _read_only_file(url: sqlalchemy.URL) -> sqlalchemy.URL:
    """Return the URL of the same file, opened for reading: a missing one stays missing instead of being made."""
    if not url.database or url.database.startswith((":memory:", "file:")):
        return url
    return url.set(database=f"file:{quote(url.database)}", query={**url.query, "mode": "ro", "uri": "true"})


def _refuse_unguarded(dialect: str, statement: str) -> None:
    guarded = dialect == "postgresql" or dialect in READ_ONLY_BY
    if not guarded and (word := changing_word(statement)):
        raise refuse_change(word)


def _keep_read_only(opened: sqlalchemy.Connection) -> None:
    if setting := READ_ONLY_BY.get(opened.dialect.name):
        opened.exec_driver_sql(setting)


def _read(opened: sqlalchemy.Connection, connection: str, statement: str) -> pd.DataFrame:
    literally = sqlalchemy.text(statement.replace(":", "\\:"))  # ':name' would be a parameter, also in quotes
    try:
        return pd.read_sql_query(literally, opened)
    except (SQLAlchemyError, DatabaseError) as error:
        raise InvalidInput(
            f"connection '{connection}' refuses the statement: {_first_line(error)}",
            code="wrong-statement",
            hint=None,
        ) from error


def _first_line(error: Exception) -> str:
    """Return the driver's own words: pandas and SQLAlchemy add the statement and a link to them."""
    wrapped = error.__cause__ if isinstance(error, DatabaseError) else error
    return str(getattr(wrapped, "orig", None) or error).strip().splitlines()[0]
