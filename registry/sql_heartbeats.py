"""The `Heartbeats` in SQL, beside the ledger."""

from collections.abc import Sequence

import sqlalchemy as sa

from registry.heartbeats import Heartbeat, heartbeat_from
from registry.sql_existing import existing_engine
from registry.sql_history import translated
from registry.sql_tables import HEARTBEATS


class SqlHeartbeats:
    """The `Heartbeats` in a SQL database whose ledger tables are there already."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = existing_engine(self._url)

    def beat(self, beats: Sequence[Heartbeat]) -> None:
        """Write an engine's word over its earlier one, in one transaction."""
        with translated(self._url), self._engine.begin() as connection:
            for engine in {beat.engine for beat in beats}:
                connection.execute(sa.delete(HEARTBEATS).where(HEARTBEATS.c.engine == engine))
            connection.execute(sa.insert(HEARTBEATS), [beat.to_document() for beat in beats])

    def leave(self, engine: str) -> None:
        """Take an engine's rows away."""
        with translated(self._url), self._engine.begin() as connection:
            connection.execute(sa.delete(HEARTBEATS).where(HEARTBEATS.c.engine == engine))

    def all(self) -> tuple[Heartbeat, ...]:
        """Return every engine's last word."""
        order = (HEARTBEATS.c.model, HEARTBEATS.c.stage, HEARTBEATS.c.engine)
        with translated(self._url), self._engine.connect() as connection:
            rows = connection.execute(sa.select(HEARTBEATS).order_by(*order)).mappings().all()
        return tuple(heartbeat_from(dict(row)) for row in rows)
