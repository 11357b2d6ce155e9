"""What the registry does not take is reported and tried again; it keeps nobody from deciding, and nothing else back."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.registry.decisions.carry_out import carry_out, propose, settled
from slipway.registry.decisions.ledger_decisions import LedgerDecisions, going_back
from slipway.registry.decisions.projection import TAG_CHARACTERS
from slipway.registry.decisions.status import status_from, status_of
from slipway.registry.errors import Conflict, InvalidInput, NotFound, SlipwayError, Unavailable
from slipway.registry.ledger.chain import record_of
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.situation import look
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.policy.roles import anybody
from slipway.registry.problem import Problem
from slipway.registry.text import require_storable
from slipway.registry.version import VersionRef, parse_ref
from tests.doubles.fakes import logged_model
from tests.unit.registry.decisions.test_promote import Desk

WRITES = ("set_alias", "delete_alias", "set_mlflow_stage", "set_tags", "set_model_tag")


class Refusing:
    """A registry that refuses some of its writes, as a database does that cannot hold a value."""

    def __init__(self, inner: Any, *calls: str, error: type[SlipwayError] = Unavailable) -> None:
        self._inner, self.calls, self._error = inner, set(calls), error

    def __getattr__(self, name: str) -> Any:
        if name in self.calls:
            return self._refuse
        return getattr(self._inner, name)

    def _refuse(self, *_: object) -> None:
        raise self._error("cannot contain NUL", code="mlflow-internal-error", hint=None)


def desk_refusing(*calls: str, error: type[SlipwayError] = Unavailable) -> tuple[Desk, Refusing]:
    """Return a desk where 2 followed 1 in production, on a registry that refuses calls from then on."""
    desk = Desk()
    desk.promote(1, "production")
    desk.promote(2, "production")
    refusing = Refusing(desk.registry, *calls, error=error)
    desk.ledger = replace(desk.ledger, registry=refusing)
    return desk, refusing


@pytest.mark.parametrize("error", [Unavailable, InvalidInput, NotFound])
@pytest.mark.parametrize("call", ["set_tags", "set_mlflow_stage", "set_model_tag"])
def test_a_tag_or_label_that_cannot_be_written_keeps_nothing_back(call: str, error: type[SlipwayError]):
    """The aliases follow, the answer says what did not, the next decision is made, and later all is written."""
    desk, refusing = desk_refusing(call, error=error)
    done = desk.rollback()
    assert done.event.version == 1
    assert desk.registry.model("m").aliases == {"production": 1}
    assert any("cannot contain NUL" in each for each in done.unapplied)
    assert desk.history.applied(look("m", desk.ledger).model_uid) < done.seq
    again = desk.promote(3, "production")
    assert desk.registry.model("m").aliases == {"production": 3}
    assert again.previous == 1
    refusing.calls.clear()
    assert settled("m", desk.ledger).unapplied == ()
    assert desk.history.applied(look("m", desk.ledger).model_uid) == again.seq
    assert desk.registry.known["m"][3].tags["slipway.stage"] == "production"
    assert desk.shown()[3] == (["production"], "Production")
    assert desk.registry.model_tags["m"]["slipway.head"] == str(look("m", desk.ledger).head)


def test_an_alias_that_was_not_moved_is_an_error_of_whoever_decided_that_and_of_nobody_else():
    """It is what serving follows; the decision is recorded, and applied as soon as that can be done."""
    desk, refusing = desk_refusing("set_alias")
    with pytest.raises(Unavailable, match=r"recorded as event 3, and what follows .* alias production → 1: cannot"):
        desk.rollback()
    assert desk.registry.known["m"][1].tags["slipway.stage"] == "production", "the rest was written"
    (row,) = status_of(desk.registry.model("m"), desk.ledger).stages
    assert (row.version, row.wrong) == ("1", "the alias was moved to 2 behind the history")
    refusing.calls.clear()
    assert status_of(desk.registry.model("m"), desk.ledger).stages[0].wrong is None
    assert desk.registry.model("m").aliases == {"production": 1}


def test_another_stages_alias_keeps_no_rollback_from_its_own():
    """A decision about staging that could not be applied is reported with it."""
    desk, _ = desk_refusing()
    decision = desk.promotion(3, "staging")

    class OnlyStaging(Refusing):
        def __getattr__(self, name: str) -> Any:
            real = getattr(self._inner, name)
            if name != "set_alias":
                return real
            return lambda model, alias, number: self._refuse() if alias == "staging" else real(model, alias, number)

    desk.ledger = replace(desk.ledger, registry=OnlyStaging(desk.registry))
    with pytest.raises(Unavailable, match="alias staging"):
        carry_out("m", decision, desk.ledger)
    done = desk.rollback()
    assert desk.registry.model("m").aliases == {"production": 1}
    assert any(each.startswith("alias staging → 3") for each in done.unapplied)


def decisions_of(desk: Desk) -> LedgerDecisions:
    """Return the decisions on what a desk has now."""
    return LedgerDecisions(ledger=desk.ledger, who=desk.who, may=anybody)


def test_status_answers_for_all_others_and_tells_what_is_wrong_with_one():
    """In JSON too; the receipt of a decision carries it as a note."""
    desk, _ = desk_refusing("set_tags")
    desk.registry.create_version(logged("m2"), model="other", description="", tags={})
    desk.registry.set_alias("other", "production", 1)
    done = decisions_of(desk).rollback(
        "m", "bad", stage=None, from_version=2, to_version=None, skip_damaged=False, dry_run=False
    )
    assert done.version == "m/1"
    assert any("the registry does not take what the history says: tags of" in note for note in done.notes)
    found = decisions_of(desk).status()
    assert {(row.model, row.version) for row in found.stages} == {("m", "1"), ("other", "1")}
    assert {problem.model for problem in found.problems} == {"m"}
    assert "cannot contain NUL" in found.to_document()["problems"][0]["problem"]


def logged(run: str) -> Any:
    """Return a logged model of a run."""
    return logged_model(run_id=run)


def test_status_answers_where_a_model_cannot_be_read():
    """Its history is not what this Slipway can read, or its registry does not answer for it."""
    desk = Desk()
    desk.promote(1, "production")
    desk.registry.create_version(logged("m2"), model="other", description="", tags={})
    desk.registry.set_alias("other", "production", 1)
    uid = look("m", desk.ledger).model_uid
    record = desk.history.chains[uid][-1]
    desk.history.chains[uid][-1] = replace(record, text="{")
    found = decisions_of(desk).status()
    assert [row.model for row in found.stages] == ["other"]
    (problem,) = found.problems
    assert (problem.model, "cannot be read" in problem.problem) == ("m", True)


def test_status_answers_whatever_the_policy_says_and_whether_engines_can_be_heard():
    """Both are said."""
    desk = Desk()
    desk.promote(1, "production")
    refusing = Refusing(None, "beats")
    desk.document = {"stages": {}, "surprise": 1}
    found = replace(decisions_of(desk), beats=refusing.beats).status()
    assert [row.version for row in found.stages] == ["1"]
    assert [problem.model for problem in found.problems] == [None, None]
    assert "default policy" in found.problems[0].problem
    assert "what engines say cannot be read" in found.problems[1].problem


@pytest.mark.parametrize("error", [InvalidInput, NotFound])
def test_status_and_rollback_need_no_policy(error: type[SlipwayError]):
    """Whether it cannot be read, or is not where the settings say."""
    desk = Desk()
    desk.promote(1, "production")
    desk.promote(2, "production")

    def policies() -> PolicyBook:
        raise error("there is none", code="none", hint=None)

    decisions = replace(decisions_of(desk), ledger=replace(desk.ledger, policies=policies))
    found = decisions.status()
    assert [row.version for row in found.stages] == ["2"]
    assert "there is none; stages and roles are taken from" in found.problems[0].problem
    anything = {"stage": None, "from_version": 2, "to_version": None, "skip_damaged": False, "dry_run": False}
    done = decisions.rollback("m", "errors doubled", **anything)
    assert (done.version, "there is none" in done.notes[0]) == ("m/1", True)
    with pytest.raises(error):
        decisions.archive(parse_ref("m/2"), "x", dry_run=False)


def test_a_stage_that_the_policy_has_no_more_is_shown_with_a_way_out():
    """What is in it is not forgotten."""
    desk = Desk()
    desk.promote(1, "production")
    desk.promote(2, "staging")
    desk.document = {"stages": {"production": {"checks": {"lineage": {}}, "enter_from": "any"}}}
    found = {row.stage: row for row in status_of(desk.registry.model("m"), desk.ledger).stages}
    assert found["staging"].mend == 'take it out with slipway demote m/2 --reason "…"'
    assert decisions_of(desk).demote(parse_ref("m/2"), "x", to=None, dry_run=False).kind == "VersionDemoted"


@pytest.mark.parametrize("reason", ["a\0b", "x" * 5_000_000, "\x1b[2J"])
def test_an_old_event_with_any_reason_has_tags_that_can_be_written(reason: str):
    """It was recorded before there were rules, and is what everything else is applied after."""
    desk = Desk()
    event = replace(desk.promotion(1, "production")(look("m", desk.ledger)), reason=reason, actor="a\0" + "n" * 400)
    desk.history.chains[event.model_uid] = [record_of(event, seq=1, before="0" * 64)]
    assert settled("m", desk.ledger).unapplied == ()
    tags = desk.registry.known["m"][1].tags
    require_storable(tags, "tags")
    assert len(tags["slipway.reason"]) <= TAG_CHARACTERS
    assert len(desk.registry.writes) == 4
    settled("m", desk.ledger)
    assert len(desk.registry.writes) == 4, "what is written is what is wanted"


def test_nothing_is_recorded_that_could_not_be_read_by_everybody():
    """Wherever the text comes from: the edges are not the only guard."""
    desk = Desk()
    event = desk.promotion(1, "production")(look("m", desk.ledger))
    for wrong in (replace(event, reason="a\0b"), replace(event, details={"a": ["\ud800"]})):
        with pytest.raises(InvalidInput, match="cannot be kept"):
            carry_out("m", lambda _, wrong=wrong: wrong, desk.ledger)
    assert desk.history.chains == {}


def deleted(desk: Desk, *numbers: int) -> None:
    """Delete versions, as MLflow's own client does: their aliases go with them."""
    for number in numbers:
        del desk.registry.known["m"][number]


def test_from_a_version_that_was_deleted_everything_goes_on():
    """It is rolled back from, demoted, archived, or another takes its place: the history says it was there."""
    ways = {
        "rollback": lambda d: d.rollback(
            "m", "x", stage=None, from_version=2, to_version=None, skip_damaged=False, dry_run=False
        ),
        "demote": lambda d: d.demote(parse_ref("m/2"), "x", to=None, dry_run=False),
    }
    for name, way in ways.items():
        desk, _ = desk_refusing()
        deleted(desk, 2)
        (row,) = status_of(desk.registry.model("m"), desk.ledger).stages
        assert row.wrong == "the version was deleted behind the history"
        assert "slipway rollback m --stage production" in row.mend, name
        assert "slipway demote m/2" in row.mend
        done = way(decisions_of(desk))
        assert done.kind == {"rollback": "VersionRolledBack", "demote": "VersionDemoted"}[name]
        left = status_of(desk.registry.model("m"), desk.ledger).stages
        assert [(row.version, row.wrong) for row in left] == ([("1", None)] if name == "rollback" else [])
        assert decisions_of(desk).archive(parse_ref("m/2"), "x", dry_run=False).kind == "VersionArchived"
    desk, _ = desk_refusing()
    deleted(desk, 2)
    assert desk.promote(3, "production").event.kind == EventKind.VERSION_PROMOTED
    assert status_of(desk.registry.model("m"), desk.ledger).stages[0].wrong is None


def test_a_rollback_goes_past_deleted_versions_on_request():
    """There is nothing to go back to in them, and another than the last one is put back by nobody's silence."""
    desk = Desk(4)
    for number in (1, 2, 3, 4):
        desk.promote(number, "production")
    deleted(desk, 2, 3)
    with pytest.raises(NotFound, match="no version 3") as found:
        propose("m", going_back("production", desk.who(), desk.ledger), desk.ledger)
    assert "--skip-damaged" in found.value.hint
    decision = going_back("production", desk.who(), desk.ledger, skip_damaged=True)
    assert propose("m", decision, desk.ledger).event.version == 1
    deleted(desk, 1)
    with pytest.raises(NotFound, match="no version of m that was in production is as it was registered"):
        carry_out("m", decision, desk.ledger)


def test_a_deleted_version_goes_nowhere_but_out():
    """It cannot enter a lower stage, and one that the history never had is unknown as before."""
    desk, _ = desk_refusing()
    deleted(desk, 2)
    for ref, to in (("m/2", "staging"), ("m/9", None)):
        with pytest.raises(NotFound):
            decisions_of(desk).demote(parse_ref(ref), "x", to=to, dry_run=False)


def test_a_deleted_version_whose_alias_was_moved_is_accepted_or_not():
    """What has the alias now is adopted."""
    desk, _ = desk_refusing()
    deleted(desk, 2)
    desk.registry.set_alias("m", "production", 3)
    (row,) = status_of(desk.registry.model("m"), desk.ledger).stages
    assert row.mend == 'accept it with slipway adopt m@production --reason "…"'
    with pytest.raises(Conflict, match="the history knows nothing of"):
        desk.promote(1, "production")
    assert desk.registry.version(VersionRef(model="m", number=3)).aliases == {"production"}


def test_problems_survive_the_way_to_a_client():
    """Also from a server of an earlier Slipway, which tells none."""
    desk, _ = desk_refusing("set_tags")
    desk.rollback()
    found = decisions_of(desk).status()
    assert status_from(found.to_document()) == found
    assert isinstance(found.problems[0], Problem)
    assert status_from({"stages": []}).problems == ()
