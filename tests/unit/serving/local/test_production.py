"""`slipway up` runs scoring servers for what the history has in production, and says where an alias says otherwise."""

from slipway.registry.errors import NotApproved
from slipway.registry.version import parse_ref
from slipway.registry.versions.occupants import StageViews
from slipway.serving.local.production import InProduction
from tests.doubles.fakes import logged_model
from tests.unit.registry.decisions.test_promote import Desk
from tests.unit.registry.versions.test_occupants import Counted, FakeAliases


def looking(desk: Desk) -> tuple[InProduction, list[str]]:
    """Return what looks, and what it says."""
    said: list[str] = []
    stage_views = StageViews(FakeAliases(desk), Counted(desk.history))
    return InProduction("production", stage_views, desk.registry, say=said.append), said


def test_what_was_decided_runs_wherever_the_alias_goes():
    """Moved or removed; it is said once, and a decision is followed."""
    desk = Desk()
    desk.promote(1, "production")
    look, said = looking(desk)
    assert [str(each) for each in look()] == ["m/1"]
    assert said == []
    desk.registry.set_alias("m", "production", 2)
    assert [str(each) for each in look()] == ["m/1"]
    assert [str(each) for each in look()] == ["m/1"]
    (warning,) = said
    assert "points at 2, and the history has 1 there, which is served" in warning
    desk.registry.delete_alias("m", "production")
    assert [str(each) for each in look()] == ["m/1"]
    desk.registry.set_alias("m", "production", 1)
    desk.promote(3, "production")
    assert [str(each) for each in look()] == ["m/3"]
    desk.decisions.demote(parse_ref("m/3"), "bad", to=None, dry_run=False)
    assert look() == []


def test_what_an_alias_alone_says_runs_and_is_said():
    """As before there was a history."""
    desk = Desk()
    desk.registry.set_alias("m", "production", 2)
    look, said = looking(desk)
    assert [str(each) for each in look()] == ["m/2"]
    assert said == ["warning: m@production: an alias put it there, and no decision"]


def test_a_model_that_cannot_be_looked_at_keeps_its_scoring_server():
    """And stops nobody else's; it is said once, and followed again once it can be looked at."""
    desk = Desk()
    desk.promote(1, "production")
    desk.registry.create_version(logged_model(), model="other", description="", tags={})
    desk.registry.set_alias("other", "production", 1)
    aliases, said = FakeAliases(desk, {"m": "m", "other": "other"}), []
    look = InProduction("production", StageViews(aliases, Counted(desk.history)), desk.registry, say=said.append)
    assert [str(each) for each in look()] == ["m/1", "other/1"]
    aliases.refused = {"other": NotApproved("403", code="denied", hint=None)}
    desk.promote(2, "production")
    for _ in range(2):
        assert [str(each) for each in look()] == ["m/2", "other/1"]
    assert said[-1] == "warning: other@production: other cannot be read: 403"
    assert len(said) == 2
    aliases.refused = {}
    desk.registry.create_version(logged_model(), model="other", description="", tags={})
    desk.registry.set_alias("other", "production", 2)
    assert [str(each) for each in look()] == ["m/2", "other/2"]
