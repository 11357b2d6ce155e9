"""The door to tables in SQL databases, by connections that the settings name."""

import pandas as pd
import sqlalchemy
from pandas.errors import DatabaseError
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from registry.errors import InvalidInput, Unavailable


def read_statement(connection: str, url: str, statement: str) -> pd.DataFrame:
    """Return the rows of a SELECT on a named connection.

    Raises
    ------
    InvalidInput
        The URL or the statement is wrong; the database's first line is repeated, the URL never.
    Unavailable
        The database does not answer.
    """
    try:
        engine = sqlalchemy.create_engine(url)
        with engine.connect() as opened:
            opened.execute(sqlalchemy.text("SELECT 1"))
            return _read(opened, connection, statement)
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


def _read(opened: sqlalchemy.Connection, connection: str, statement: str) -> pd.DataFrame:
    try:
        return pd.read_sql_query(sqlalchemy.text(statement), opened)
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
