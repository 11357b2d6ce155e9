"""The door to the ledger in SQL: SQLite and PostgreSQL, in MLflow's database or in one of its own.

The primary key (model, number) is the only arbiter: of two writers of one number the database lets one
through. No transaction is open longer than one statement, so that MLflow can be called in between.
Its tables are made by `slipway.registry.ledger.sql_migrate`, which imports Alembic; reading does not.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, OperationalError, ProgrammingError

from slipway.registry.artifacts.file_locks import held_alone
from slipway.registry.errors import Conflict, InvalidInput, NotFound, Unavailable
from slipway.registry.ledger.chain import HEAD_TAG, NO_HEAD, Head, Record, parse_head, record_of
from slipway.registry.ledger.events import Event, first_hash
from slipway.registry.ledger.history import leads_to
from slipway.registry.ledger.model_state import MOVES
from slipway.registry.ledger.sql_tables import APPLIED, EVENTS, REVISION, VERSION
from slipway.registry.sql_connection import CONNECT, NEVER_IDLE, existing_engine, may_be_asked, require_own_session

RECORD = ("seq", "text", "hash", "model", "kind", "version")
NOTED_HEADS = sa.text(  # MLflow 3.17's tables, read without the second that importing MLflow takes
    "SELECT m.name, t.value FROM registered_model_tags t JOIN registered_models m "
    "ON m.name = t.name AND m.workspace = t.workspace "
    "WHERE t.key = :key AND t.workspace = :workspace AND m.creation_time = :created_ms"
)
LAST = sa.select(EVENTS.c.model_uid, sa.func.max(EVENTS.c.seq).label("seq")).group_by(EVENTS.c.model_uid).subquery()
HEADS = sa.select(EVENTS.c.model_uid, EVENTS.c.seq, EVENTS.c.hash).join(
    LAST, sa.and_(LAST.c.model_uid == EVENTS.c.model_uid, LAST.c.seq == EVENTS.c.seq)
)
OWN_LOCKS = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()")
PAGE_ROWS = 1000
LOCK_WITHIN_S = 30.0
LOCK_LOOK_EVERY_S = 0.05


class SqlHistory:
    """The `History` in a SQL database whose tables are there and up to date."""

    def __init__(self, url: str, engine: sa.Engine | None = None) -> None:
        """Name the database, with an engine on it if it is to be another than one's own; a call asks it first.

        Raises
        ------
        InvalidInput
            The URL names neither SQLite nor PostgreSQL.
        """
        self._url, own = _engine_of(url)
        self._engine = own if engine is None else engine
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        # Whoever waits for a lock holds a connection: taken from one pool, twenty who wait would starve the holder.
        connect = CONNECT[self._url.get_backend_name()]
        self._lock_engine = sa.create_engine(self._url, connect_args=connect, poolclass=sa.NullPool)
        self._held: dict[tuple[int, str], sa.Connection] = {}  # by who holds it: two threads may believe they do

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """Connect to the database; it raises `Unavailable` where that does not answer."""
        with translated(self._url), self._engine.connect() as connection:
            yield connection

    def revision(self) -> str | None:
        """Return the revision of the tables; `None` where there are none."""
        with self.connected() as connection:
            if not sa.inspect(connection).has_table(VERSION.name):
                return None
            return connection.scalar(sa.select(VERSION.c.version_num))

    def is_there(self) -> bool:
        """Return whether there is a history at all: nobody made its tables where nothing was ever decided."""
        if not may_be_asked(self._url):
            return False
        with self.connected() as connection:
            return sa.inspect(connection).has_table(EVENTS.name)

    def append(self, event: Event, *, after_seq: int) -> Record:
        """Add an event as number `after_seq + 1`; the database refuses a number that is taken."""
        uid = event.model_uid
        self._require_still_held(uid)
        with self.connected() as connection:
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
        return self._read(_records_of(model_uid).order_by(EVENTS.c.seq))

    def walk(self, model_uid: str, *, after_seq: int = 0) -> Iterator[Record]:
        """Yield a model's records after a number, in order, holding a page of them and no transaction."""
        query = _records_of(model_uid).order_by(EVENTS.c.seq).limit(PAGE_ROWS)
        page = self._read(query.where(EVENTS.c.seq > after_seq))
        while page:
            yield from page
            page = self._read(query.where(EVENTS.c.seq > page[-1].seq))

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        """Return those that move a version, in order."""
        return self._read_few(_records_of(model_uid).where(EVENTS.c.kind.in_([str(kind) for kind in MOVES])))

    def about(self, model_uid: str, version: int) -> tuple[Record, ...]:
        """Return those about one version, in order."""
        return self._read_few(_records_of(model_uid).where(EVENTS.c.version == version))

    def head(self, model_uid: str) -> Head | None:
        """Return the end of a model's chain."""
        query = sa.select(EVENTS.c.seq, EVENTS.c.hash).where(EVENTS.c.model_uid == model_uid)
        with self.connected() as connection:
            row = connection.execute(query.order_by(EVENTS.c.seq.desc()).limit(1)).first()
        return Head(seq=row.seq, hash=row.hash) if row else None

    def heads(self, model_uids: Collection[str]) -> dict[str, Head]:
        """Return the end of each model's chain; a model without one is left out."""
        query = HEADS.where(EVENTS.c.model_uid.in_(sorted(model_uids)))
        with self.connected() as connection:
            return {row.model_uid: Head(seq=row.seq, hash=row.hash) for row in connection.execute(query)}

    def anchors(self, model_uid: str) -> tuple[Head, ...]:
        """Return the head that a tag of the registered model notes, where MLflow's tables are in the same database."""
        workspace, created_ms, name = model_uid.split("/", 2)
        born_then = {"key": HEAD_TAG, "workspace": workspace, "created_ms": int(created_ms)}
        with self.connected() as connection:
            if not sa.inspect(connection).has_table("registered_model_tags"):
                return ()
            noted = {str(row.name): _noted_head(row.value) for row in connection.execute(NOTED_HEADS, born_then)}
        prefix = f"{workspace}/{created_ms}/"  # others of the same millisecond, whoever has which name now
        others = [uid for uid in self.model_uids(prefix=prefix) if uid != model_uid]
        mine = {known: head for known, head in noted.items() if not any(leads_to(head, uid, self) for uid in others)}
        if name in mine:
            return (mine[name],)
        first_names = {uid.removeprefix(prefix) for uid in others}
        return tuple(head for known, head in mine.items() if known not in first_names)

    def model_uids(self, *, prefix: str = "", model: str | None = None) -> tuple[str, ...]:
        """Return the identities that begin with a text and were once known by a name, in their order."""
        uid = EVENTS.c.model_uid if model is not None else _distinct_uids().c.model_uid
        query = sa.select(uid).where(uid.startswith(prefix, autoescape=True)).distinct()
        named = query if model is None else query.where(EVENTS.c.model == model)
        with self.connected() as connection:
            return tuple(sorted(connection.scalars(named)))

    def name_of(self, model_uid: str) -> str | None:
        """Return the name by which a model was last known."""
        query = sa.select(EVENTS.c.model).where(EVENTS.c.model_uid == model_uid)
        with self.connected() as connection:
            return connection.scalar(query.order_by(EVENTS.c.seq.desc()).limit(1))

    def applied(self, model_uid: str) -> int:
        """Return the last number whose consequences are known to be applied."""
        query = sa.select(APPLIED.c.seq).where(APPLIED.c.model_uid == model_uid)
        with self.connected() as connection:
            return connection.scalar(query) or 0

    def all_heads(self) -> dict[str, Head]:
        """Return the end of every model's chain."""
        # Asked before each stored file: without a transaction, it is one way to the database and back.
        with translated(self._url), self._reading.connect() as connection:
            return {row.model_uid: Head(seq=row.seq, hash=row.hash) for row in connection.execute(HEADS)}

    def set_applied(self, model_uid: str, seq: int) -> None:
        """Note that everything up to a number is applied; never back to a lower one."""
        with translated(self._url), self._engine.begin() as connection:
            mine = APPLIED.c.model_uid == model_uid
            if not connection.execute(sa.update(APPLIED).where(mine, APPLIED.c.seq <= seq).values(seq=seq)).rowcount:
                exists = connection.scalar(sa.select(APPLIED.c.seq).where(mine))
                if exists is None:
                    connection.execute(sa.insert(APPLIED).values(model_uid=model_uid, seq=seq))

    @contextmanager
    def lock(self, model_uid: str) -> Iterator[None]:
        """Hold a model alone: by a file beside SQLite's, by an advisory lock of PostgreSQL's."""
        key = int.from_bytes(hashlib.sha256(f"slipway/{model_uid}".encode()).digest()[:8], "big", signed=True)
        is_file = self._url.get_backend_name() == "sqlite"
        with self._file_lock(key) if is_file else self._advisory_lock(key, model_uid):
            yield

    @contextmanager
    def _file_lock(self, key: int) -> Iterator[None]:
        path = Path(f"{self._url.database}.slipway-{key & (2**64 - 1):016x}.lock")
        with ExitStack() as held:
            try:
                held.enter_context(held_alone(path, wait_s=LOCK_WITHIN_S))
            except Unavailable as error:
                raise _model_locked() from error
            yield

    @contextmanager
    def _advisory_lock(self, key: int, model_uid: str) -> Iterator[None]:
        holder = threading.get_ident(), model_uid
        with translated(self._url):
            connection = self._lock_engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            with translated(self._url):
                connection.execute(NEVER_IDLE)
                require_own_session(connection, self._engine)
                _wait_for_lock(lambda: bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(key)))))
            self._held[holder] = connection
            yield
        finally:
            self._held.pop(holder, None)
            connection.invalidate()  # the session's end frees the lock, whatever state it is in
            connection.close()

    def _require_still_held(self, model_uid: str) -> None:
        """Refuse to go on where PostgreSQL has ended the session that holds the lock, and with it the lock.

        Raises
        ------
        Unavailable
            It has; or something between here and there hands on each statement to another session.
        """
        connection = self._held.get((threading.get_ident(), model_uid))
        if connection is None:
            return
        with translated(self._url):
            if not connection.scalar(OWN_LOCKS):
                raise Unavailable(
                    "the database has let go of the lock on this model meanwhile",
                    code="lock-lost",
                    hint="decide again; a pool of connections in front of PostgreSQL has to keep sessions apart",
                )

    def _read(self, query: sa.Select[Any]) -> tuple[Record, ...]:
        with self.connected() as connection:
            return tuple(Record(**row) for row in connection.execute(query).mappings())

    def _read_few(self, query: sa.Select[Any]) -> tuple[Record, ...]:
        """Read records and sort them here: told to sort, SQLite reads the whole chain instead of using an index."""
        return tuple(sorted(self._read(query), key=attrgetter("seq")))

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


def _distinct_uids() -> sa.CTE:
    """Return the identities by one look into the index for each: DISTINCT would read every event."""
    uids = sa.select(sa.func.min(EVENTS.c.model_uid).label("model_uid")).cte("uids", recursive=True)
    following = sa.select(sa.func.min(EVENTS.c.model_uid)).where(EVENTS.c.model_uid > uids.c.model_uid)
    return uids.union_all(sa.select(following.correlate(uids).scalar_subquery()).where(uids.c.model_uid.is_not(None)))


def open_to_read(url: str) -> SqlHistory:
    """Return the ledger to be read, making and changing no tables.

    Raises
    ------
    InvalidInput
        The URL names neither SQLite nor PostgreSQL.
    NotFound
        There is no history yet.
    Conflict
        Its tables are those of another Slipway.
    Unavailable
        The database does not answer.
    """
    history = SqlHistory(url)
    found = history.revision()
    shown = sa.make_url(url).render_as_string(hide_password=True)
    if found is None:
        raise NotFound(f"there is no history in {shown} yet", code="no-history", hint="slipway status begins one")
    if found != REVISION:
        raise Conflict(
            f"the history in {shown} has tables of revision {found}, and this Slipway reads {REVISION}",
            code="other-revision",
            hint="slipway status brings older ones up to date; newer ones need the Slipway that made them",
        )
    return history


def existing_history(url: str) -> SqlHistory:
    """Return the ledger in a database that somebody else made, or will make."""
    return SqlHistory(url, existing_engine(sa.make_url(url)))


def _noted_head(text: str) -> Head:
    """Return the head that a tag notes; one that somebody wrote over with other words leads nowhere."""
    try:
        return parse_head(text)
    except InvalidInput:
        return NO_HEAD


def _records_of(model_uid: str) -> sa.Select[Any]:
    return sa.select(*(EVENTS.c[name] for name in RECORD)).where(EVENTS.c.model_uid == model_uid)


def _wait_for_lock(take: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LOCK_WITHIN_S
    while not take():
        if time.monotonic() > deadline:
            raise _model_locked()
        time.sleep(LOCK_LOOK_EVERY_S)


def _model_locked() -> Unavailable:
    said = f"somebody else has been changing this model for {LOCK_WITHIN_S:.0f} s"
    return Unavailable(said, code="model-locked", hint="retry")


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
def translated(url: sa.URL) -> Iterator[None]:
    """Turn what the database's driver raises into Unavailable, without its password.

    What no column could hold is the fault of whoever asks: too large a number, half of a surrogate pair, NUL.
    """
    try:
        yield
    except (DataError, OverflowError, UnicodeEncodeError) as error:
        raise InvalidInput(
            "what is asked for holds a number or a text that no database could hold",
            code="wrong-value",
            hint="numbers go to 2147483647, and texts are without NUL",
        ) from error
    except (OperationalError, ProgrammingError, DBAPIError) as error:
        first = str(error.orig).strip().splitlines()[0] if error.orig else type(error).__name__
        raise Unavailable(
            f"the history in {url.render_as_string(hide_password=True)} does not answer: {first}",
            code="history-unavailable",
            hint="check that the database runs; SLIPWAY_REGISTRY__HISTORY_URI says where the history is",
        ) from error
