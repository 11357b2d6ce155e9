"""One byte of the history changed by whoever can write the database is found; so is a cut tail."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from slipway import command_line
from slipway.registry.ledger.sql_tables import EVENTS
from tests.generators.deciding import MODEL, Copies, Place

REMOVE_PROTECTION = {
    "sqlite": ("DROP TRIGGER slipway_events_no_UPDATE", "DROP TRIGGER slipway_events_no_DELETE"),
    "postgresql": ("ALTER TABLE slipway_events DISABLE TRIGGER ALL",),
}


@contextmanager
def writing(place: Place) -> Iterator[sa.Connection]:
    """Write to the database behind Slipway's back."""
    engine = sa.create_engine(place.uri)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def unprotected(copies: Copies, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return a registry whose database lets anybody change events."""
    place = copies.of("rollback", request.node.name.partition("[")[0])
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place.uri)
    with writing(place) as connection:
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), connection.begin_nested():
            connection.execute(sa.update(EVENTS).values(version=7))
        for statement in REMOVE_PROTECTION[connection.dialect.name]:
            connection.execute(sa.text(statement))
    return place


def verified(*more: str) -> int:
    """Return how `slipway history --verify` ends."""
    return command_line.run(["history", MODEL, "--verify", *more])


def changed(value: object) -> object:
    """Return a value with its last character or digit changed."""
    if isinstance(value, int):
        return value + 1000
    return f"{value[:-1]}{'0' if value[-1] != '0' else '1'}"


def test_every_byte_counts(unprotected: Place, capsys: pytest.CaptureFixture[str]):
    """Whichever column of whichever row is changed, the verification fails, and names the event."""
    assert verified() == 0
    with writing(unprotected) as connection:
        rows = connection.execute(sa.select(EVENTS).order_by(EVENTS.c.seq)).mappings().all()
    assert len(rows) > 5
    for row in rows:
        here = sa.and_(EVENTS.c.model_uid == row["model_uid"], EVENTS.c.seq == row["seq"])
        for column in EVENTS.columns:
            other = changed(row[column.name])
            with writing(unprotected) as connection:
                connection.execute(sa.update(EVENTS).where(here).values({column.name: other}))
            capsys.readouterr()
            assert verified() == 1, f"{column.name} of event {row['seq']}"
            assert f"event {row['seq']}" in capsys.readouterr().err
            there = {column.name: other, **{key: row[key] for key in ("model_uid", "seq") if key != column.name}}
            place = sa.and_(EVENTS.c.model_uid == there["model_uid"], EVENTS.c.seq == there["seq"])
            with writing(unprotected) as connection:
                connection.execute(sa.update(EVENTS).where(place).values({column.name: row[column.name]}))
    assert verified() == 0


def test_a_removed_event_is_found_and_so_is_a_cut_tail(unprotected: Place, capsys: pytest.CaptureFixture[str]):
    """In the middle by the chain, at the end by the head that the registered model's tag notes."""
    with writing(unprotected) as connection:
        last = connection.scalar(sa.select(sa.func.max(EVENTS.c.seq)))
        connection.execute(sa.delete(EVENTS).where(EVENTS.c.seq == last))
    assert verified() == 1
    assert f"event {last}: noted elsewhere" in capsys.readouterr().err
    with writing(unprotected) as connection:
        connection.execute(sa.delete(EVENTS).where(EVENTS.c.seq == 2))
    assert verified() == 1
    assert "event 2: stored with number 3" in capsys.readouterr().err


def test_a_database_that_was_rewritten_is_found_by_a_head_that_was_noted(
    unprotected: Place, capsys: pytest.CaptureFixture[str]
):
    """Whoever cuts the tail and the tag as well is caught by what was written down elsewhere."""
    assert command_line.run(["history", MODEL]) == 0
    noted = capsys.readouterr().err.split("head: ")[1].strip()
    with writing(unprotected) as connection:
        last = connection.scalar(sa.select(sa.func.max(EVENTS.c.seq)))
        connection.execute(sa.delete(EVENTS).where(EVENTS.c.seq == last))
        connection.execute(sa.text("DELETE FROM registered_model_tags"))
    assert verified() == 0
    assert verified("--head", noted) == 1
    assert "is missing: the end was cut off" in capsys.readouterr().err
