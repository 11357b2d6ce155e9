"""A path means one target, whatever names people give to their models."""

from itertools import permutations
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from slipway.registry.errors import NotFound
from slipway.serving.engine.engine import Engine
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.target import Target
from slipway.serving.transports.http.routes import MOST_SPELLINGS, scoring_routes, words_of
from slipway.serving.transports.placements import find_placement
from tests.doubles.serving_stand_ins import Lane, engine_with

PROTOCOLS = protocols_of(Lane())
CHURN, OTHERS_STAGE = Target("churn", "production"), Target("churn@production", "production")
SPACED, CODED = Target("a b", "production"), Target("a%20b", "production")


def engine_of(*targets: Target) -> Engine:
    """Return an engine that has these targets, in this order, and nothing in place yet."""
    engine, _ = engine_with()
    for target in targets:
        engine.expect(target)
    return engine


def asked(engine: Engine, path: str) -> Target | None:
    """Return the target that a path reaches."""
    route = scoring_routes(engine, PROTOCOLS)[path.encode()]
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


ODD = Target("größe(neu)[1]", "production")
PLUS, SPACE = Target("a+b", "production"), Target("a b", "production")


@pytest.mark.parametrize(
    "name",
    [
        "gr%C3%B6%C3%9Fe(neu)%5B1%5D",  # encodeURIComponent of JavaScript
        "gr%C3%B6%C3%9Fe%28neu%29%5B1%5D",  # quote of Python, PathEscape of Go, URLEncoder of Java
        "gr%c3%b6%c3%9fe%28neu%29[1]",
        "%67r%C3%B6%C3%9Fe(neu)[1]%40production",
        "gr%C3%B6%C3%9Fe(neu)[1]@production",
    ],
)
@pytest.mark.parametrize("rest", ["", "/", "?trace=1", "/?a=b/c"])
def test_every_way_to_write_a_name_means_the_same(name: str, rest: str):
    """Codes in upper or lower case, also of what needs none; a slash at the end; a query."""
    engine = engine_of(ODD)
    assert asked(engine, f"/models/{name}/invocations{rest}") == ODD
    assert find_placement(engine, words_of(f"/models/{name}{rest}".encode())[1]).target == ODD
    assert asked(engine, f"/invocations{rest}") == ODD


def test_a_plus_is_a_plus():
    """It means a space in forms, and in no path."""
    engine = engine_of(PLUS, SPACE)
    assert asked(engine, "/models/a+b/predict") == asked(engine, "/models/a%2Bb/predict") == PLUS
    assert asked(engine, "/models/a%20b/predict") == SPACE


@pytest.mark.parametrize(
    "path", ["/models/churn//invocations", "//models/churn/invocations", "/models/churn/invocations//"]
)
def test_an_empty_word_is_one(path: str):
    """It is none of those that name a target."""
    assert asked(engine_of(CHURN), path) is None


def test_what_is_no_utf_8_is_nobodys_name():
    """Also where a name holds the sign that stands for what cannot be read."""
    engine = engine_of(Target("\ufffd", "production"), CHURN)
    assert asked(engine, "/models/%FF/invocations") is None
    assert asked(engine, "/models/%EF%BF%BD/invocations") == Target("\ufffd", "production")


def test_ever_new_spellings_are_answered_and_not_kept():
    """A worker's memory is its own."""
    routes = scoring_routes(engine_of(CHURN), PROTOCOLS)
    for number in range(MOST_SPELLINGS + 10):
        assert routes[f"/models/churn/invocations?{number}".encode()]
    assert routes[b"/models/churn/invocations?" + b"x" * 10_000]
    assert len(routes) <= MOST_SPELLINGS


NAMES = some.text(some.sampled_from("ab%2@+ üé[(]/?#\u0308"), min_size=1, max_size=6)


@given(names=some.lists(NAMES, min_size=1, max_size=4, unique=True), safe=some.sampled_from(["", "@", "()[]+@"]))
@example(names=["a", "a@production"], safe="")
@example(names=["a%2Fb", "a/b"], safe="")
def test_post_and_get_find_the_same_target(names: list[str], safe: str):
    """By whichever name, written in whichever way, and never another's."""
    engine = engine_of(*(Target(name, "production") for name in names))
    for name in names:
        for written in (quote(f"{name}@production", safe=safe), quote(name, safe=safe)):
            found = asked(engine, f"/models/{written}/invocations")
            try:
                shown = find_placement(engine, words_of(f"/models/{written}".encode())[1]).target
            except NotFound:
                shown = None
            assert found == shown
        assert asked(engine, f"/models/{quote(f'{name}@production', safe='')}/predict") == Target(name, "production")
