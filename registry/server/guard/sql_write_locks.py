"""The doors to locks on places: PostgreSQL's advisory locks, files beside SQLite's.

All locks are taken at once or none: whoever waits holds nothing, so that nobody waits in a circle.
"""

import hashlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import sqlalchemy as sa

from slipway.registry.artifacts.file_locks import held_alone, held_shared
from slipway.registry.artifacts.locations import Place
from slipway.registry.errors import Unavailable
from slipway.registry.ledger.sql_history import translated
from slipway.registry.server.guard.write_locks import WAIT_S, WriteLocks, needed_alone, needed_to_store
from slipway.registry.sql_connection import CONNECT, NEVER_IDLE, require_own_session

LOOK_EVERY_S = 0.05
STRIPES = 4096  # lock files are not removed: places share them, and sometimes wait for each other needlessly


def _words(function: str) -> sa.TextClause:
    return sa.text(f"SELECT key, {function}(key) AS said FROM unnest(CAST(:keys AS bigint[])) AS key")


TAKE = {True: _words("pg_try_advisory_lock"), False: _words("pg_try_advisory_lock_shared")}
GIVE = {True: _words("pg_advisory_unlock"), False: _words("pg_advisory_unlock_shared")}


class FileWriteLocks:
    """Locks between the processes of one machine, in a folder."""

    def __init__(self, folder: Path, *, wait_s: float = WAIT_S) -> None:
        self._folder = folder
        self._wait_s = wait_s

    def shared(self, place: Place) -> AbstractContextManager[None]:
        """Hold the place of a file that is stored."""
        return self._held(needed_to_store(place))

    def alone(self, places: Iterable[Place]) -> AbstractContextManager[None]:
        """Hold places with all that is below them."""
        return self._held(needed_alone(places))

    @contextmanager
    def _held(self, needed: Mapping[Place, bool]) -> Iterator[None]:
        self._folder.mkdir(exist_ok=True)
        stripes: dict[int, bool] = {}
        for place, alone in needed.items():
            stripe = _number(place) % STRIPES
            stripes[stripe] = stripes.get(stripe, False) or alone
        deadline = time.monotonic() + self._wait_s
        with ExitStack() as held:
            for stripe in sorted(stripes):  # in one order for everybody
                hold = held_alone if stripes[stripe] else held_shared
                left_s = max(0.0, deadline - time.monotonic())
                try:
                    held.enter_context(hold(self._folder / f"{stripe}.lock", wait_s=left_s))
                except Unavailable as error:
                    raise _busy(needed, self._wait_s) from error
            yield


class AdvisoryLocks:
    """Locks of a PostgreSQL database, between all that are connected to it.

    Those who store share one session of their process: a connection for each upload would be more than a database has.
    """

    def __init__(self, url: str, *, wait_s: float = WAIT_S) -> None:
        self._url = sa.make_url(url)
        self._wait_s = wait_s
        self._engine = sa.create_engine(
            self._url, connect_args=CONNECT["postgresql"], poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )
        self._mutex = threading.Lock()
        self._session: sa.Connection | None = None

    @contextmanager
    def shared(self, place: Place) -> Iterator[None]:
        """Hold the place of a file that is stored; all that was lost with the session is said at the end."""
        needed = needed_to_store(place)
        deadline = time.monotonic() + self._wait_s
        while (session := self._taken(needed)) is None:
            _wait(needed, deadline, self._wait_s)
        try:
            yield
        finally:
            self._give_back(needed, session)

    @contextmanager
    def alone(self, places: Iterable[Place]) -> Iterator[None]:
        """Hold places with all that is below them, in a session of its own."""
        needed = needed_alone(places)
        deadline = time.monotonic() + self._wait_s
        with translated(self._url):
            session = self._connected()
        try:
            with translated(self._url):
                while not _take(session, needed):
                    _wait(needed, deadline, self._wait_s)
            yield
        finally:
            session.invalidate()  # the session's end frees the locks, whatever state it is in
            session.close()

    def _connected(self) -> sa.Connection:
        session = self._engine.connect()
        try:
            session.execute(NEVER_IDLE)
            require_own_session(session, self._engine)
        except BaseException:
            session.close()
            raise
        return session

    def _taken(self, needed: Mapping[Place, bool]) -> sa.Connection | None:
        """Return the session that has the locks; `None` where somebody has one of the places alone."""
        with self._mutex, translated(self._url):
            if self._session is None:
                self._session = self._connected()
            try:
                return self._session if _take(self._session, needed) else None
            except sa.exc.DBAPIError:
                self._forget()
                raise

    def _give_back(self, needed: Mapping[Place, bool], session: sa.Connection) -> None:
        with self._mutex:
            try:
                kept = session is self._session and _give(session, needed)
            except sa.exc.DBAPIError:
                kept = False
                self._forget()
        if not kept:
            where = "/".join(list(needed)[-1].parts)
            raise Unavailable(
                f"the database went away while {where} was stored, and somebody may have decided about it meanwhile",
                code="write-lock-lost",
                hint="store it again; slipway status shows what is in a stage",
            )

    def _forget(self) -> None:
        if self._session is not None:
            self._session.invalidate()
            self._session.close()
        self._session = None


def open_write_locks(url: str) -> WriteLocks:
    """Return the locks beside the database of a server's registry."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return FileWriteLocks(Path(f"{parsed.database}.slipway-writes"))
    return AdvisoryLocks(url)


def _take(session: sa.Connection, needed: Mapping[Place, bool]) -> bool:
    """Take all locks, in one statement of each kind; give back what was taken where one is not to be had."""
    keys = _keys(needed)
    got = {alone: _said(session, TAKE[alone], keys[alone]) for alone in keys}
    if all(all(each.values()) for each in got.values()):
        return True
    for alone, each in got.items():
        _said(session, GIVE[alone], [key for key, is_taken in each.items() if is_taken])
    return False


def _give(session: sa.Connection, taken: Mapping[Place, bool]) -> bool:
    """Give locks back; return whether all were still there."""
    keys = _keys(taken)
    return all(all(_said(session, GIVE[alone], keys[alone]).values()) for alone in keys)


def _keys(needed: Mapping[Place, bool]) -> dict[bool, list[int]]:
    return {alone: [_number(place) for place, needs in needed.items() if needs is alone] for alone in (True, False)}


def _said(session: sa.Connection, words: sa.TextClause, keys: list[int]) -> dict[int, bool]:
    """Return what PostgreSQL says of each key."""
    return {row.key: row.said for row in session.execute(words, {"keys": keys})} if keys else {}


def _number(place: Place) -> int:
    name = "\n".join(("slipway-write", place.store, *place.parts))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _wait(needed: Mapping[Place, bool], deadline: float, wait_s: float) -> None:
    if time.monotonic() > deadline:
        raise _busy(needed, wait_s)
    time.sleep(LOOK_EVERY_S)


def _busy(needed: Mapping[Place, bool], wait_s: float) -> Unavailable:
    where = "/".join(list(needed)[-1].parts)
    return Unavailable(
        f"somebody else has been storing, removing or deciding about {where} for {wait_s:.0f} s",
        code="files-busy",
        hint="retry when the upload or the decision is done",
    )
