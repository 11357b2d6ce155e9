"""What a promotion and a listing read does not grow with the number of a model's versions and events."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion

from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.sql_migrate import open_history
from tests.generators.deciding import MODEL, Place, prepare, promote
from tests.unit.registry.ledger.test_history import UID, event


@contextmanager
def versions_read() -> Iterator[list[int]]:
    """Note the number of every version that MLflow's store reads, each time."""
    read: list[int] = []

    def note(found: SqlModelVersion, _: object) -> None:
        read.append(found.version)

    sa.event.listen(SqlModelVersion, "load", note)
    try:
        yield read
    finally:
        sa.event.remove(SqlModelVersion, "load", note)


@pytest.fixture
def places(store: Path, empty_database: Path) -> tuple[Place, Place]:
    """Return a registry with few versions and one with more."""
    made = []
    for versions in (4, 12):
        folder = store / str(versions)
        folder.mkdir()
        shutil.copy(empty_database, folder / "mlflow.db")
        made.append(Place(folder=folder, uri=f"sqlite:///{folder}/mlflow.db"))
        prepare(made[-1], versions)
    return made[0], made[1]


def test_a_promotion_reads_as_many_versions_of_many_as_of_few(places: tuple[Place, Place]):
    """MLflow's own client would read all of them before each write."""
    counts = []
    for place in places:
        ledger = place.ledger()
        with versions_read() as read:
            promote(ledger, f"{MODEL}/3", "staging")
        counts.append(len(read))
    assert counts[0] == counts[1]


def test_the_newest_versions_are_listed_without_the_others(places: tuple[Place, Place]):
    """And what their runs recorded comes in their order."""
    registry = places[1].ledger().registry
    with versions_read() as read:
        newest = registry.versions(MODEL, at_most=2)
    assert [version.number for version in newest] == [12, 11]
    assert not set(read) & set(range(5, 10)), "MLflow reads one more, to know whether there is another page"
    assert registry.measured_each(newest) == tuple(registry.measured(version) for version in newest)


@pytest.mark.parametrize(
    ("call", "found_by"),
    [
        (lambda history: history.head(UID), "model_uid=?"),
        (lambda history: history.moves(UID), "slipway_events_by_kind (model_uid=? AND kind=?)"),
        (lambda history: history.about(UID, 1), "slipway_events_by_version (model_uid=? AND version=?)"),
        (lambda history: history.model_uids(prefix="default/1/"), "model_uid>?"),
    ],
)
def test_events_are_found_by_an_index(tmp_path: Path, call, found_by: str):
    """Where SQLite would read a model's whole chain, or everybody's, a promotion would cost more with each event."""
    history = open_history(f"sqlite:///{tmp_path}/history.db", beside_mlflow=False)
    for i in range(20):
        history.append(event(EventKind.GATE_ASSESSED, version=i + 1, stage=None), after_seq=i)
    asked = []

    def note(_connection, _cursor, statement: str, parameters, *_) -> None:
        asked.append((statement, parameters))

    sa.event.listen(history._engine, "before_cursor_execute", note)
    call(history)
    ((statement, parameters),) = asked
    with history._engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).scalars("detail").all()
    assert any(found_by in step for step in plan), plan
    assert not any(step.startswith("SCAN slipway_events") for step in plan), plan
