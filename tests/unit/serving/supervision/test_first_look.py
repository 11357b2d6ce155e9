"""What an engine is asked to serve, looked at before it starts."""

import time
from collections.abc import Collection
from typing import Any

import pytest

from slipway.registry.errors import InvalidInput, NotFound
from slipway.registry.versions.aliases import AliasHolder
from slipway.registry.versions.occupants import StageView
from slipway.serving.supervision.first_look import There, first_look
from slipway.serving.target import Target

CHURN, IRIS = Target("churn", "production"), Target("iris", "production")


class Views:
    """A registry with churn, of which a version is in production, and iris, of which none is."""

    def models_with(self, alias: str) -> tuple[str, ...]:
        return ("churn",) if alias == "production" else ()

    def model_names(self) -> tuple[str, ...]:
        return "churn", "iris"

    def look(self, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], StageView]:
        view = StageView(holder=AliasHolder(number=1, identity="1"), number=3, is_recorded=True)
        return {each: view for each in wanted if each == ("churn", "production")}


def look(*targets: Target, views: Any = None, served: bool = False, **more: Any) -> There | None:
    return first_look(
        targets,
        stage="production",
        views=views or Views(),
        stages_of=lambda model: ("staging", "production"),
        served_before=lambda target: served,
        **more,
    )


def test_what_is_there_is_named_with_its_version():
    """The one that the history has there; or nothing yet."""
    assert look(CHURN, IRIS) == {CHURN: 3, IRIS: None}
    assert look() == {CHURN: 3}


def test_an_alias_alone_counts_where_the_history_says_nothing():
    """And not where it says that the stage is empty."""
    views = Views()
    holder = AliasHolder(number=1, identity="1")
    views.look = lambda wanted: {("churn", "production"): StageView(holder=holder)}
    assert look(CHURN, views=views) == {CHURN: 1}
    views.look = lambda wanted: {("churn", "production"): StageView(holder=holder, is_recorded=True)}
    assert look(CHURN, views=views) == {CHURN: None}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (Target("chrun", "production"), "there is no model 'chrun' to serve (did you mean 'churn'?)"),
        (Target("nothing", "production"), "there is no model 'nothing' to serve"),
        (
            Target("churn", "prodction"),
            "nothing of churn is in 'prodction', and the policy has no such stage (did you mean 'production'?)",
        ),
    ],
)
def test_a_name_that_is_mistyped_is_told_with_the_nearest(target: Target, said: str):
    """At once; what served here before is served again all the same."""
    with pytest.raises(NotFound) as refused:
        look(CHURN, target)
    assert refused.value.message.startswith(said)
    assert look(CHURN, target, served=True) == {CHURN: 3, target: None}


def test_a_policy_that_cannot_be_read_refuses_no_stage():
    """The engine needs none."""

    def unreadable(model: str) -> Collection[str]:
        raise InvalidInput("no policy", code="wrong-policy", hint=None)

    other = Target("churn", "other")
    found = first_look(
        [other], stage="production", views=Views(), stages_of=unreadable, served_before=lambda target: False
    )
    assert found == {other: None}


@pytest.mark.parametrize("error", [ConnectionError("away"), NotFound("a proxy's 404", code="no-route", hint=None)])
def test_a_registry_that_fails_or_is_slow_keeps_no_engine_from_starting(error: Exception):
    """It is followed when it is there."""
    failing, slow = Views(), Views()

    def fails(wanted: object) -> Any:
        raise error

    def hangs(wanted: object) -> Any:
        time.sleep(5)

    failing.look, slow.look = fails, hangs
    assert look(CHURN, views=failing) is None
    began = time.monotonic()
    assert look(CHURN, views=slow, within_s=0.05) is None
    assert time.monotonic() - began < 3
