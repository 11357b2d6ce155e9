"""What alias and history say of a stage, together: of models that moved, were renamed, made anew, and of none."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from slipway.registry.errors import Corrupt, NotApproved, NotFound, SlipwayError, Unavailable
from slipway.registry.ledger.chain import Head, Record
from slipway.registry.ledger.situation import look as look_at
from slipway.registry.manifest import manifest_of
from slipway.registry.registered_model import RegisteredModel
from slipway.registry.version import VersionRef, parse_ref
from slipway.registry.versions.aliases import AliasHolder, Wanted
from slipway.registry.versions.occupants import StageView, StageViews
from tests.doubles.fakes import FakeHistory, logged_model
from tests.unit.registry.decisions.test_promote import CHOSEN, Desk

PRODUCTION = ("m", "production")


@dataclass
class FakeAliases:
    """The `Aliases` on the stand-in of the registry."""

    desk: Desk
    names: dict[str, str] = field(default_factory=lambda: {"m": "m"})
    refused: dict[str, SlipwayError] = field(default_factory=dict)

    def holders(self, wanted: Collection[Wanted]) -> Mapping[Wanted, AliasHolder]:
        for model, _ in wanted:
            if model in self.refused:
                raise self.refused[model]
        known = {name: self.desk.registry.model(of).aliases for name, of in self.names.items()}
        found = {each: known.get(each[0], {}).get(each[1]) for each in wanted}
        return {each: held(number) for each, number in found.items() if number is not None}

    def models_with(self, alias: str) -> tuple[str, ...]:
        return tuple(name for name, of in self.names.items() if alias in self.desk.registry.model(of).aliases)

    def model_names(self) -> tuple[str, ...]:
        return tuple(self.names)

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

    def heads(self, model_uids: Collection[str]) -> dict[str, Head]:
        self.asked.append("heads")
        return self.inner.heads(model_uids)

    def __getattr__(self, name: str):
        self.asked.append(name)
        return getattr(self.inner, name)


def held(number: int) -> AliasHolder:
    return AliasHolder(number=number, identity=f"default/{number}")


def look(stage_views: StageViews, wanted: Wanted = PRODUCTION) -> StageView | None:
    return stage_views.look([wanted]).get(wanted)


def stage_views(desk: Desk, **options) -> tuple[StageViews, Counted, FakeAliases]:
    history, aliases = Counted(desk.history), FakeAliases(desk)
    return StageViews(aliases, history, **options), history, aliases


def test_a_decision_and_its_alias_agree():
    """And so does a rollback."""
    desk = Desk()
    desk.promote(1, "production")
    desk.promote(2, "production")
    found, *_ = stage_views(desk)
    assert look(found) == StageView(holder=held(2), occupant=held(2), number=2, is_recorded=True, manifest=CHOSEN)
    desk.rollback()  # to one that nobody has registered
    assert look(found) == StageView(holder=held(1), occupant=held(1), number=1, is_recorded=True)


def test_an_alias_that_was_moved_or_removed_changes_nothing_in_the_history():
    """Both are told."""
    desk = Desk()
    desk.promote(1, "production")
    found, *_ = stage_views(desk)
    desk.registry.set_alias("m", "production", 3)
    assert look(found) == StageView(holder=held(3), occupant=held(1), number=1, is_recorded=True, manifest=CHOSEN)
    desk.registry.delete_alias("m", "production")
    assert look(found) == StageView(holder=None, occupant=held(1), number=1, is_recorded=True, manifest=CHOSEN)
    del desk.registry.known["m"][1]
    assert look(found) == StageView(holder=None, number=1, is_recorded=True, manifest=CHOSEN)


def test_a_stage_that_was_emptied_stays_recorded():
    """An alias that comes back there is nobody's decision."""
    desk = Desk()
    desk.promote(1, "production")
    desk.decisions.demote(parse_ref("m/1"), "bad", to=None, dry_run=False)
    desk.registry.set_alias("m", "production", 2)
    found, *_ = stage_views(desk)
    assert look(found) == StageView(holder=held(2), is_recorded=True)


def test_what_the_history_never_spoke_of_is_not_recorded():
    """Neither another stage of a model with a history, nor anything where there is none."""
    desk = Desk()
    desk.registry.set_alias("m", "production", 1)
    found, history, _ = stage_views(desk)
    assert look(found) == StageView(holder=held(1))
    desk.promote(2, "staging")
    assert look(found) == StageView(holder=held(1))
    history.begun = False
    fresh, *_ = stage_views(desk)
    assert look(fresh) == StageView(holder=held(1))
    assert look(StageViews(FakeAliases(desk), None)) == StageView(holder=held(1))
    assert not StageViews(FakeAliases(desk), None).has_history


def test_a_history_that_is_not_there_may_come():
    """It is asked for with each look until it is, and then not any more: what comes later is an outage."""
    desk = Desk()
    desk.promote(1, "production")
    found, history, _ = stage_views(desk)
    history.begun = False
    assert look(found) == StageView(holder=held(1))
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
    found, _, aliases = stage_views(desk)
    aliases.names = {"renamed": "m"}
    assert look(found, ("renamed", "production")).is_recorded
    desk.registry.created_ms["m"] += 1
    aliases.names = {"m": "m"}
    assert look(found) == StageView(holder=held(1))


def test_another_history_of_the_same_length_is_read_anew():
    """After a restore, what was decided since has the numbers of what is lost."""
    desk, other = Desk(), Desk()
    for each, number in ((desk, 2), (other, 3)):
        each.promote(1, "production")
        each.promote(number, "production")
    found, history, _ = stage_views(desk)
    assert look(found).number == 2
    history.inner.chains = other.history.chains
    assert look(found).number == 3


def test_a_history_is_folded_when_it_grew():
    """A look each second must cost little."""
    desk = Desk()
    desk.promote(1, "production")
    found, history, _ = stage_views(desk)
    look(found)
    history.asked.clear()
    look(found)
    assert history.asked == ["heads"]
    desk.promote(2, "production")
    assert look(found).number == 2
    assert history.asked.count("moves") == 1


@pytest.mark.parametrize("stale", ["promoted", "first", "none"])
def test_moves_that_are_older_than_the_end_of_the_history_are_gone_on_from(stale: str):
    """What lies between may answer one question from a while ago, and the next one anew."""
    desk = Desk()
    moves_then = {"none": ()}
    for name, number in (("first", 1), ("promoted", 2)):
        desk.promote(number, "production")
        moves_then[name] = desk.history.moves(look_at("m", desk.ledger).model_uid)
    desk.rollback(from_version=2)
    found, history, _ = stage_views(desk)
    history.moves = lambda uid: moves_then[stale]
    assert look(found).number == 1


def test_records_that_do_not_lead_to_the_end_of_the_history_are_not_served_from():
    """The end is of another moment than all of them: it is asked again, and what serves goes on."""
    desk, other = Desk(), Desk()
    for each, number in ((desk, 2), (other, 3)):
        each.promote(1, "production")
        each.promote(number, "production")
    found, history, _ = stage_views(desk)
    then = desk.history.chains
    older, newer = {uid: some[:-1] for uid, some in then.items()}, other.history.chains
    for chains in (older, newer):
        history.moves = lambda uid, chains=chains: chains[uid]
        history.walk = lambda uid, after_seq=0, chains=chains: iter(chains[uid][after_seq:])
        with pytest.raises(Unavailable, match="were not read in one moment"):
            look(found)


def test_moves_that_came_after_the_end_was_read_wait_for_the_next_time():
    """Somebody decides in between."""
    desk = Desk()
    desk.promote(1, "production")
    found, history, _ = stage_views(desk)
    ends = history.heads

    def heads(uids: Collection[str]) -> dict[str, Head]:
        read = ends(uids)
        if len(desk.history.moves(next(iter(read)))) == 1:
            desk.promote(2, "production")
        return read

    history.heads = heads
    assert look(found).number == 1
    assert look(found).number == 2


def test_a_server_is_asked_when_an_alias_moved_or_time_went_by():
    """Each question costs a check of a password there."""
    desk, now = Desk(), [0.0]
    desk.promote(1, "production")
    found, history, _ = stage_views(desk, every_s=10.0, clock=lambda: now[0])
    look(found)
    history.asked.clear()
    now[0] = 9.0
    look(found)
    assert history.asked == []
    desk.registry.set_alias("m", "production", 3)
    assert look(found) == StageView(holder=held(3), occupant=held(1), number=1, is_recorded=True, manifest=CHOSEN)
    assert history.asked
    history.asked.clear()
    now[0] = 19.5
    look(found)
    assert history.asked


OTHER = ("other", "production")
REFUSALS = {
    NotApproved: NotApproved("403", code="mlflow-permission-denied", hint=None),
    NotFound: NotFound("404", code="mlflow-resource-does-not-exist", hint=None),
    Corrupt: Corrupt("a stored event cannot be read", code="unreadable-event", hint=None),
    Unavailable: Unavailable("500", code="mlflow-internal-error", hint=None),
}


@dataclass
class Stumbling(Counted):
    """A history that raises about one model, by one of its calls."""

    uid: str = ""
    by: str = ""
    error: SlipwayError = REFUSALS[Corrupt]

    def moves(self, model_uid: str) -> tuple[Record, ...]:
        self._may("moves", [model_uid])
        return super().moves(model_uid)

    def heads(self, model_uids: Collection[str]) -> dict[str, Head]:
        self._may("heads", model_uids)
        return super().heads(model_uids)

    def walk(self, model_uid: str, *, after_seq: int = 0) -> Iterator[Record]:
        self._may("walk", [model_uid])
        return self.inner.walk(model_uid, after_seq=after_seq)

    def _may(self, call: str, model_uids: Collection[str]) -> None:
        if call == self.by and self.uid in model_uids:
            raise self.error


def two_models() -> Desk:
    """Return a desk with m/1 and other/1 in production, by the history."""
    desk = Desk()
    desk.promote(1, "production")
    desk.registry.create_version(logged_model(), model="other", description="", tags={})
    return desk


@pytest.mark.parametrize("kind", list(REFUSALS))
def test_a_model_that_is_refused_is_its_own_trouble(kind: type[SlipwayError]):
    """Its owner, or what broke there, stops nobody from following the others; what all are refused is raised."""
    found, _, aliases = stage_views(two_models())
    aliases.names |= {"other": "other"}
    aliases.refused = {"other": REFUSALS[kind]}
    seen = found.look([OTHER, PRODUCTION])
    assert seen[PRODUCTION] == StageView(holder=held(1), occupant=held(1), number=1, is_recorded=True, manifest=CHOSEN)
    assert seen[OTHER] == StageView(holder=None, trouble=REFUSALS[kind].message, is_denied=kind is NotApproved)
    aliases.refused = {"other": REFUSALS[kind], "m": REFUSALS[kind]}
    with pytest.raises(kind):
        found.look([OTHER, PRODUCTION])
    aliases.refused = {}
    assert OTHER not in found.look([OTHER, PRODUCTION])


@pytest.mark.parametrize("kind", list(REFUSALS))
@pytest.mark.parametrize("call", ["moves", "heads", "walk"])
def test_a_history_that_cannot_be_read_is_its_models_own_trouble(call: str, kind: type[SlipwayError]):
    """Whichever question about it fails; it is followed again once it can be read."""
    desk = two_models()
    uid, aliases = look_at("m", desk.ledger).model_uid, FakeAliases(desk, {"m": "m", "other": "other"})
    history = Stumbling(desk.history, uid=uid, by=call, error=REFUSALS[kind])
    desk.registry.set_alias("other", "production", 1)
    found = StageViews(aliases, history)
    seen = found.look([PRODUCTION, OTHER])
    assert seen[PRODUCTION].trouble == REFUSALS[kind].message
    assert seen[OTHER] == StageView(holder=held(1))
    history.by = ""
    assert found.look([PRODUCTION, OTHER])[PRODUCTION].number == 1


def test_a_registry_that_answers_nothing_is_not_asked_about_each():
    """Each question may take its whole time; then it is an outage, not the trouble of many models."""
    now = [0.0]

    class Slow(FakeAliases):
        def holders(self, wanted: Collection[Wanted]) -> Mapping[Wanted, AliasHolder]:
            now[0] += 30.0
            asked.append(len(wanted))
            raise REFUSALS[Unavailable]

    asked: list[int] = []
    found = StageViews(Slow(Desk()), None, clock=lambda: now[0])
    with pytest.raises(Unavailable):
        found.look([PRODUCTION, OTHER])
    assert asked == [2]


def test_an_identity_is_not_kept_from_before_there_was_a_history(tmp_path: Path):
    """The history calls a model by the name that it had at its first event."""

    def rename(name: str, new_name: str) -> None:
        desk.registry.rename(name, new_name)
        known = desk.registry.known
        known[new_name] = {n: replace(each, model=new_name) for n, each in known[new_name].items()}

    desk = Desk()
    desk.registry.folder = tmp_path
    found, *_ = stage_views(desk)
    desk.registry.set_alias("m", "production", 1)
    assert look(found) == StageView(holder=held(1))
    rename("m", "first")
    desk.decisions.adopt(VersionRef(model="first", alias="production"), "was there", dry_run=False)
    rename("first", "m")
    assert look(found) == StageView(
        holder=held(1), occupant=held(1), number=1, is_recorded=True, manifest=manifest_of(tmp_path).digest
    )
