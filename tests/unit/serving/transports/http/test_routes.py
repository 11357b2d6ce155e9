"""A path means one target, whatever names people give to their models."""

from itertools import permutations
from urllib.parse import quote

import pytest

from slipway.registry.errors import NotFound
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.target import Target
from slipway.serving.transports.http.routes import find_placement, scoring_routes
from tests.doubles.serving_stand_ins import EngineWithLane, engine_with

CHURN, OTHERS_STAGE = Target("churn", "production"), Target("churn@production", "production")
SPACED, CODED = Target("a b", "production"), Target("a%20b", "production")


def engine_of(*targets: Target) -> EngineWithLane:
    """Return an engine that has these targets, in this order, and nothing in place yet."""
    engine, _ = engine_with()
    for target in targets:
        engine.expect(target)
    return engine


def asked(engine: EngineWithLane, path: str) -> Target | None:
    """Return the target that a path reaches."""
    route = scoring_routes(engine, protocols_of(engine.lane)).get(path.encode())
    return route[0].target if route else None


@pytest.mark.parametrize("targets", list(permutations([CHURN, OTHERS_STAGE])))
def test_a_models_name_is_not_taken_for_anothers_stage(targets: tuple[Target, ...]):
    """In whichever order they came; it is asked with its own stage."""
    engine = engine_of(*targets)
    for name in ("churn@production", quote("churn@production", safe=""), "churn"):
        assert asked(engine, f"/models/{name}/invocations") == CHURN
    assert asked(engine, "/models/churn@production@production/invocations") == OTHERS_STAGE
    assert find_placement(engine, "churn@production").target == CHURN
    assert find_placement(engine, "churn@production@production").target == OTHERS_STAGE


def test_nor_where_the_other_is_not_there_yet():
    """Who asks for its stage is told that there is none."""
    engine = engine_of(OTHERS_STAGE, Target("iris", "production"))
    assert asked(engine, "/models/churn@production/invocations") is None
    with pytest.raises(NotFound):
        find_placement(engine, "churn@production")


@pytest.mark.parametrize("targets", list(permutations([SPACED, CODED])))
def test_a_code_in_a_name_is_not_taken_for_what_it_stands_for(targets: tuple[Target, ...]):
    """As in any URL: `%` itself is written `%25`."""
    engine = engine_of(*targets)
    assert asked(engine, "/models/a%20b/invocations") == SPACED
    assert asked(engine, "/models/a%2520b/invocations") == CODED
