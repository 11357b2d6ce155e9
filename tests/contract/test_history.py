"""What every history keeps: the stand-in, SQLite and PostgreSQL alike."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from registry.errors import Conflict, InvalidInput, Unavailable
from registry.events import EventKind
from registry.history import History, verify
from registry.sql_history import SqlHistory
from tests.fakes import FakeHistory
from tests.postgres import PostgresServer
from tests.unit.registry.test_history import UID, event


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def history(request: pytest.FixtureRequest, tmp_path: Path) -> History:
    """Return each history in turn, empty."""
    if request.param == "fake":
        return FakeHistory()
    if request.param == "sqlite":
        return SqlHistory(f"sqlite:///{tmp_path}/history.db", beside_mlflow=False)
    return SqlHistory(request.getfixturevalue("postgres").create_database(), beside_mlflow=False)


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
    for uid, name in (("default/1/m", "m"), ("default/2/m", "m"), ("default/3/n", "n"), ("team_a/1/m", "m")):
        history.append(event(model_uid=uid, model=name), after_seq=0)
    assert history.model_uids(model="m") == ("default/1/m", "default/2/m", "team_a/1/m")
    assert history.model_uids(prefix="default/2/") == ("default/2/m",)
    assert history.model_uids(prefix="team%a/") == ()
    assert len(history.model_uids()) == 4


def test_what_is_applied_never_goes_back(history: History):
    """A late note of an earlier decision changes nothing."""
    assert history.applied(UID) == 0
    for seq in (3, 5, 4):
        history.set_applied(UID, seq)
    assert history.applied(UID) == 5


def test_a_model_is_held_by_one_at_a_time(history: History, monkeypatch: pytest.MonkeyPatch):
    """Another model is free, and so is this one afterwards."""
    monkeypatch.setattr("registry.sql_history.LOCK_WITHIN_S", 0.1)
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

        return SqlHistory(f"sqlite:///{path}", beside_mlflow=False), on_sqlite
    url = request.getfixturevalue("postgres").create_database()

    def on_postgres(statement: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(statement)

    return SqlHistory(url, beside_mlflow=False), on_postgres


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


def test_tables_that_are_there_are_not_made_again(database):
    """A second process opens them, and both see one history."""
    history, _ = database
    history.append(event(), after_seq=0)
    again = SqlHistory(history._url.render_as_string(hide_password=False), beside_mlflow=False)
    assert again.records(UID) == history.records(UID)


def test_mlflows_tables_come_first(tmp_path: Path):
    """Made after ours, MLflow's own migrations would fail."""
    with pytest.raises(InvalidInput, match="no MLflow tables yet") as refused:
        SqlHistory(f"sqlite:///{tmp_path}/mlflow.db", beside_mlflow=True)
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
        SqlHistory(url, beside_mlflow=False)
    assert "secret" not in refused.value.message


def test_a_database_that_goes_away_is_unavailable_and_comes_back(postgres: PostgresServer):
    """Without its password in the message."""
    history = SqlHistory(postgres.create_database(), beside_mlflow=False)
    history.append(event(), after_seq=0)
    postgres.shut_down()
    try:
        with pytest.raises(Unavailable, match=r"the history in postgresql.* does not answer"):
            history.append(event(version=2), after_seq=1)
    finally:
        postgres.start()
    history.append(event(version=2), after_seq=1)
    assert len(history.records(UID)) == 2


def test_a_password_is_not_shown():
    """Wherever the message ends up."""
    url = sa.make_url("postgresql://ann:secret@127.0.0.1:9/db").render_as_string(hide_password=False)
    with pytest.raises(Unavailable) as refused:
        SqlHistory(url, beside_mlflow=False)
    assert "secret" not in refused.value.message
