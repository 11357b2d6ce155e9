"""A promotion puts one version into a stage, alone and nowhere else, and everything that mirrors it follows."""

from datetime import UTC, datetime
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from registry.errors import Conflict, InvalidInput, NotFound
from registry.promote import promote, promotion_tags, propose
from registry.settings import RegistrySettings
from registry.version import VersionRef
from tests.fakes import FakeModelRegistry, logged_model

SETTINGS = RegistrySettings()


def registry_with(count: int) -> FakeModelRegistry:
    """Return a registry with some versions of `m`."""
    registry = FakeModelRegistry(folder=Path())
    for _ in range(count):
        registry.create_version(logged_model(), model="m", description="", tags={})
    registry.writes.clear()
    return registry


def move(registry: FakeModelRegistry, number: int, to: str, settings: RegistrySettings = SETTINGS):
    """Promote `m/number`."""
    ref = VersionRef(model="m", number=number)
    return promote(ref, to=to, tags={"slipway.promoted_by": "ann"}, registry=registry, settings=settings)


def state(registry: FakeModelRegistry) -> dict[int, tuple[list[str], str | None]]:
    """Return aliases and MLflow stage by version."""
    return {v.number: (sorted(v.aliases), v.stage) for v in registry.versions("m")}


def test_a_move_looks_as_the_table_in_the_design_says():
    """Production goes from 2 to 3: aliases move, 3 is Production, 2 is Archived."""
    registry = registry_with(3)
    for number, stage in ((2, "staging"), (2, "production"), (3, "staging")):
        move(registry, number, stage)
    assert state(registry) == {3: (["staging"], "Staging"), 2: (["production"], "Production"), 1: ([], None)}
    done = move(registry, 3, "production")
    assert state(registry) == {3: (["production"], "Production"), 2: ([], "Archived"), 1: ([], None)}
    assert (done.previous, registry.known["m"][3].tags["slipway.stage"]) == (2, "production")
    assert registry.known["m"][3].tags["slipway.promoted_by"] == "ann"


def test_an_older_version_can_replace_a_newer():
    """No other version keeps the label: the highest number with it would win."""
    registry = registry_with(2)
    move(registry, 2, "production")
    move(registry, 1, "production")
    assert state(registry) == {2: ([], "Archived"), 1: (["production"], "Production")}


def test_a_second_promotion_changes_nothing():
    """Applying twice is applying once."""
    registry = registry_with(1)
    move(registry, 1, "production")
    registry.writes.clear()
    assert move(registry, 1, "Production").changes == ()
    assert registry.writes == []


def test_a_proposal_changes_nothing_and_says_what_promote_would():
    """`--dry-run` prints the plan that is carried out."""
    registry = registry_with(2)
    ref = VersionRef(model="m", number=2)
    proposed = propose(ref, to="staging", tags={}, registry=registry, settings=SETTINGS)
    assert registry.writes == []
    assert promote(ref, to="staging", tags={}, registry=registry, settings=SETTINGS) == proposed
    assert str(proposed.changes[0]) == "alias staging → 2"


def test_a_promotion_does_not_lead_down():
    """What is in production does not go back to staging by promotion."""
    registry = registry_with(1)
    move(registry, 1, "production")
    with pytest.raises(Conflict, match="m/1 is in production, above staging"):
        move(registry, 1, "staging")


def test_the_mirror_can_be_turned_off():
    """MLflow's own stages are deprecated; without the mirror they are left alone."""
    registry = registry_with(1)
    move(registry, 1, "production", RegistrySettings(mirror_stages=False))
    assert state(registry) == {1: (["production"], None)}


def test_a_stage_that_mlflow_does_not_know_moves_the_alias_only():
    """There is no label for it."""
    registry = registry_with(1)
    move(registry, 1, "canary", RegistrySettings(stages=("canary", "live")))
    assert state(registry) == {1: (["canary"], None)}


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["staging", "production"])), max_size=8))
def test_a_stage_holds_one_version_and_a_version_is_in_one_stage(moves: list[tuple[int, str]]):
    """Whatever is promoted in whatever order, alias and MLflow stage agree."""
    registry = registry_with(3)
    for number, stage in moves:
        try:
            move(registry, number, stage)
        except Conflict:
            continue
    for aliases, label in state(registry).values():
        assert len(aliases) <= 1
        if aliases:
            assert label == aliases[0].capitalize()
    for label in ("Staging", "Production"):
        holders = [number for number, (_, found) in state(registry).items() if found == label]
        assert len(holders) <= 1


def test_what_does_not_exist_is_not_promoted():
    """An unknown version or stage changes nothing."""
    registry = registry_with(1)
    with pytest.raises(NotFound, match="has no version 7; the latest is 1"):
        move(registry, 7, "staging")
    with pytest.raises(InvalidInput, match="no stage 'prod'"):
        move(registry, 1, "prod")
    assert registry.writes == []


def test_a_reason_is_needed():
    """Whoever reads it later wants to know why."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(InvalidInput, match="a promotion needs a reason"):
        promotion_tags(reason=" ", actor="ann", now=now)
    assert promotion_tags(reason="better", actor="ann", now=now) == {
        "slipway.promoted_at": "2026-01-01T00:00:00+00:00",
        "slipway.promoted_by": "ann",
        "slipway.promoted_because": "better",
    }
