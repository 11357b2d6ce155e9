"""A promotion whose files are changed meanwhile, by whoever has keys to the store, is undone and on record."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.registry.server.test_app import Office, code


@pytest.fixture
def office(tmp_path: Path) -> Office:
    """Return an office."""
    return Office(tmp_path)


def change_with_the_alias(office: Office, *numbers: int) -> None:
    """Have files of versions changed in the moment in which an alias moves."""

    class Changing(type(office.registry)):
        def set_alias(self, model: str, alias: str, number: int) -> None:
            super().set_alias(model, alias, number)
            for each in numbers:
                (self.folders[f"models:/m-{each}"] / "MLmodel").write_text("flavors: {other: {}}")

    office.registry.__class__ = Changing


def test_the_one_before_is_put_back(office: Office):
    """The answer says what changed; the history has both decisions, the second with why."""
    assert office.moved(1, "production").status == 200
    change_with_the_alias(office, 2)
    answer = office.moved(2, "production")
    assert code(answer) == (500, "changed-while-promoted")
    assert "m/2 was changed while it was promoted to production, which was undone (m/1 is back)" in answer.text
    promoted, undone = office.events()[-2:]
    assert (promoted.kind, promoted.version) == ("VersionPromoted", 2)
    assert (undone.kind, undone.version) == ("VersionRolledBack", 1)
    assert "undone: m/2 is not stored as it was registered: changed: MLmodel" in undone.reason
    assert office.registry.model("m").aliases == {"production": 1}


def test_where_none_was_before_the_stage_is_empty_again(office: Office):
    """Nothing damaged stays in it."""
    change_with_the_alias(office, 1)
    answer = office.moved(1, "production")
    assert (code(answer)[1], "nothing is there now" in answer.text) == ("changed-while-promoted", True)
    assert office.events()[-1].kind == "VersionDemoted"
    assert office.registry.model("m").aliases == {}


def test_where_the_one_before_is_damaged_too_the_stage_is_empty(office: Office):
    """The reason names both."""
    assert office.moved(1, "production").status == 200
    change_with_the_alias(office, 1, 2)
    assert code(office.moved(2, "production"))[1] == "changed-while-promoted"
    event = office.events()[-1]
    assert event.kind == "VersionDemoted"
    assert "m/2 is not stored" in event.reason
    assert "m/1 is not stored" in event.reason
    assert office.registry.model("m").aliases == {}


def die_at_the_alias(office: Office) -> None:
    """Have the server die after a decision is recorded, before anything follows from it: once."""

    class Dying(type(office.registry)):
        def set_alias(self, model: str, alias: str, number: int) -> None:
            office.registry.__class__ = Dying.__base__
            raise RuntimeError("the server dies")

    office.registry.__class__ = Dying


@pytest.mark.parametrize("ask", [lambda office: office.get("/status"), lambda office: office.moved(3, "staging")])
def test_what_was_changed_before_a_decision_was_applied_enters_nowhere(office: Office, ask):
    """Whoever comes next finishes what a server that died had decided: they read the files first, as it would have."""
    assert office.moved(1, "production").status == 200
    die_at_the_alias(office)
    with pytest.raises(RuntimeError, match="the server dies"):
        office.moved(2, "production")
    (office.registry.folders["models:/m-2"] / "MLmodel").write_text("flavors: {other: {}}")
    assert ask(office).status == 200
    assert office.registry.model("m").aliases["production"] == 1
    promoted, undone = [each for each in office.events() if each.version in (1, 2) and each.stage == "production"][-2:]
    assert (promoted.kind, promoted.version) == ("VersionPromoted", 2)
    assert (undone.kind, undone.version, undone.actor) == ("VersionRolledBack", 1, promoted.actor)
    assert "undone, since its alias was elsewhere and: m/2 is not stored as it was registered" in undone.reason


AGAIN = {"version": "m/2", "stage": "production", "reason": "it belongs there"}


@pytest.mark.parametrize(
    "ask", [lambda office: office.post("/promotions", AGAIN), lambda office: office.moved(3, "staging")]
)
@pytest.mark.parametrize("anew", [True, False])
def test_an_alias_that_was_moved_behind_the_history_is_put_back_to_what_was_chosen_alone(
    office: Office, ask, anew: bool
):
    """The number may be another version's by now: it was deleted and made again, or MLflow's database restored."""
    assert office.moved(1, "production").status == 200
    assert office.moved(2, "production").status == 200
    office.registry.set_alias("m", "production", 1)
    if anew:
        before = office.registry.known["m"][2]
        other = replace(before, source="models:/m-3", created_at=before.created_at + timedelta(days=1))
        office.registry.known["m"][2] = other
    else:
        (office.registry.folders["models:/m-2"] / "MLmodel").write_text("flavors: {other: {}}")
    ask(office)
    assert office.registry.model("m").aliases["production"] == 1
    undone = next(each for each in reversed(office.events()) if each.stage == "production")
    assert (undone.kind, undone.version) == ("VersionRolledBack", 1)
    assert "undone, since its alias was elsewhere and: m/2 is " in undone.reason


def test_an_alias_that_was_moved_behind_the_history_is_put_back(office: Office):
    """Where its version is what was chosen."""
    assert office.moved(1, "production").status == 200
    assert office.moved(2, "production").status == 200
    office.registry.set_alias("m", "production", 1)
    assert office.moved(2, "production").status == 200
    assert office.registry.model("m").aliases["production"] == 2
    assert office.events()[-1].version == 2


def test_what_is_whole_when_a_decision_is_finished_stays(office: Office):
    """Nothing is undone of it."""
    die_at_the_alias(office)
    with pytest.raises(RuntimeError, match="the server dies"):
        office.moved(1, "production")
    assert office.get("/status").status == 200
    assert office.registry.model("m").aliases == {"production": 1}
    assert office.events()[-1].kind == "VersionPromoted"
