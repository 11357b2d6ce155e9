"""The door to the ledger in SQL: SQLite and PostgreSQL, in MLflow's database or in one of its own.

The primary key (model, number) is the only arbiter: of two writers of one number the database lets one
through. No transaction is open longer than one statement, so that MLflow can be called in between.
"""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from registry.errors import Conflict, InvalidInput, Unavailable
from registry.events import Event, first_hash
from registry.history import HEAD_TAG, MOVES, Head, Record, parse_head, record_of
from registry.sql_tables import APPLIED, EVENTS, REVISION, VERSION

MIGRATIONS = Path(__file__).parent / "sql_migrations"
RECORD = ("seq", "text", "hash", "model", "kind", "version")
NOTED_HEADS = sa.text(  # MLflow 3.17's tables, read without the second that importing MLflow takes
    "SELECT t.value FROM registered_model_tags t JOIN registered_models m "
    "ON m.name = t.name AND m.workspace = t.workspace "
    "WHERE t.key = :key AND t.workspace = :workspace AND m.creation_time = :created_ms"
)
LOCK_WITHIN_S = 30.0
LOCK_LOOK_EVERY_S = 0.05
CONNECT = {
    "sqlite": {"timeout": 30},
    "postgresql": {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3},
}


class SqlHistory:
    """The `History` in a SQL database."""

    def __init__(self, url: str, *, beside_mlflow: bool) -> None:
        """Open the ledger, creating or migrating its tables where they are not up to date.

        Raises
        ------
        InvalidInput
            The URL names neither SQLite nor PostgreSQL, or MLflow's tables are not there yet and should be: made
            after ours, MLflow's own migrations would fail.
        Unavailable
            The database does not answer.
        """
        self._url, self._engine = _engine_of(url)
        with _translated(self._url):
            if self._revision() != REVISION:
                self._migrate(beside_mlflow)

    def append(self, event: Event, *, after_seq: int) -> Record:
        """Add an event as number `after_seq + 1`; the database refuses a number that is taken."""
        uid = event.model_uid
        with _translated(self._url), self._engine.connect() as connection:
            record = record_of(event, seq=after_seq + 1, before=self._hash_at(connection, uid, after_seq))
            row = {"model_uid": uid, **{name: getattr(record, name) for name in RECORD}}
            try:
                connection.execute(sa.insert(EVENTS).values(row))
                connection.commit()
            except IntegrityError as error:
                raise _overtaken(event, self.records(uid)[after_seq:]) from error
        return record

    def records(self, model_uid: str) -> tuple[Record, ...]:
        """Return all of a model's records in order."""
        return self._select(EVENTS.c.model_uid == model_uid)

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        """Return those that move a version, in order."""
        return self._select(EVENTS.c.model_uid == model_uid, EVENTS.c.kind.in_([str(kind) for kind in MOVES]))

    def about(self, model_uid: str, version: int) -> tuple[Record, ...]:
        """Return those about one version, in order."""
        return self._select(EVENTS.c.model_uid == model_uid, EVENTS.c.version == version)

    def head(self, model_uid: str) -> Head | None:
        """Return the end of a model's chain."""
        query = sa.select(EVENTS.c.seq, EVENTS.c.hash).where(EVENTS.c.model_uid == model_uid)
        with _translated(self._url), self._engine.connect() as connection:
            row = connection.execute(query.order_by(EVENTS.c.seq.desc()).limit(1)).first()
        return Head(seq=row.seq, hash=row.hash) if row else None

    def anchors(self, model_uid: str) -> tuple[Head, ...]:
        """Return the head that a tag of the registered model notes, where MLflow's tables are in the same database."""
        workspace, created_ms, _ = model_uid.split("/", 2)
        mine = {"key": HEAD_TAG, "workspace": workspace, "created_ms": int(created_ms)}
        with _translated(self._url), self._engine.connect() as connection:
            if not sa.inspect(connection).has_table("registered_model_tags"):
                return ()
            return tuple(parse_head(value) for value in connection.scalars(NOTED_HEADS, mine))

    def model_uids(self, *, prefix: str = "", model: str | None = None) -> tuple[str, ...]:
        """Return the identities that begin with a text and were once known by a name, in their order."""
        query = sa.select(EVENTS.c.model_uid).where(EVENTS.c.model_uid.startswith(prefix, autoescape=True)).distinct()
        named = query if model is None else query.where(EVENTS.c.model == model)
        with _translated(self._url), self._engine.connect() as connection:
            return tuple(sorted(connection.scalars(named)))

    def applied(self, model_uid: str) -> int:
        """Return the last number whose consequences are known to be applied."""
        query = sa.select(APPLIED.c.seq).where(APPLIED.c.model_uid == model_uid)
        with _translated(self._url), self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def set_applied(self, model_uid: str, seq: int) -> None:
        """Note that everything up to a number is applied; never back to a lower one."""
        with _translated(self._url), self._engine.begin() as connection:
            mine = APPLIED.c.model_uid == model_uid
            if not connection.execute(sa.update(APPLIED).where(mine, APPLIED.c.seq <= seq).values(seq=seq)).rowcount:
                exists = connection.scalar(sa.select(APPLIED.c.seq).where(mine))
                if exists is None:
                    connection.execute(sa.insert(APPLIED).values(model_uid=model_uid, seq=seq))

    @contextmanager
    def lock(self, model_uid: str) -> Iterator[None]:
        """Hold a model alone: by a file beside SQLite's, by an advisory lock of PostgreSQL's."""
        key = int.from_bytes(hashlib.sha256(f"slipway/{model_uid}".encode()).digest()[:8], "big", signed=True)
        held = self._file_lock(key) if self._url.get_backend_name() == "sqlite" else self._advisory_lock(key)
        with held:
            yield

    @contextmanager
    def _file_lock(self, key: int) -> Iterator[None]:
        path = Path(f"{self._url.database}.slipway-{key & (2**64 - 1):016x}.lock")
        with path.open("w") as file:

            def take() -> bool:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                return True

            _wait_for_lock(take)
            yield  # closing the file frees the lock, and so does the end of the process

    @contextmanager
    def _advisory_lock(self, key: int) -> Iterator[None]:
        with _translated(self._url):
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            _wait_for_lock(lambda: bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key)))))
            yield
        finally:
            connection.invalidate()  # the session's end frees the lock, whatever state it is in
            connection.close()

    def _select(self, *conditions: sa.ColumnElement[bool]) -> tuple[Record, ...]:
        query = sa.select(*(EVENTS.c[name] for name in RECORD)).where(*conditions).order_by(EVENTS.c.seq)
        with _translated(self._url), self._engine.connect() as connection:
            return tuple(Record(**row) for row in connection.execute(query).mappings())

    def _hash_at(self, connection: sa.Connection, model_uid: str, seq: int) -> str:
        if seq == 0:
            return first_hash(model_uid)
        query = sa.select(EVENTS.c.hash).where(EVENTS.c.model_uid == model_uid, EVENTS.c.seq == seq)
        found = connection.scalar(query)
        if found is None:
            raise Conflict(
                f"event {seq} of {model_uid} is not there any more",
                code="history-changed",
                hint="slipway history --verify",
            )
        return str(found)

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            if not sa.inspect(connection).has_table(VERSION.name):
                return None
            return connection.scalar(sa.select(VERSION.c.version_num))

    def _migrate(self, beside_mlflow: bool) -> None:
        with self._engine.connect() as connection:
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


def _wait_for_lock(take: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOCK_WITHIN_S
    while not take():
        if time.monotonic() > deadline:
            raise Unavailable(
                f"somebody else has been changing this model for {LOCK_WITHIN_S:.0f} s",
                code="model-locked",
                hint="retry",
            )
        time.sleep(LOCK_LOOK_EVERY_S)


def _overtaken(event: Event, newer: tuple[Record, ...]) -> Conflict:
    won = ", ".join(f"{r.event.kind} of {r.event.model}/{r.event.version} by {r.event.actor}" for r in newer)
    return Conflict(
        f"{event.kind} of {event.model}/{event.version} was overtaken: {won or 'by another decision'}",
        code="overtaken",
        hint=f"slipway status, then decide again: slipway history {event.model}",
    )


def _engine_of(url: str) -> tuple[sa.URL, sa.Engine]:
    """Return the parsed URL and its engine; what cannot be parsed is not repeated, it may hold a password."""
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
        if backend not in CONNECT:
            raise _wrong_database(f"the history needs SQLite or PostgreSQL; got {backend}")
        return parsed, sa.create_engine(parsed, connect_args=CONNECT[backend], pool_pre_ping=True)
    except (ArgumentError, ImportError) as error:
        raise _wrong_database(f"the history's address is no database URL that can be used: {error}") from error


def _wrong_database(message: str) -> InvalidInput:
    hint = "SLIPWAY_REGISTRY__HISTORY_URI=postgresql://… or sqlite:////path/to/history.db"
    return InvalidInput(message, code="wrong-history-database", hint=hint)


@contextmanager
def _translated(url: sa.URL) -> Iterator[None]:
    try:
        yield
    except (OperationalError, ProgrammingError, DBAPIError) as error:
        first = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
        raise Unavailable(
            f"the history in {url.render_as_string(hide_password=True)} does not answer: {first}",
            code="history-unavailable",
            hint="check that the database runs; SLIPWAY_REGISTRY__HISTORY_URI says where the history is",
        ) from error
