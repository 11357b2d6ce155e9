"""The contract of `Heartbeats`, on the fake and on SQLite; through a server: tests/integration."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from registry.heartbeats import ALIVE_WITHIN, Heartbeat, Heartbeats
from registry.sql_heartbeats import SqlHeartbeats
from registry.sql_migrate import open_history
from tests.fakes import FakeHeartbeats

NOW = datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC)
BEAT = Heartbeat(
    engine="host:8080:1",
    model="cancer",
    stage="production",
    version=3,
    since=NOW - timedelta(hours=1),
    at=NOW,
    runner="compiled",
    address="http://127.0.0.1:8080",
    problem=None,
)


@pytest.fixture(params=["fake", "sqlite"])
def heartbeats(request: pytest.FixtureRequest, tmp_path: Path) -> Heartbeats:
    """Return a place without any word yet."""
    if request.param == "fake":
        return FakeHeartbeats()
    url = f"sqlite:///{tmp_path}/history.db"
    open_history(url, beside_mlflow=False)
    return SqlHeartbeats(url)


def test_an_engines_word_takes_the_place_of_its_earlier_one(heartbeats: Heartbeats):
    """And of no other engine's."""
    other = replace(BEAT, engine="host:8081:2", version=None, since=None, runner=None, problem="its files are gone")
    heartbeats.beat([BEAT, replace(BEAT, model="iris")])
    heartbeats.beat([other])
    later = replace(BEAT, version=4, at=NOW + timedelta(seconds=5))
    heartbeats.beat([later])
    assert heartbeats.all() == (later, other)
    heartbeats.leave(BEAT.engine)
    assert heartbeats.all() == (other,)


def test_an_engine_that_was_silent_for_long_is_not_alive():
    """Its row may stand there for ever."""
    assert BEAT.is_alive(NOW + ALIVE_WITHIN / 2)
    assert not BEAT.is_alive(NOW + ALIVE_WITHIN)
