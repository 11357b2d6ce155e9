"""What a version's registration recorded is what checks use, whatever its run is made into afterwards."""

from dataclasses import replace
from datetime import timedelta

import pytest

from slipway.registry.gate.checks import approval, champion, lineage, metric
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Outcome
from slipway.registry.ledger.events import EventKind
from slipway.registry.model_registry import Given, Measured, Origin
from slipway.registry.policy.policy import ApprovalRule, ChampionRule, LineageRule, MetricRule
from tests.unit.registry.gate.checks.test_checks import NOW, approved, evidence, only
from tests.unit.registry.ledger.test_history import event

__all__ = ["evidence"]


def traced(evidence: Evidence, *, recorded: bool = True, **changes) -> Evidence:
    """Return the evidence with a candidate whose run, files, data and code are on record."""
    tags = {"slipway.git_commit": "abc", "slipway.git_dirty": "true", "slipway.data_digest": "sha256:whatever"}
    inputs = (Given(name="customers", digest="d1", context="training"),)
    run = Measured(
        metrics={"accuracy": 0.9},
        params={},
        tags=tags,
        status="FINISHED",
        user="fred",
        experiment_id="0",
        inputs=inputs,
    )
    fields = {"run": run, "origin": Origin(run_id="r", experiment_id="0"), "holdout_digest": "h1"}
    made = replace(evidence.candidate, **{**fields, **changes})
    return replace(evidence, candidate=replace(made, recorded=made.now if recorded else None))


def rewritten(evidence: Evidence, **changes) -> Evidence:
    """Return the evidence with a run that was changed after the version was registered."""
    run = replace(evidence.candidate.run, **changes)
    return replace(evidence, candidate=replace(evidence.candidate, run=run))


def outcomes_of(evidence: Evidence, *require: str) -> list[str]:
    """Return what lineage finds."""
    return [found.outcome.name for found in lineage.check(evidence, LineageRule(require=require))]


EVERYTHING = ("run", "data", "git_commit", "clean_tree")


def test_lineage_tells_what_was_never_recorded_from_what_is_wrong(evidence: Evidence):
    """The first cannot be judged, the second is refused."""
    assert outcomes_of(evidence, *EVERYTHING) == ["INCONCLUSIVE"] * 4
    given = traced(evidence)
    assert outcomes_of(given, *EVERYTHING) == ["PASS", "PASS", "PASS", "FAIL"]
    failed = traced(evidence, run=replace(given.candidate.run, status="FAILED"))
    assert lineage.check(failed, LineageRule())[0].reason == "its run is FAILED, and not finished"
    hushed = rewritten(failed, status="FINISHED")
    assert lineage.check(hushed, LineageRule())[0].reason == "its run is FAILED, and not finished"


def test_a_tag_that_anybody_may_set_is_no_lineage(evidence: Evidence):
    """Data by what the run was given, the commit by what was recorded at registration; the finding says from where."""
    given = traced(evidence)
    data, commit = lineage.check(given, LineageRule(require=("data", "git_commit")))
    assert data.reason == "trained on customers d1: its run's inputs at registration"
    assert commit.reason == "trained by commit abc: its run's tags at registration"
    tagged = traced(evidence, run=replace(given.candidate.run, inputs=()))
    assert outcomes_of(tagged, "data") == ["INCONCLUSIVE"]
    evaluated = (Given(name="customers", digest="d1", context="evaluation"),)
    assert outcomes_of(traced(evidence, run=replace(given.candidate.run, inputs=evaluated)), "data") == ["INCONCLUSIVE"]
    later = rewritten(tagged, inputs=given.candidate.run.inputs, tags={"slipway.git_commit": "better"})
    data, commit = lineage.check(later, LineageRule(require=("data", "git_commit")))
    assert (data.outcome, commit.measured) == (Outcome.INCONCLUSIVE, "abc")
    unregistered = traced(evidence, recorded=False, manifest=None)
    assert outcomes_of(unregistered, *EVERYTHING) == ["PASS", "PASS", "INCONCLUSIVE", "INCONCLUSIVE"]
    before_it_was_recorded = traced(evidence, recorded=False)
    assert outcomes_of(before_it_was_recorded, *EVERYTHING) == ["PASS", "PASS", "PASS", "FAIL"]


@pytest.mark.parametrize(
    ("origin", "outcome", "said"),
    [
        (Origin(run_id="other", experiment_id="0"), "FAIL", "stored by run other, and it names run r"),
        (Origin(run_id="r", experiment_id="9"), "FAIL", "logged into experiment 9, and its run is in 0"),
        (Origin(run_id="r", experiment_id="0", logged_at=NOW + timedelta(hours=3)), "FAIL", "after its run had ended"),
        (Origin(run_id="r", experiment_id="0", logged_at=NOW - timedelta(hours=3)), "FAIL", "before its run began"),
        (Origin(run_id="r", experiment_id="0", logged_at=NOW + timedelta(minutes=30)), "PASS", "made by run r"),
        (None, "INCONCLUSIVE", "nothing shows that run r made its files"),
        (Origin(run_id=None, experiment_id="0"), "INCONCLUSIVE", "nothing shows that run r made its files"),
    ],
)
def test_lineage_is_not_borrowed(evidence: Evidence, origin: Origin | None, outcome: str, said: str):
    """Whoever registers files with somebody else's run is found by where they lie, and when they were logged."""
    run = replace(traced(evidence).candidate.run, started_at=NOW, ended_at=NOW + timedelta(hours=1))
    found = only(lineage.check(traced(evidence, run=run, origin=origin), LineageRule(require=("run",))))
    assert (found.outcome.name, said in found.reason) == (outcome, True), found.reason


@pytest.mark.parametrize(
    ("origin", "outcome", "rows"),
    [
        (Origin(run_id="other", experiment_id="0"), Outcome.FAIL, Outcome.INCONCLUSIVE),
        (None, Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE),
        (Origin(run_id="r", experiment_id="0"), Outcome.PASS, Outcome.PASS),
    ],
)
def test_neither_metrics_nor_rows_are_borrowed(
    evidence: Evidence, origin: Origin | None, outcome: Outcome, rows: Outcome
):
    """What somebody else's run says is nothing about this version, whatever the policy asks for."""
    given = traced(evidence, origin=origin)
    assert only(metric.check(given, MetricRule(limits={"accuracy": {"min": 0.8}}))).outcome is outcome
    assert only(champion.check(given, ChampionRule())).outcome is rows


def test_files_that_name_another_run_are_not_its_own(evidence: Evidence):
    """MLmodel says which run made it."""
    path = evidence.candidate.folder / "MLmodel"
    path.write_text(path.read_text() + "run_id: other\n")
    found = only(lineage.check(traced(evidence), LineageRule(require=("run",))))
    assert (found.outcome, "says that run other made it" in found.reason) == (Outcome.FAIL, True)
    path.write_text(path.read_text().replace("run_id: other", "run_id: r"))
    assert outcomes_of(traced(evidence), "run") == ["PASS"]


def test_a_run_that_was_rewritten_is_no_lineage(evidence: Evidence):
    """Whatever the policy requires of it; a metric that was added afterwards changes nothing."""
    given = traced(evidence)
    assert outcomes_of(rewritten(given, metrics={"accuracy": 0.9, "latency": 1.0}), "data") == ["PASS"]
    assert outcomes_of(rewritten(given, metrics={"accuracy": 0.95}), "data") == ["FAIL", "PASS"]
    assert outcomes_of(rewritten(given, metrics={}), "data") == ["FAIL", "PASS"]
    others = replace(given, candidate=replace(given.candidate, holdout_digest="h2"))
    found = lineage.check(others, LineageRule())[0]
    assert "the files of its held-out rows were changed" in found.reason
    removed = replace(given, candidate=replace(given.candidate, holdout_digest=None))
    assert "held-out rows were removed" in lineage.check(removed, LineageRule())[0].reason


def test_metric_takes_what_was_registered(evidence: Evidence):
    """A rewritten value is refused, one that came later is nobody's, one of a run that is gone still holds."""
    rule = MetricRule(limits={"accuracy": {"min": 0.8}, "latency": {"max": 5}})
    given = traced(evidence)
    better = rewritten(given, metrics={"accuracy": 0.99, "latency": 1.0})
    accuracy, latency = metric.check(better, rule)
    assert (accuracy.outcome, "was 0.9 and is 0.99 now" in accuracy.reason) == (Outcome.FAIL, True)
    assert (latency.outcome, "after the version was registered" in latency.reason) == (Outcome.INCONCLUSIVE, True)
    gone = rewritten(given, metrics={}, status=None)
    assert metric.check(gone, rule)[0].outcome is Outcome.PASS


@pytest.mark.parametrize("side", ["candidate", "champion"])
def test_rewritten_held_out_rows_compare_nothing(evidence: Evidence, side: str):
    """Neither the candidate's nor the champion's, and whoever names the rows: who was trained on what is not known."""
    subject_of = getattr(evidence, side)
    recorded = replace(subject_of.now, holdout="as it was")
    given = replace(evidence, **{side: replace(subject_of, recorded=recorded, holdout_digest="rewritten")})
    found = only(champion.check(given, ChampionRule()))
    assert (found.outcome, "is not what was recorded at registration" in found.reason) == (Outcome.INCONCLUSIVE, True)
    named = replace(evidence.rows[None, None], source="rows.csv", held_out=False)
    given = replace(given, rows={("rows.csv", "y"): named})
    assert only(champion.check(given, ChampionRule(data="rows.csv", target="y"))).outcome is Outcome.INCONCLUSIVE


def test_a_tag_makes_nobody_an_author_and_whoever_logged_is_one(evidence: Evidence):
    """By what was recorded with the version: a tag that is set later voids nobody's approval."""
    people = {"provenance": {"people": ["fred", "lou"]}}
    registered = event(EventKind.VERSION_REGISTERED, version=2, stage=None, actor="ann", details=people)
    run = Measured(metrics={}, params={}, tags={"mlflow.user": "eva"}, user="fred")
    candidate = replace(evidence.candidate, run=run)
    for actor, counts in (("eva", 1), ("fred", 0), ("lou", 0), ("ann", 0)):
        events = [registered, approved(evidence, actor)]
        found = only(approval.check(replace(evidence, candidate=candidate, events=events), ApprovalRule()))
        assert found.measured == counts, actor
