"""A worker's second transport: the same engine, versions, variants and counts, by another way in."""

import json
from collections.abc import Iterator

import pytest

from tests.servers.engine_on_loop import EngineOnLoop, make_version
from tests.servers.processes import wait_for


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineOnLoop]:
    """Return an engine of two workers that is asked by HTTP and by lines; churn/1 is in production."""
    folder = tmp_path_factory.mktemp("two")
    versions = {number: make_version(number, folder) for number in (1, 2)}
    engine = EngineOnLoop(folder, versions, workers=2)
    engine.registry.holds["churn"] = 1
    with engine:
        wait_for(lambda: engine.served() == [{"churn": 1}] * 2, within_s=30)
        yield engine


def answer(engine: EngineOnLoop) -> tuple[int, str, int]:
    """Return version, variant and label that a line is answered with."""
    word, version, variant, payload = engine.line("churn")
    assert word == b"answered"
    return int(version), variant.decode(), json.loads(payload)["predictions"][0]


def test_both_ways_lead_to_the_version_in_the_stage(engine: EngineOnLoop):
    """Also after it moved, in every worker."""
    assert {answer(engine) for _ in range(20)} == {(1, "stable", 1)}
    engine.registry.holds["churn"] = 2
    wait_for(lambda: engine.served() == [{"churn": 2}] * 2, within_s=30)
    assert {answer(engine) for _ in range(20)} == {(2, "stable", 2)}
    assert {engine.score("churn").label for _ in range(20)} == {2}
    engine.registry.holds["churn"] = 1
    wait_for(lambda: engine.served() == [{"churn": 1}] * 2, within_s=30)


def test_variants_are_chosen_for_both_alike(engine: EngineOnLoop):
    """The choice is the engine's, and no transport's."""
    engine.candidates["churn"] = 2
    wait_for(lambda: {engine.score("churn").variant for _ in range(20)} == {"stable", "candidate"}, within_s=30)
    found = [answer(engine) for _ in range(60)]
    assert set(found) == {(1, "stable", 1), (2, "candidate", 2)}
    engine.candidates.clear()


def test_they_are_counted_together(engine: EngineOnLoop):
    """A request is a request."""
    before = engine.counted("slipway_requests_total")
    engine.line("churn")
    engine.score("churn")
    assert engine.counted("slipway_requests_total") == before + 2


def test_each_refuses_in_its_own_words(engine: EngineOnLoop):
    """The engine says what is wrong, and the transport how that is written."""
    with_text = b'{"dataframe_split": {"columns": ["a", "b"], "data": [["x", 0.0]]}}'
    assert engine.line("churn", with_text)[0] == b"refused"


@pytest.mark.parametrize("how", ["killed", "broken"])
def test_a_worker_that_is_started_anew_has_both(engine: EngineOnLoop, how: str):
    """It is handed every socket. One of whose transports any fails is no whole worker, and ends."""
    n_before = engine.n_started()
    if how == "killed":
        engine.kill(0)
    else:
        assert engine.send_line(b"break") == b""
    wait_for(lambda: engine.n_started() > n_before and len(engine.workers()) == 2, within_s=30)
    assert {answer(engine)[0] for _ in range(20)} == {1}
    assert {engine.score("churn").status for _ in range(20)} == {200}
