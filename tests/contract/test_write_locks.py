"""The contract of `WriteLocks`: who stores and who decides wait for each other where one touches the other's place."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from slipway.registry.artifacts.locations import Place
from slipway.registry.errors import Unavailable
from slipway.registry.server.guard.sql_write_locks import AdvisoryLocks, FileWriteLocks
from slipway.registry.server.guard.write_locks import WriteLocks

STORE = "s3://b"
VERSION = Place(STORE, ("0", "models", "m-1", "artifacts"))
FILE = VERSION.below("MLmodel")
DEEP = VERSION.below("code/x.py")
OTHER = Place(STORE, ("0", "models", "m-2", "artifacts", "MLmodel"))
ABOVE = Place(STORE, ("0",))


@pytest.fixture(params=["files", "postgresql"])
def workers(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], WriteLocks]:
    """Return what makes the locks of one more worker of a server; none waits for long."""
    if request.param == "files":
        return lambda: FileWriteLocks(tmp_path / "locks", wait_s=0.2)
    url = request.getfixturevalue("postgres").create_database()
    return lambda: AdvisoryLocks(url, wait_s=0.2)


def free(hold: AbstractContextManager[None]) -> bool:
    """Return whether a lock is to be had."""
    with ExitStack() as held:
        try:
            held.enter_context(hold)
        except Unavailable as error:
            return error.code != "files-busy"
    return True


def test_many_store_at_once(workers: Callable[[], WriteLocks]):
    """In one process and in several, in the same folder and elsewhere."""
    one, two = workers(), workers()
    with one.shared(FILE), one.shared(FILE), two.shared(FILE), two.shared(DEEP), two.shared(OTHER):
        pass


def test_nobody_decides_about_what_is_being_stored(workers: Callable[[], WriteLocks]):
    """Also in the same process; as soon as it is stored it can be."""
    one, two = workers(), workers()
    with one.shared(DEEP):
        for each in (one, two):
            assert not free(each.alone([VERSION]))
            assert not free(each.alone([OTHER, VERSION]))
            assert free(each.alone([OTHER]))
    assert free(one.alone([VERSION]))


def test_nothing_is_stored_while_somebody_decides(workers: Callable[[], WriteLocks]):
    """At its place or below; elsewhere it is."""
    one, two = workers(), workers()
    with one.alone([VERSION]):
        for each in (one, two):
            assert not free(each.shared(FILE))
            assert not free(each.shared(DEEP))
            assert free(each.shared(OTHER))
            assert not free(each.alone([ABOVE])), "a folder around it is not removed"
            assert free(each.alone([OTHER]))
    with two.alone([ABOVE]):
        assert not free(one.alone([VERSION]))
        assert not free(one.shared(FILE))


def test_each_of_many_writers_gives_back_its_own(workers: Callable[[], WriteLocks]):
    """The last one that stores opens the way."""
    one, two = workers(), workers()
    first, second = one.shared(FILE), one.shared(FILE)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not free(two.alone([VERSION]))
    second.__exit__(None, None, None)
    assert free(two.alone([VERSION]))


def test_whoever_waits_gets_it_when_it_is_free(workers: Callable[[], WriteLocks]):
    """Without being asked again."""
    one, two = workers(), workers()
    two._wait_s = 20.0
    done = threading.Event()

    def decide() -> None:
        with two.alone([VERSION]):
            done.set()

    with one.shared(FILE):
        waiting = threading.Thread(target=decide)
        waiting.start()
        assert not done.wait(0.2)
    waiting.join(20)
    assert done.is_set()


def test_a_lost_session_is_said_to_whoever_stored(postgres, tmp_path: Path):
    """Somebody may have decided meanwhile; the next one gets a new session."""
    url = postgres.create_database()
    one, two = AdvisoryLocks(url, wait_s=0.2), AdvisoryLocks(url, wait_s=0.2)

    def lose() -> None:
        with one.shared(FILE), one._engine.connect() as other:
            other.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )

    with pytest.raises(Unavailable) as lost:
        lose()
    assert lost.value.code == "write-lock-lost"
    assert free(two.alone([VERSION]))
    with one.shared(FILE):
        assert not free(two.alone([VERSION]))
