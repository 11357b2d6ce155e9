"""The contracts of `Heartbeats` and `Claims`, on fakes, SQLite and PostgreSQL; through a server: tests/integration."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.registry.engines.heartbeats import ALIVE_WITHIN, FORGOTTEN_AFTER, Claims, Heartbeat, Heartbeats
from slipway.registry.engines.sql_heartbeats import SqlClaims, SqlHeartbeats
from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.text import REASON_CHARACTERS
from tests.doubles.fakes import FakeClaims, FakeHeartbeats

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


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Return a database with the ledger's tables; none for the fakes."""
    if request.param == "fake":
        return None
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path}/history.db"
    else:
        found = request.getfixturevalue("postgres").create_database()
    open_history(found, beside_mlflow=False)
    return found


@pytest.fixture
def heartbeats(url: str | None) -> Heartbeats:
    """Return a place without any word yet."""
    return SqlHeartbeats(url) if url else FakeHeartbeats()


@pytest.fixture
def claims(url: str | None) -> Claims:
    """Return claims without any yet."""
    return SqlClaims(url) if url else FakeClaims()


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


def test_an_engine_speaks_of_each_variant(heartbeats: Heartbeats):
    """Each has a version and a trouble of its own, and what is gone is not said any more."""
    candidate = replace(BEAT, variant="candidate", version=4, problem="it is slow")
    heartbeats.beat([BEAT, candidate])
    assert heartbeats.all() == (candidate, BEAT)
    heartbeats.beat([BEAT])
    assert heartbeats.all() == (BEAT,)


def test_who_has_long_been_silent_is_forgotten(heartbeats: Heartbeats):
    """Engines that are killed say no goodbye, and begin again under other names."""
    old = replace(BEAT, engine="old", at=NOW - FORGOTTEN_AFTER - timedelta(seconds=1))
    quiet = replace(BEAT, engine="quiet", at=NOW - FORGOTTEN_AFTER / 2)
    for each in (old, quiet, BEAT):
        heartbeats.beat([each])
    assert heartbeats.all() == (BEAT, quiet)


def test_an_engine_belongs_to_the_first_until_it_is_released(claims: Claims):
    """Whoever comes later learns whose it is."""
    assert claims.owner("e") is None
    assert [claims.claim("e", user) for user in ("ann", "bob", "ann")] == ["ann"] * 3
    assert claims.claim("other", "bob") == "bob"
    claims.release("e")
    claims.release("e")
    assert (claims.owner("e"), claims.owner("other")) == (None, "bob")
    assert claims.claim("e", "bob") == "bob"


def test_of_many_who_claim_an_engine_at_once_one_has_it(claims: Claims):
    """And all are told the same name."""
    with ThreadPoolExecutor(8) as pool:
        owners = set(pool.map(lambda user: claims.claim("e", user), (f"user {i}" for i in range(24))))
    assert owners == {claims.owner("e")}


def test_a_problem_may_hold_whatever_a_model_printed(heartbeats: Heartbeats):
    """It is stored as far as the database can."""
    heartbeats.beat([replace(BEAT, problem=f"a\0b\ud800{'x' * 100_000}")])
    (found,) = heartbeats.all()
    assert found.problem.startswith("a\ufffdb\ufffdxxx")
    assert len(found.problem) == REASON_CHARACTERS


def test_an_engine_that_was_silent_for_long_is_not_alive():
    """Its row may stand there for ever."""
    assert BEAT.is_alive(NOW + ALIVE_WITHIN / 2)
    assert not BEAT.is_alive(NOW + ALIVE_WITHIN)
