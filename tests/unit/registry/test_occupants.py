"""What alias and history say of a stage, together: of models that moved, were renamed, made anew, and of none."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from registry.aliases import AliasHolder, Wanted
from registry.history import Record
from registry.identity import RegisteredModel
from registry.occupants import Placement, Placements
from registry.version import parse_ref
from tests.fakes import FakeHistory
from tests.unit.registry.test_promote import Desk

PRODUCTION = ("m", "production")


@dataclass
class FakeAliases:
    """The `Aliases` on the stand-in of the registry."""

    desk: Desk
    names: dict[str, str] = field(default_factory=lambda: {"m": "m"})

    def holders(self, wanted: Collection[Wanted]) -> Mapping[Wanted, AliasHolder]:
        known = {name: self.desk.registry.model(of).aliases for name, of in self.names.items()}
        found = {each: known.get(each[0], {}).get(each[1]) for each in wanted}
        return {each: held(number) for each, number in found.items() if number is not None}

    def models_with(self, alias: str) -> tuple[str, ...]:
        return tuple(name for name, of in self.names.items() if alias in self.desk.registry.model(of).aliases)

    def models(self, names: Collection[str]) -> Mapping[str, RegisteredModel]:
        return {
            name: replace(self.desk.registry.model(self.names[name]), name=name) for name in names if name in self.names
        }

    def numbered(self, model: str, number: int) -> AliasHolder | None:
        return held(number) if number in self.desk.registry.known[self.names[model]] else None


@dataclass
class Counted:
    """A history that counts what it is asked, and may not have been begun."""

    inner: FakeHistory
    begun: bool = True
    asked: list[str] = field(default_factory=list)

    def is_there(self) -> bool:
        self.asked.append("is_there")
        return self.begun

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        self.asked.append("moves")
        return self.inner.moves(model_uid)

    def last_seqs(self, model_uids: Collection[str]) -> dict[str, int]:
        self.asked.append("last_seqs")
        return self.inner.last_seqs(model_uids)

    def __getattr__(self, name: str):
        self.asked.append(name)
        return getattr(self.inner, name)


def held(number: int) -> AliasHolder:
    return AliasHolder(number=number, identity=f"default/{number}")


def look(placements: Placements, wanted: Wanted = PRODUCTION) -> Placement | None:
    return placements.look([wanted]).get(wanted)


def placements(desk: Desk, **options) -> tuple[Placements, Counted, FakeAliases]:
    history, aliases = Counted(desk.history), FakeAliases(desk)
    return Placements(aliases, history, **options), history, aliases


def test_a_decision_and_its_alias_agree():
    """And so does a rollback."""
    desk = Desk()
    desk.promote(1, "production")
    desk.promote(2, "production")
    found, *_ = placements(desk)
    assert look(found) == Placement(holder=held(2), occupant=held(2), number=2, is_recorded=True)
    desk.rollback()
    assert look(found) == Placement(holder=held(1), occupant=held(1), number=1, is_recorded=True)


def test_an_alias_that_was_moved_or_removed_changes_nothing_in_the_history():
    """Both are told."""
    desk = Desk()
    desk.promote(1, "production")
    found, *_ = placements(desk)
    desk.registry.set_alias("m", "production", 3)
    assert look(found) == Placement(holder=held(3), occupant=held(1), number=1, is_recorded=True)
    desk.registry.delete_alias("m", "production")
    assert look(found) == Placement(holder=None, occupant=held(1), number=1, is_recorded=True)
    del desk.registry.known["m"][1]
    assert look(found) == Placement(holder=None, number=1, is_recorded=True)


def test_a_stage_that_was_emptied_stays_recorded():
    """An alias that comes back there is nobody's decision."""
    desk = Desk()
    desk.promote(1, "production")
    desk.decisions.demote(parse_ref("m/1"), "bad", to=None, dry_run=False)
    desk.registry.set_alias("m", "production", 2)
    found, *_ = placements(desk)
    assert look(found) == Placement(holder=held(2), is_recorded=True)


def test_what_the_history_never_spoke_of_is_not_recorded():
    """Neither another stage of a model with a history, nor anything where there is none."""
    desk = Desk()
    desk.registry.set_alias("m", "production", 1)
    found, history, _ = placements(desk)
    assert look(found) == Placement(holder=held(1))
    desk.promote(2, "staging")
    assert look(found) == Placement(holder=held(1))
    history.begun = False
    fresh, *_ = placements(desk)
    assert look(fresh) == Placement(holder=held(1))
    assert look(Placements(FakeAliases(desk), None)) == Placement(holder=held(1))
    assert not Placements(FakeAliases(desk), None).has_history


def test_a_history_that_is_not_there_may_come():
    """It is asked for with each look until it is, and then not any more: what comes later is an outage."""
    desk = Desk()
    desk.promote(1, "production")
    found, history, _ = placements(desk)
    history.begun = False
    assert look(found) == Placement(holder=held(1))
    assert not found.has_history
    history.begun = True
    assert look(found).is_recorded
    assert found.has_history
    asked = history.asked.count("is_there")
    look(found)
    assert history.asked.count("is_there") == asked


def test_a_renamed_model_keeps_its_history_and_a_recreated_one_has_none():
    """A name is nobody's for good."""
    desk = Desk()
    desk.promote(1, "production")
    found, _, aliases = placements(desk)
    aliases.names = {"renamed": "m"}
    assert look(found, ("renamed", "production")).is_recorded
    desk.registry.created_ms["m"] += 1
    aliases.names = {"m": "m"}
    assert look(found) == Placement(holder=held(1))


def test_a_history_is_folded_when_it_grew():
    """A look each second must cost little."""
    desk = Desk()
    desk.promote(1, "production")
    found, history, _ = placements(desk)
    look(found)
    history.asked.clear()
    look(found)
    assert history.asked == ["last_seqs"]
    desk.promote(2, "production")
    assert look(found).number == 2
    assert history.asked.count("moves") == 1


def test_a_server_is_asked_when_an_alias_moved_or_time_went_by():
    """Each question costs a check of a password there."""
    desk, now = Desk(), [0.0]
    desk.promote(1, "production")
    found, history, _ = placements(desk, every_s=10.0, clock=lambda: now[0])
    look(found)
    history.asked.clear()
    now[0] = 9.0
    look(found)
    assert history.asked == []
    desk.registry.set_alias("m", "production", 3)
    assert look(found) == Placement(holder=held(3), occupant=held(1), number=1, is_recorded=True)
    assert history.asked
    history.asked.clear()
    now[0] = 19.5
    look(found)
    assert history.asked
