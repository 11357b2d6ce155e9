"""How a database is reached: with which patience, and without making one that is somebody else's."""

from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from slipway.registry.errors import InvalidInput

CONNECT = {
    "sqlite": {"timeout": 30},
    "postgresql": {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3},
}
# A session that only holds a lock is idle: an older PostgreSQL than 14 has no such limit, and finds no row here.
NEVER_IDLE = sa.text("SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'")

SESSION = sa.text("SELECT pg_backend_pid()")


def existing_engine(url: sa.URL) -> sa.Engine:
    """Return an engine on a database; a SQLite file that is missing is an error of the first query, and stays missing.

    SQLite would make an empty file, and whoever puts the right one back would find another in its place. Each query
    opens the file anew: an open one is read on after it was moved or replaced.
    """
    backend = url.get_backend_name()
    if backend != "sqlite":
        return sa.create_engine(url, connect_args=CONNECT[backend], pool_pre_ping=True)
    named = url.set(database=f"file:{quote(url.database or '')}", query={**url.query, "mode": "rw", "uri": "true"})
    return sa.create_engine(named, connect_args=CONNECT[backend], poolclass=sa.NullPool)


def may_be_asked(url: sa.URL) -> bool:
    """Return whether there is anything to ask: a missing file of SQLite's is made by whoever writes first."""
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).is_file()


def require_own_session(session: sa.Connection, others: sa.Engine) -> None:
    """Refuse a session of PostgreSQL's that is not the connection's own: no lock that it takes would keep others out.

    PgBouncer in transaction mode gives each statement whichever session is free, and two connections the same one.

    Raises
    ------
    InvalidInput
        Something in front of the database does so.
    """
    own = session.scalar(SESSION)
    with others.connect() as other:
        theirs = other.scalar(SESSION)
    if theirs == own or session.scalar(SESSION) != own:
        raise InvalidInput(
            "something in front of PostgreSQL has connections share its sessions, in which no lock holds",
            code="sessions-shared",
            hint="connect to PostgreSQL itself, or set pool_mode = session in PgBouncer",
        )
