"""The `Heartbeats` in SQL, beside the ledger, and whose they are."""

import contextlib
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from slipway.registry.engines.heartbeats import FORGOTTEN_AFTER, Heartbeat, heartbeat_from
from slipway.registry.ledger.sql_history import translated
from slipway.registry.ledger.sql_tables import ENGINES, HEARTBEATS
from slipway.registry.sql_connection import existing_engine


class SqlHeartbeats:
    """The `Heartbeats` in a SQL database whose ledger tables are there already."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = existing_engine(self._url)

    def beat(self, beats: Sequence[Heartbeat]) -> None:
        """Write an engine's word over its earlier one, and forget the silent, in one transaction."""
        silent_since = max(beat.at for beat in beats) - FORGOTTEN_AFTER
        with translated(self._url), self._engine.begin() as connection:
            connection.execute(sa.delete(HEARTBEATS).where(HEARTBEATS.c.at < silent_since.isoformat()))
            for engine in {beat.engine for beat in beats}:
                connection.execute(sa.delete(HEARTBEATS).where(HEARTBEATS.c.engine == engine))
            connection.execute(sa.insert(HEARTBEATS), [beat.to_document() for beat in beats])

    def leave(self, engine: str) -> None:
        """Take an engine's rows away."""
        with translated(self._url), self._engine.begin() as connection:
            connection.execute(sa.delete(HEARTBEATS).where(HEARTBEATS.c.engine == engine))

    def all(self) -> tuple[Heartbeat, ...]:
        """Return every engine's last word."""
        order = (HEARTBEATS.c.model, HEARTBEATS.c.stage, HEARTBEATS.c.engine, HEARTBEATS.c.variant)
        with translated(self._url), self._engine.connect() as connection:
            rows = connection.execute(sa.select(HEARTBEATS).order_by(*order)).mappings().all()
        return tuple(heartbeat_from(dict(row)) for row in rows)


class SqlClaims:
    """The `Claims` in a SQL database whose ledger tables are there already: its key lets one of two through."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = existing_engine(self._url)

    def claim(self, engine: str, user: str) -> str:
        """Bind an engine to a user, unless it is bound already."""
        if (owner := self.owner(engine)) is not None:
            return owner
        with translated(self._url), contextlib.suppress(IntegrityError), self._engine.begin() as connection:
            connection.execute(sa.insert(ENGINES).values(engine=engine, owner=user))
        return self.owner(engine) or user

    def owner(self, engine: str) -> str | None:
        """Return to whom an engine is bound."""
        query = sa.select(ENGINES.c.owner).where(ENGINES.c.engine == engine)
        with translated(self._url), self._engine.connect() as connection:
            return connection.scalar(query)

    def release(self, engine: str) -> None:
        """Let whoever comes next have an engine's name."""
        with translated(self._url), self._engine.begin() as connection:
            connection.execute(sa.delete(ENGINES).where(ENGINES.c.engine == engine))
