"""The door through which a database is examined: whose tables it has, of which revision. Nothing is made or changed.

Apart from `slipway.registry.ledger.sql_migrate`: that brings tables up to date, this looks whether they are.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from slipway.registry.errors import InvalidInput, Unavailable
from slipway.registry.ledger.sql_migrate import MIGRATIONS
from slipway.registry.ledger.sql_tables import VERSION_TABLE
from slipway.registry.masking import masked
from slipway.registry.sql_connection import existing_engine, may_be_asked
from slipway.registry.versions.experiment_root import ExperimentRoot

OURS, MLFLOW, USERS = VERSION_TABLE, "alembic_version", "alembic_version_auth"
MLFLOW_MIGRATIONS = {MLFLOW: "store/db_migrations", USERS: "server/auth/db/migrations"}  # 3.17
EXPERIMENTS = sa.text("SELECT name, artifact_location FROM experiments WHERE lifecycle_stage = 'active' ORDER BY name")
ANY_EXPERIMENT = sa.text("SELECT 1 FROM experiments LIMIT 1")
ADMINISTRATORS = sa.text("SELECT username FROM users WHERE is_admin ORDER BY username")
INIT_LOCK = sa.text("SELECT pg_advisory_lock(hashtext('slipway init'))")
LOCK_WITHIN = sa.text("SET lock_timeout = '300s'")
HINTS = {
    "password authentication failed": "check the user and the password in the database's URL",
    "FATAL:  role": "check the user in the database's URL",
    "FATAL:  database": "make it: createdb NAME; or check the name in the database's URL",
    "lock timeout": "another slipway init has been running for minutes: wait for it, or end it",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Revisions:
    """The revision that an installation needs of some tables, and all that it knows."""

    needed: str
    known: Collection[str]


class ExaminedDatabase:
    """A database that is looked at; the first look connects."""

    def __init__(self, url: str) -> None:
        """Name the database; `InvalidInput` where the URL names none."""
        self.shown = masked(url)
        try:
            self._url = sa.make_url(url)
            self._engine = existing_engine(self._url)
        except (ArgumentError, ImportError, KeyError) as error:
            found = f"{self.shown} is no database that can be used"
            raise InvalidInput(found, code="no-database", hint="write postgresql://… or sqlite:///…") from error

    def is_begun(self) -> bool:
        """Return whether there is anything to ask: a missing file of SQLite's is made by whoever writes first."""
        return may_be_asked(self._url)

    def server(self) -> str:
        """Return which database answers, and its version."""
        with self._connected() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
            return f"{connection.dialect.name} {version}"

    def revision(self, version_table: str) -> str | None:
        """Return the revision of some tables; `None` where there are none."""
        with self._connected() as connection:
            if not sa.inspect(connection).has_table(version_table):
                return None
            return connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(version_table)))

    def tables(self) -> tuple[str, ...]:
        """Return the names of all tables."""
        with self._connected() as connection:
            return tuple(sa.inspect(connection).get_table_names())

    def has_experiments(self) -> bool:
        """Return whether MLflow's experiments are there, with one at least."""
        with self._connected() as connection:
            there = sa.inspect(connection).has_table("experiments")
            return there and connection.scalar(ANY_EXPERIMENT) is not None

    def roots(self) -> tuple[ExperimentRoot, ...]:
        """Return MLflow's experiments that are not deleted, and where their runs keep their artifacts."""
        with self._connected() as connection:
            return tuple(
                ExperimentRoot(experiment=name, location=place) for name, place in connection.execute(EXPERIMENTS)
            )

    def administrators(self) -> tuple[str, ...]:
        """Return the names of MLflow's administrators."""
        with self._connected() as connection:
            return tuple(connection.scalars(ADMINISTRATORS))

    @contextmanager
    def prepared_alone(self) -> Iterator[None]:
        """Hold off whoever else prepares this PostgreSQL database; the lock dies with its holder.

        Raises
        ------
        Unavailable
            Somebody else prepares it for minutes.
        """
        with self._connected() as connection:
            connection.execute(LOCK_WITHIN)
            connection.execute(INIT_LOCK)
            connection.commit()  # the lock is the session's; a transaction would only age
            yield
            connection.invalidate()

    @contextmanager
    def _connected(self) -> Iterator[sa.Connection]:
        try:
            connection = self._engine.connect()
        except SQLAlchemyError as error:
            raise self._unavailable(error) from error
        with connection:
            try:
                yield connection
            except SQLAlchemyError as error:
                raise self._unavailable(error) from error

    def _unavailable(self, error: SQLAlchemyError) -> Unavailable:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        hint = next((hint for words, hint in HINTS.items() if words in said), "check that it runs at that address")
        return Unavailable(f"{self.shown} does not answer: {said}", code="database-unavailable", hint=hint)


def revisions_of(version_table: str) -> Revisions:
    """Return what this installation needs of the tables that a version table is about."""
    script = ScriptDirectory(str(_migrations(version_table)))
    return Revisions(needed=str(script.get_current_head()), known={each.revision for each in script.walk_revisions()})


def _migrations(version_table: str) -> Path:
    """Return the folder of the migrations: ours, or those of MLflow, which is found and not imported."""
    found = find_spec("mlflow")
    if version_table == OURS or found is None or found.origin is None:
        return MIGRATIONS
    return Path(found.origin).parent / MLFLOW_MIGRATIONS[version_table]
