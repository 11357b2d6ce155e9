"""The table of a server's own copies, beside the ledger: a copy that is not noted there was not made by the server."""

import contextlib

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from slipway.registry.ledger.sql_history import translated
from slipway.registry.ledger.sql_tables import COPIES
from slipway.registry.sql_connection import existing_engine


class SqlCopies:
    """The notes of copies in a SQL database whose ledger tables are there already."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = existing_engine(self._url)

    def find(self, key: str) -> str | None:
        """Return where a copy lies; `None` where none is noted."""
        with translated(self._url), self._engine.connect() as connection:
            return connection.scalar(sa.select(COPIES.c.location).where(COPIES.c.key == key))

    def note(self, key: str, location: str) -> None:
        """Note where a copy lies, in place of where one lay before; of two at once, either is a whole one."""
        with translated(self._url), contextlib.suppress(IntegrityError), self._engine.begin() as connection:
            connection.execute(sa.delete(COPIES).where(COPIES.c.key == key))
            connection.execute(sa.insert(COPIES).values(key=key, location=location))
