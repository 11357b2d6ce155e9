"""What every history keeps: the stand-in, SQLite and PostgreSQL alike."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from slipway.registry.engines.sql_heartbeats import SqlHeartbeats
from slipway.registry.errors import Conflict, InvalidInput, Unavailable
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.history import History
from slipway.registry.ledger.sql_history import SqlHistory, existing_history
from slipway.registry.ledger.sql_migrate import open_history
from tests.doubles.fakes import FakeHistory
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_for
from tests.unit.registry.ledger.test_history import UID, event


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """Return each history in turn, empty."""
    if request.param == "fake":
        return FakeHistory()
    if request.param == "sqlite":
        return open_history(f"sqlite:///{tmp_path}/history.db", beside_mlflow=False)
    return open_history(request.getfixturevalue("postgres").create_database(), beside_mlflow=False)


def test_events_come_back_in_order_and_as_they_were(history: History):
    """Their chain verifies, and the last is the head."""
    for i in range(3):
        history.append(event(version=i + 1, reason="ünï'\"\n"), after_seq=i)
    records = history.records(UID)
    assert [record.event.version for record in records] == [1, 2, 3]
    assert records[0].event == event(version=1, reason="ünï'\"\n")
    assert verify(UID, records) == ()
    assert history.head(UID) == records[-1].head
    assert history.head("default/2/other") is None


def test_a_number_is_given_once(history: History):
    """The second one learns what is there."""
    history.append(event(version=1), after_seq=0)
    with pytest.raises(Conflict, match=r"VersionPromoted.* was overtaken: VersionPromoted of m/1"):
        history.append(event(version=2), after_seq=0)
    assert [record.version for record in history.records(UID)] == [1]


def test_events_are_selected_by_what_they_say(history: History):
    """Moves for the fold, and all about one version."""
    history.append(event(EventKind.VERSION_REGISTERED, stage=None), after_seq=0)
    history.append(event(), after_seq=1)
    history.append(event(version=2), after_seq=2)
    assert [record.seq for record in history.moves(UID)] == [2, 3]
    assert [record.seq for record in history.about(UID, 1)] == [1, 2]


def test_models_are_known_by_identity_and_by_name(history: History):
    """A name may have had several identities."""
    assert history.model_uids() == ()
    for uid, name in (("default/1/m", "m"), ("default/2/m", "m"), ("default/3/n", "n"), ("team_a/1/m", "m")):
        history.append(event(model_uid=uid, model=name), after_seq=0)
    assert history.model_uids(model="m") == ("default/1/m", "default/2/m", "team_a/1/m")
    assert history.model_uids(prefix="default/2/") == ("default/2/m",)
    assert history.model_uids(prefix="team%a/") == ()
    assert history.model_uids(prefix="team_a/", model="n") == ()
    assert len(history.model_uids()) == 4


def test_many_models_are_asked_for_at_once(history: History):
    """The ends of their chains; one without records is left out."""
    assert history.is_there()
    for seq in range(3):
        history.append(event(), after_seq=seq)
    history.append(event(model_uid="default/3/n", model="n"), after_seq=0)
    ends = {UID: history.head(UID), "default/3/n": history.head("default/3/n")}
    assert [head.seq for head in ends.values() if head] == [3, 1]
    assert history.heads([UID, "default/3/n", "default/9/none"]) == ends
    assert history.heads([]) == {}
    assert history.all_heads() == ends


def test_a_history_that_nobody_began_is_not_there(postgres: PostgresServer, tmp_path: Path):
    """To ask makes neither a file nor a table."""
    missing = tmp_path / "missing.db"
    sqlite3.connect(tmp_path / "empty.db").close()
    for url in (f"sqlite:///{missing}", f"sqlite:///{tmp_path}/empty.db", postgres.create_database()):
        assert not existing_history(url).is_there()
    assert not missing.exists()


def test_what_is_applied_never_goes_back(history: History):
    """A late note of an earlier decision changes nothing."""
    assert history.applied(UID) == 0
    for seq in (3, 5, 4):
        history.set_applied(UID, seq)
    assert history.applied(UID) == 5


def test_a_model_is_held_by_one_at_a_time(history: History, monkeypatch: pytest.MonkeyPatch):
    """Another model is free, and so is this one afterwards."""
    monkeypatch.setattr("slipway.registry.ledger.sql_history.LOCK_WITHIN_S", 0.1)
    with history.lock(UID):
        with history.lock("default/2/other"):
            pass
        with pytest.raises(Unavailable), history.lock(UID):
            pass
    with history.lock(UID):
        pass


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SqlHistory, Callable[[str], None]]:
    """Return a history in a database, and how to write there past it."""
    if request.param == "sqlite":
        path = tmp_path / "history.db"

        def on_sqlite(statement: str) -> None:
            with sqlite3.connect(path) as connection:
                connection.execute(statement)

        return open_history(f"sqlite:///{path}", beside_mlflow=False), on_sqlite
    url = request.getfixturevalue("postgres").create_database()

    def on_postgres(statement: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(statement)

    return open_history(url, beside_mlflow=False), on_postgres


@pytest.mark.parametrize(
    "statement",
    ["UPDATE slipway_events SET text = '{}'", "DELETE FROM slipway_events", "DELETE FROM slipway_events WHERE seq = 1"],
)
def test_the_database_refuses_to_change_an_event(database, statement: str):
    """So that it takes intent, and not a slip; what intent did is found by the chain."""
    history, execute = database
    history.append(event(), after_seq=0)
    with pytest.raises((sqlite3.Error, psycopg.Error), match="append-only"):
        execute(statement)
    assert len(history.records(UID)) == 1


def test_postgresql_refuses_to_empty_the_history(postgres: PostgresServer):
    """What SQLite has no word for."""
    url = postgres.create_database()
    open_history(url, beside_mlflow=False).append(event(), after_seq=0)
    with psycopg.connect(url) as connection, pytest.raises(psycopg.Error, match="append-only"):
        connection.execute("TRUNCATE slipway_events")


def test_a_long_history_is_walked_page_by_page(database, monkeypatch: pytest.MonkeyPatch):
    """All of it in order, wherever the pages end; another model's events are not among it."""
    history, _ = database
    monkeypatch.setattr("slipway.registry.ledger.sql_history.PAGE_ROWS", 2)
    assert list(history.walk(UID)) == []
    for i in range(5):
        history.append(event(), after_seq=i)
        history.append(event(model_uid="default/2/other"), after_seq=i)
        assert tuple(history.walk(UID)) == history.records(UID)


def test_tables_that_are_there_are_not_made_again(database):
    """A second process opens them, and both see one history."""
    history, _ = database
    history.append(event(), after_seq=0)
    again = open_history(history._url.render_as_string(hide_password=False), beside_mlflow=False)
    assert again.records(UID) == history.records(UID)


def test_tables_of_an_earlier_slipway_keep_their_history(database):
    """Heartbeats alone are made anew: engines write them within seconds."""
    history, execute = database
    history.append(event(), after_seq=0)
    execute("DROP TABLE slipway_copies")
    execute("DROP TABLE slipway_heartbeats")
    execute("CREATE TABLE slipway_heartbeats (engine VARCHAR(200) PRIMARY KEY)")
    execute("UPDATE slipway_alembic_version SET version_num = '0003'")
    url = history._url.render_as_string(hide_password=False)
    assert open_history(url, beside_mlflow=False).records(UID) == history.records(UID)
    assert SqlHeartbeats(url).all() == ()


OPEN = """
import os, signal, sys
from pathlib import Path
import sqlalchemy as sa
from slipway.registry.ledger.sql_migrate import open_history
url, deadly, go = sys.argv[1:]

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def die(connection, cursor, statement, *_):
    if deadly and deadly in statement:
        os.kill(os.getpid(), signal.SIGKILL)

Path(go, str(os.getpid())).touch()
while not Path(go, "now").exists():
    pass
open_history(url, beside_mlflow=False)
"""


def opening(history: SqlHistory, folder: Path, *, deadly: str = "") -> "subprocess.Popen[str]":
    """Open the same database in a process that makes its tables, and dies before a statement with such words."""
    url = history._url.render_as_string(hide_password=False)
    words = [sys.executable, "-c", OPEN, url, deadly, str(folder)]
    return subprocess.Popen(words, cwd=Path(__file__).parents[2], stderr=subprocess.PIPE, text=True)


@pytest.fixture
def without_tables(database) -> SqlHistory:
    """Return a history whose tables were dropped again."""
    history, execute = database
    for table in (
        "slipway_events",
        "slipway_applied",
        "slipway_heartbeats",
        "slipway_engines",
        "slipway_copies",
        "slipway_alembic_version",
    ):
        execute(f"DROP TABLE {table}")
    if history._url.get_backend_name() == "postgresql":
        execute("DROP FUNCTION slipway_events_refuse")
    return history


@pytest.mark.parametrize("deadly", ["CREATE TABLE slipway_applied", "CREATE TRIGGER", "INSERT INTO slipway_alembic"])
def test_tables_that_were_half_made_are_made_by_the_next(without_tables: SqlHistory, tmp_path: Path, deadly: str):
    """Whoever makes them may die in between."""
    (tmp_path / "now").touch()
    assert opening(without_tables, tmp_path, deadly=deadly).wait(60) == -signal.SIGKILL
    assert opening(without_tables, tmp_path).wait(60) == 0
    without_tables.append(event(), after_seq=0)


def test_tables_are_made_once_by_whoever_comes_first(without_tables: SqlHistory, tmp_path: Path):
    """The others wait for them."""
    started = [opening(without_tables, tmp_path) for _ in range(6)]
    wait_for(lambda: len([path for path in tmp_path.iterdir() if path.name.isdecimal()]) == 6, within_s=60)
    (tmp_path / "now").touch()
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 6, said
    without_tables.append(event(), after_seq=0)


def test_mlflows_tables_come_first(tmp_path: Path):
    """Made after ours, MLflow's own migrations would fail."""
    with pytest.raises(InvalidInput, match="no MLflow tables yet") as refused:
        open_history(f"sqlite:///{tmp_path}/mlflow.db", beside_mlflow=True)
    assert refused.value.hint == "slipway init"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://localhost/db", "needs SQLite or PostgreSQL; got mysql"),
        ("ann:secret", "no database URL that can be used"),
        ("postgresql+psycopg2://localhost/db", "No module named 'psycopg2'"),
        ("postgresql+nothing://localhost/db", "no database URL that can be used"),
    ],
)
def test_another_database_is_refused(url: str, said: str):
    """By name; what is no address at all may be a password, and is not repeated."""
    with pytest.raises(InvalidInput, match=said) as refused:
        open_history(url, beside_mlflow=False)
    assert "secret" not in refused.value.message


def test_a_database_that_goes_away_is_unavailable_and_comes_back(postgres: PostgresServer):
    """Without its password in the message."""
    history = open_history(postgres.create_database(), beside_mlflow=False)
    history.append(event(), after_seq=0)
    postgres.shut_down()
    try:
        with pytest.raises(Unavailable, match=r"the history in postgresql.* does not answer"):
            history.append(event(version=2), after_seq=1)
    finally:
        postgres.start()
    history.append(event(version=2), after_seq=1)
    assert len(history.records(UID)) == 2


def test_a_connection_that_is_lost_while_the_lock_is_taken_is_unavailable(postgres: PostgresServer):
    """The lock is free again, and can be taken the next time."""
    url = postgres.create_database()
    history = open_history(url, beside_mlflow=False)

    def cut(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "advisory" in statement:
            postgres.cut_connections(url.rpartition("/")[2])

    sa.event.listen(history._lock_engine, "before_cursor_execute", cut)
    with pytest.raises(Unavailable, match="does not answer"), history.lock(UID):
        pass
    sa.event.remove(history._lock_engine, "before_cursor_execute", cut)
    with history.lock(UID):
        pass


def test_a_password_is_not_shown():
    """Wherever the message ends up."""
    url = sa.make_url("postgresql://ann:secret@127.0.0.1:9/db").render_as_string(hide_password=False)
    with pytest.raises(Unavailable) as refused:
        open_history(url, beside_mlflow=False)
    assert "secret" not in refused.value.message


def test_a_lock_that_was_lost_meanwhile_lets_nothing_be_recorded(postgres: PostgresServer):
    """PostgreSQL ends sessions, and with one its lock: whoever believes to hold it would decide beside another."""
    uri = postgres.create_database()
    history = open_history(uri, beside_mlflow=False)
    ending = sa.text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    with sa.create_engine(uri).connect() as other, history.lock(UID):
        history.append(event(), after_seq=0)
        other.execute(ending)
        with pytest.raises(Unavailable):
            history.append(event(), after_seq=1)
    assert len(history.records(UID)) == 1
    with history.lock(UID):
        history.append(event(), after_seq=1)


def test_a_session_that_holds_a_lock_is_never_too_idle(postgres: PostgresServer):
    """A promotion may read files for minutes."""
    uri = postgres.create_database()
    with sa.create_engine(uri, isolation_level="AUTOCOMMIT").connect() as connection:
        name = connection.scalar(sa.text("SELECT current_database()"))
        connection.execute(sa.text(f'ALTER DATABASE "{name}" SET idle_session_timeout = 300'))
    history = open_history(uri, beside_mlflow=False)
    with history.lock(UID):
        time.sleep(1)
        history.append(event(), after_seq=0)
