"""Decisions about stages, carried out on stand-ins: one version in a stage, and everything that mirrors it follows."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from slipway.registry.decisions.adopt import adoption, adoption_target
from slipway.registry.decisions.archive import archival
from slipway.registry.decisions.carry_out import Decided, carry_out, propose
from slipway.registry.decisions.demote import demotion
from slipway.registry.decisions.ledger_decisions import LedgerDecisions
from slipway.registry.decisions.promote import promotion, what_next
from slipway.registry.decisions.record_files import RecordedFiles
from slipway.registry.decisions.rollback import left_by_rollback, rollback, rollback_target
from slipway.registry.decisions.status import status_of
from slipway.registry.decisions.who import Who, say_why
from slipway.registry.errors import Conflict, InvalidInput, NotApproved, NotFound, Unavailable
from slipway.registry.gate.grounds import Grounds
from slipway.registry.gate.verdict import Finding, Outcome, Verdict
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.events import Event
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.situation import Situation, look
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.policy.policy import PolicyBook
from slipway.registry.policy.roles import anybody
from slipway.registry.version import Version, VersionRef, parse_ref
from tests.doubles.fakes import FakeHistory, FakeModelRegistry, logged_model

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOOSE = {
    "stages": {
        "staging": {"checks": {"lineage": {}}, "enter_from": "any"},
        "production": {"checks": {"lineage": {}}, "enter_from": "any"},
    }
}


# The files of every version: those that the desk's verdicts are about.
STORED = tempfile.TemporaryDirectory(prefix="slipway-desk-")
CHOSEN = manifest_of(Path(STORED.name)).digest


class Desk:
    """A ledger on stand-ins, and the verbs in short."""

    def __init__(
        self, versions: int = 3, policy: dict | None = None, *, mirror: bool = True, folder: Path = Path(STORED.name)
    ) -> None:
        self.registry = FakeModelRegistry(folder=folder)
        for _ in range(versions):
            self.registry.create_version(logged_model(), model="m", description="", tags={})
        self.registry.writes.clear()
        self.history = FakeHistory()
        self.document = policy or LOOSE
        self.ledger = Ledger(
            registry=self.registry,
            history=self.history,
            policies=lambda: PolicyBook(self.document, source="test"),
            mirror_stages=mirror,
        )
        self.now = NOW

    def who(self, reason: str = "because") -> Who:
        self.now += timedelta(hours=1)
        return say_why("ann", authenticated=False, at=self.now, reason=reason)

    @property
    def decisions(self) -> LedgerDecisions:
        return LedgerDecisions(ledger=self.ledger, who=self.who, may=anybody)

    def verdict(self, number: int, stage: str, outcome: Outcome = Outcome.PASS) -> Verdict:
        found = look("m", self.ledger)
        return Verdict(
            model="m",
            version=number,
            stage=stage,
            at=self.now,
            findings=(Finding(check="champion", outcome=outcome, reason="measured", measured=0.01),),
            digests={"policy": found.policy.digest, "manifest": CHOSEN},
            champion=found.occupant(stage),
        )

    def promotion(self, number: int, stage: str, **grounds) -> Callable[[Situation], Event | None]:
        given = Grounds(**{"verdict": self.verdict(number, stage), "seq": 1, "by": "ann", **grounds})
        version = self.registry.version(VersionRef(model="m", number=number))
        who = self.who()
        return lambda situation: promotion(situation, version, stage, who, given)

    def promote(self, number: int, stage: str, **grounds) -> Decided:
        return carry_out("m", self.promotion(number, stage, **grounds), self.ledger)

    def rollback(self, stage: str = "production", **options) -> Decided:
        who = self.who()
        options = {"to_version": None, "from_version": None, **options}

        def decision(situation: Situation) -> Event | None:
            number = rollback_target(situation, stage, who.at, **options)
            if number is None:
                return None
            return rollback(situation, self.registry.version(VersionRef(model="m", number=number)), stage, who)

        return carry_out("m", decision, self.ledger)

    def shown(self) -> dict[int, tuple[list[str], str | None]]:
        """Return aliases and MLflow stage by version."""
        return {v.number: (sorted(v.aliases), v.mlflow_stage) for v in self.registry.versions("m")}


def test_a_copy_is_kept_before_a_version_is_put_anywhere():
    """Of the files that the decision names, or of those that an earlier one did; out of all stages needs none."""
    desk, kept = Desk(), list[tuple[str, str, int]]()

    def keep(version: Version, manifest: str) -> None:
        kept.append((str(version), manifest, sum(map(len, desk.history.chains.values()))))

    desk.ledger = replace(desk.ledger, keep_copy=keep)
    desk.promote(1, "production")
    desk.promote(2, "production")
    desk.rollback()
    for stage in ("staging", None):
        desk.decisions.demote(parse_ref("m/1"), "down", to=stage, dry_run=False)
    assert kept == [(f"m/{number}", CHOSEN, before) for before, number in enumerate((1, 2, 1, 1))]


def test_what_cannot_be_copied_is_put_nowhere():
    """Nothing is recorded of it, and no alias is moved."""
    desk = Desk()

    def fail(version: Version, manifest: str) -> None:
        raise Unavailable("no room", code="s3", hint=None)

    desk.ledger = replace(desk.ledger, keep_copy=fail)
    with pytest.raises(Unavailable, match="no room"):
        desk.promote(1, "production")
    assert (desk.registry.writes, desk.history.chains) == ([], {})


def test_a_move_looks_as_the_table_in_the_design_says():
    """Production goes from 2 to 3: aliases move, 3 is Production, 2 is Archived."""
    desk = Desk()
    for number, stage in ((2, "staging"), (2, "production"), (3, "staging")):
        desk.promote(number, stage)
    assert desk.shown() == {3: (["staging"], "Staging"), 2: (["production"], "Production"), 1: ([], None)}
    done = desk.promote(3, "production")
    assert desk.shown() == {3: (["production"], "Production"), 2: ([], "Archived"), 1: ([], None)}
    tags = desk.registry.known["m"][3].tags
    assert (done.previous, tags["slipway.stage"], tags["slipway.by"]) == (2, "production", "ann")
    assert (tags["slipway.reason"], tags["slipway.verdict"]) == ("because", "PASS")
    assert desk.registry.model_tags["m"]["slipway.head"] == str(look("m", desk.ledger).head)


def test_an_older_version_can_replace_a_newer():
    """No other version keeps the label: the highest number with it would win."""
    desk = Desk(2)
    desk.promote(2, "production")
    desk.promote(1, "production")
    assert desk.shown() == {2: ([], "Archived"), 1: (["production"], "Production")}


def test_labels_that_somebody_else_left_are_taken_away():
    """However many versions have MLflow's label, only the occupant keeps it, or one below that it hides."""
    desk = Desk(5)
    for number in (3, 4, 5):
        desk.registry.set_mlflow_stage("m", number, "Production")
    desk.promote(1, "production")
    assert [label for _, label in desk.shown().values()] == ["Archived", "Archived", "Archived", None, "Production"]


def test_a_second_promotion_records_nothing():
    """Applying twice is recorded once."""
    desk = Desk(1)
    desk.promote(1, "production")
    before = look("m", desk.ledger).seq
    done = desk.promote(1, "production")
    assert (done.event, done.changes, look("m", desk.ledger).seq) == (None, (), before)


def test_a_proposal_changes_nothing_and_says_what_promote_would():
    """`--dry-run` prints the plan that is carried out."""
    desk = Desk(2)
    decision = desk.promotion(2, "staging")
    proposed = propose("m", decision, desk.ledger)
    assert (desk.registry.writes, desk.history.chains) == ([], {})
    assert carry_out("m", decision, desk.ledger) == proposed
    assert str(proposed.changes[0]) == "alias staging → 2"


def test_a_stage_is_entered_from_the_stage_before_it():
    """Unless the policy says otherwise."""
    strict = {"stages": {name: {"checks": {"lineage": {}}} for name in ("staging", "production")}}
    desk = Desk(1, strict)
    with pytest.raises(Conflict, match="m/1 is in no stage, and production is entered from staging"):
        desk.promote(1, "production")
    desk.promote(1, "staging")
    desk.promote(1, "production")
    with pytest.raises(Conflict, match="m/1 is in production, above staging"):
        desk.promote(1, "staging")


def test_the_mirror_can_be_turned_off():
    """MLflow's own stages are deprecated; without the mirror they are left alone."""
    desk = Desk(1, mirror=False)
    desk.promote(1, "production")
    assert desk.shown() == {1: (["production"], None)}


def test_a_stage_that_mlflow_does_not_know_moves_the_alias_only():
    """There is no label for it."""
    desk = Desk(1, {"stages": {"canary": {"checks": {"lineage": {}}}, "live": {"checks": {"lineage": {}}}}})
    desk.promote(1, "canary")
    assert desk.shown() == {1: (["canary"], None)}


moves = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(["staging", "production", "back"])), max_size=8)


@given(moves)
def test_a_stage_holds_one_version_and_a_version_is_in_one_stage(steps: list[tuple[int, str]]):
    """Whatever is promoted and rolled back in whatever order, ledger, alias, label and tag agree."""
    desk = Desk()
    for number, stage in steps:
        try:
            desk.rollback() if stage == "back" else desk.promote(number, stage)
        except (Conflict, NotFound):
            continue
    state = look("m", desk.ledger).state
    for number, (aliases, label) in desk.shown().items():
        stage = state.stage_of(number)
        assert aliases == ([stage] if stage else [])
        assert (label in ("Staging", "Production")) == bool(stage)
        assert desk.registry.known["m"][number].tags.get("slipway.stage", "") == (stage or "")
    for uid in desk.history.chains:
        assert verify(uid, desk.history.records(uid)) == ()


def test_a_reason_is_needed():
    """Whoever reads it later wants to know why."""
    with pytest.raises(InvalidInput, match="a decision needs a reason"):
        say_why("ann", authenticated=False, at=NOW, reason=" ")


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.ERROR])
def test_a_verdict_that_is_no_pass_refuses(outcome: Outcome):
    """With its reason, and a code that says which."""
    desk = Desk(1)
    with pytest.raises(NotApproved, match="m/1 does not enter production: champion") as refused:
        desk.promote(1, "production", verdict=desk.verdict(1, "production", outcome))
    assert refused.value.code == f"verdict-{outcome.name.lower()}"
    assert desk.history.chains == {}


def test_an_override_passes_only_where_the_policy_allows_it():
    """And is in the event for good; without a word nothing is overridden, and an approval never."""
    desk = Desk(1)
    bad = desk.verdict(1, "production", Outcome.FAIL)
    with pytest.raises(NotApproved, match="the policy allows no override for production"):
        desk.promote(1, "production", verdict=bad, override="the boss says so")
    allowing = {**LOOSE["stages"], "production": {**LOOSE["stages"]["production"], "allow_override": True}}
    desk.document = {"stages": allowing}
    bad = desk.verdict(1, "production", Outcome.FAIL)
    with pytest.raises(NotApproved, match="m/1 does not enter production: champion FAIL") as refused:
        desk.promote(1, "production", verdict=bad)
    assert refused.value.code == "verdict-fail"
    unapproved = replace(bad, findings=(Finding(check="approval", outcome=Outcome.INCONCLUSIVE, reason="nobody"),))
    with pytest.raises(NotApproved, match="an approval cannot be overridden"):
        desk.promote(1, "production", verdict=unapproved, override="hurry")
    done = desk.promote(1, "production", verdict=bad, override="the boss says so")
    assert done.event.details == {"verdict": "FAIL", "verdict_seq": 1, "override": "the boss says so"}


def test_a_verdict_that_was_overtaken_is_refused_with_what_won():
    """Another champion, another policy, another version or stage is not what it was given for."""
    desk = Desk(2)
    mine = desk.promotion(2, "production")
    desk.promote(1, "production")
    with pytest.raises(Conflict, match="compared with an empty stage, and production is now m/1, put there by ann"):
        carry_out("m", mine, desk.ledger)
    mine = desk.promotion(2, "production")
    desk.document = {"stages": {**LOOSE["stages"], "live": {"checks": {"lineage": {}}}}}
    with pytest.raises(Conflict, match="given under a policy that was changed since"):
        carry_out("m", mine, desk.ledger)
    for verdict, said in ((desk.verdict(2, "live"), "about m/2 for live"), (desk.verdict(1, "staging"), "about m/1")):
        with pytest.raises(Conflict, match=said):
            desk.promote(2, "staging", verdict=verdict)


def test_a_rollback_goes_to_what_was_not_itself_rolled_back():
    """1, 2, 3 in production; 3 is rolled back to 2, and 2 to 1, never up again."""
    desk = Desk()
    for number in (1, 2, 3):
        desk.promote(number, "production")
    assert desk.rollback().event.version == 2
    assert desk.rollback(from_version=2).event.version == 1
    assert desk.shown()[1] == (["production"], "Production")
    with pytest.raises(NotFound, match="no version of m was in production before 1"):
        desk.rollback(from_version=1)


def test_a_repeated_rollback_is_harmless_or_asks():
    """With `--from` it does nothing; bare, within minutes, it asks which one is meant."""
    desk = Desk()
    for number in (1, 2, 3):
        desk.promote(number, "production")
    desk.rollback(from_version=3)
    assert desk.rollback(from_version=3).event is None
    desk.now -= timedelta(minutes=119)
    with pytest.raises(Conflict, match="m was rolled back to 2 in production") as asked:
        desk.rollback()
    assert "--from 2" in asked.value.hint


def test_a_rollback_goes_only_to_what_was_there():
    """No gate is passed on the way, so that it must have passed one before; an archived one is ruled out."""
    desk = Desk()
    for number in (1, 2):
        desk.promote(number, "production")
    with pytest.raises(Conflict, match="m/3 was never in production"):
        desk.rollback(to_version=3)
    first = desk.registry.version(VersionRef(model="m", number=1))
    carry_out("m", lambda situation: archival(situation, first, desk.who("wrong labels")), desk.ledger)
    with pytest.raises(Conflict, match="m/1 was archived by ann: wrong labels"):
        desk.rollback(to_version=1)
    with pytest.raises(NotFound, match="was in production before 2"):
        desk.rollback()


@pytest.mark.parametrize("options", [{}, {"to_version": 1}])
def test_a_rollback_takes_nothing_out_of_a_later_stage(options: dict):
    """What was in staging before has gone on to production: who may decide about staging alone leaves it there."""
    desk = Desk()
    desk.promote(1, "staging")
    desk.promote(1, "production")
    desk.promote(2, "staging")
    with pytest.raises(Conflict, match="m/1 is in production, above staging: only a demotion leads down"):
        desk.rollback("staging", **options)
    assert desk.shown() == {3: ([], None), 2: (["staging"], "Staging"), 1: (["production"], "Production")}


def test_what_is_in_a_later_stage_is_not_adopted_for_an_earlier_one():
    """Somebody put the alias of staging there, too."""
    desk = Desk()
    desk.promote(1, "staging")
    desk.promote(1, "production")
    desk.registry.set_alias("m", "staging", 1)
    found = desk.registry.version(VersionRef(model="m", number=1))
    recorded = RecordedFiles(manifest=Manifest(files=()), location="s3://b/m", provenance=None)
    with pytest.raises(Conflict, match="m/1 is in production, above staging"):
        adoption(look("m", desk.ledger), found, "staging", desk.who(), recorded)


def test_a_rollback_of_what_is_not_in_the_history_says_how_it_gets_there():
    """The stage is not empty, as the registry shows."""
    desk = Desk()
    desk.registry.set_alias("m", "production", 1)
    with pytest.raises(Conflict, match="m/1 is in production by an alias that the history knows nothing of"):
        desk.rollback()


def test_a_version_that_was_rolled_back_from_is_known_until_it_is_put_somewhere():
    """Who promotes it again is told."""
    desk = Desk()
    for number in (1, 2):
        desk.promote(number, "production")
    assert left_by_rollback(look("m", desk.ledger), 2) is None
    desk.rollback()
    left = left_by_rollback(look("m", desk.ledger), 2)
    assert left is not None
    assert left.actor == "ann"
    desk.promote(2, "production")
    assert left_by_rollback(look("m", desk.ledger), 2) is None


def test_archiving_twice_records_once():
    """Until something moves the version again: then the ruling is a new one."""
    desk = Desk(1)
    version = desk.registry.version(VersionRef(model="m", number=1))

    def archive() -> Decided:
        return carry_out("m", lambda situation: archival(situation, version, desk.who()), desk.ledger)

    assert archive().event is not None
    assert archive().event is None
    desk.promote(1, "staging")
    carry_out("m", lambda situation: demotion(situation, version, desk.who(), to=None), desk.ledger)
    assert archive().event is not None


def demote(desk: Desk, number: int) -> None:
    """Take a version out of its stage."""
    version = desk.registry.version(VersionRef(model="m", number=number))
    carry_out("m", lambda situation: demotion(situation, version, desk.who(), to=None), desk.ledger)


def test_a_stage_that_was_emptied_is_filled_again_by_a_rollback():
    """By the last one that was not taken out of it itself, and then as from a full one."""
    desk = Desk()
    for number in (1, 2, 3):
        desk.promote(number, "production")
    demote(desk, 3)
    done = desk.rollback()
    assert (done.event.kind, done.event.version, done.previous) == ("VersionRolledBack", 2, None)
    assert done.event.details == {}
    assert desk.shown()[2] == (["production"], "Production")
    assert desk.rollback(from_version=2).event.version == 1
    assert desk.rollback(from_version=2).event is None


def test_a_demotion_by_mistake_is_undone_by_name():
    """Where nothing else was there, the error says how; what was archived stays out."""
    desk = Desk()
    desk.promote(1, "production")
    demote(desk, 1)
    assert desk.rollback(from_version=1).event is None
    with pytest.raises(NotFound, match="or all were taken out of it again") as refused:
        desk.rollback()
    assert "slipway rollback m --to-version 1" in str(refused.value.hint)
    assert desk.rollback(to_version=1).event.version == 1
    assert desk.shown()[1] == (["production"], "Production")


def test_a_rollback_by_name_into_an_empty_stage_keeps_the_others_to_go_back_to():
    """Nobody is left by it."""
    desk = Desk()
    for number in (1, 2):
        desk.promote(number, "production")
    demote(desk, 2)
    desk.rollback(to_version=2)
    desk.now += timedelta(minutes=11)
    assert desk.rollback().event.version == 1


def test_what_to_do_next_follows_from_the_verdict():
    """A PASS leads to the promotion, a want of rows to more of them, a refusal to the report."""
    desk = Desk(1)
    said = {outcome: what_next(desk.verdict(1, "staging", outcome)) for outcome in Outcome}
    assert said[Outcome.PASS] == 'slipway promote m/1 --to staging --reason "…"'
    assert "more rows decide" in said[Outcome.INCONCLUSIVE]
    for outcome in (Outcome.ERROR, Outcome.FAIL):
        assert said[outcome] == "the report is among the run's artifacts, under slipway/gate/"


def test_who_was_refused_further_on_can_be_taken_out_of_the_way():
    """A contract with what stays in staging; where versions are compared it would be a way around, and is not said."""
    desk = Desk()
    desk.promote(1, "staging")
    compared = desk.verdict(2, "staging")
    broken = Finding(check="contract", outcome=Outcome.FAIL, reason="callers of m/1 would break")
    hint = what_next(replace(compared, findings=(broken,)))
    assert hint.startswith('where nobody needs m/1 in staging: slipway demote m/1 --reason "…"; the report is')
    assert "demote" not in what_next(replace(compared, findings=(*compared.findings, broken)))
    assert "demote" not in what_next(replace(compared, findings=(broken,), champion=None))


def test_an_alias_that_was_moved_behind_the_history_is_shown_and_not_adopted():
    """Status names it with the commands that mend it; nothing is decided on top of it."""
    desk = Desk()
    desk.promote(1, "production")
    desk.registry.set_alias("m", "production", 2)
    (row,) = status_of(desk.registry.model("m"), desk.ledger).stages
    assert (row.version, row.wrong) == ("1", "the alias was moved to 2 behind the history")
    assert "slipway adopt m@production" in row.mend
    first = desk.registry.version(VersionRef(model="m", number=1))
    ways = (
        desk.promotion(3, "production"),
        lambda situation: rollback_target(situation, "production", NOW, to_version=None, from_version=1),
        lambda situation: demotion(situation, first, desk.who(), to=None),
    )
    for decision in ways:
        with pytest.raises(Conflict, match="was moved behind its back"):
            carry_out("m", decision, desk.ledger)
    assert desk.promote(1, "production").changes[0].number == 1
    assert status_of(desk.registry.model("m"), desk.ledger).stages[0].wrong is None


def test_a_decision_made_since_the_registry_was_read_is_not_called_a_move_behind_the_history():
    """Status reads all models at once, and the ledger of each a while later."""
    desk = Desk()
    desk.promote(1, "production")
    read_before = desk.registry.model("m")
    desk.promote(2, "production")
    (row,) = status_of(read_before, desk.ledger).stages
    assert (row.version, row.wrong) == ("2", None)


def test_an_alias_that_was_moved_is_not_taken_away_by_a_promotion_out_of_its_stage():
    """Whoever moved it learns that it was; what the alias points at now is not thrown out silently."""
    desk = Desk()
    desk.promote(1, "staging")
    decision = desk.promotion(1, "production")
    desk.registry.set_alias("m", "staging", 2)
    with pytest.raises(Conflict, match="alias staging of m points at 2, and the history has 1 there"):
        carry_out("m", decision, desk.ledger)
    assert desk.shown()[2] == (["staging"], None)


def test_a_version_that_was_there_before_is_adopted():
    """Until then its alias is left alone, whatever is decided about other stages."""
    desk = Desk()
    desk.registry.set_alias("m", "production", 2)
    assert status_of(desk.registry.model("m"), desk.ledger).stages[0].wrong == "not in the history"
    with pytest.raises(Conflict, match="m/2 is in production by an alias that the history knows nothing of"):
        desk.promote(3, "production")
    desk.promote(3, "staging")
    assert desk.shown()[2] == (["production"], None)

    def decision(situation: Situation) -> Event | None:
        number = adoption_target(situation, "production")
        if number is None:
            return None
        version = desk.registry.version(VersionRef(model="m", number=number))
        recorded = RecordedFiles(manifest=Manifest(files=()), location="models:/m-1", provenance=None)
        return adoption(situation, version, "production", desk.who(), recorded)

    assert carry_out("m", decision, desk.ledger).event.version == 2
    assert carry_out("m", decision, desk.ledger).event is None
    assert desk.promote(3, "production").previous == 2


def test_a_version_in_a_stage_that_the_policy_has_no_more_is_demoted_into_none():
    """Of such a stage nobody knows what is below it: into another leads a promotion, which asks for a verdict."""
    desk = Desk()
    desk.promote(1, "staging")
    desk.document = {"stages": {"production": LOOSE["stages"]["production"]}}
    version = desk.registry.version(VersionRef(model="m", number=1))
    with pytest.raises(Conflict, match="which the policy has no more"):
        carry_out("m", lambda s: demotion(s, version, desk.who(), to="production"), desk.ledger)
    carry_out("m", lambda s: demotion(s, version, desk.who(), to=None), desk.ledger)


def test_a_version_is_demoted_to_a_lower_stage_or_out():
    """Upwards it goes by promotion only, and never onto an alias that is not where the history says."""
    desk = Desk(2)
    desk.promote(1, "production")
    version = desk.registry.version(VersionRef(model="m", number=1))
    with pytest.raises(Conflict, match="production is not below it"):
        carry_out("m", lambda s: demotion(s, version, desk.who(), to="production"), desk.ledger)
    desk.registry.set_alias("m", "staging", 2)
    with pytest.raises(Conflict, match="m/2 is in staging by an alias that the history knows nothing of"):
        carry_out("m", lambda s: demotion(s, version, desk.who(), to="staging"), desk.ledger)
    desk.registry.delete_alias("m", "staging")
    with pytest.raises(Conflict, match="m/1 is in production"):
        carry_out("m", lambda s: archival(s, version, desk.who()), desk.ledger)
    carry_out("m", lambda s: demotion(s, version, desk.who(), to="staging"), desk.ledger)
    assert desk.shown()[1] == (["staging"], "Staging")
    carry_out("m", lambda s: demotion(s, version, desk.who(), to=None), desk.ledger)
    assert desk.shown()[1] == ([], "Archived")
    with pytest.raises(Conflict, match="m/1 is in no stage"):
        carry_out("m", lambda s: demotion(s, version, desk.who(), to=None), desk.ledger)
