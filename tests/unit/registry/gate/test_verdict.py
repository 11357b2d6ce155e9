"""The whole is the worst of its parts."""

from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.report import MARK, describe, to_html
from slipway.registry.gate.verdict import Finding, Outcome, Verdict, finding_from
from slipway.registry.text import REASON_CHARACTERS

outcomes = st.lists(st.sampled_from(list(Outcome)), min_size=1, max_size=6)


def verdict(*found: Outcome | Finding) -> Verdict:
    """Return a verdict of findings."""
    findings = tuple(
        each if isinstance(each, Finding) else Finding(check="metric", outcome=each, reason="<why>") for each in found
    )
    return Verdict(
        model="m",
        version=2,
        stage="production",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        findings=findings,
        digests={"policy": "sha256:abc"},
        champion=1,
    )


@given(outcomes, st.sampled_from(list(Outcome)))
def test_one_more_check_never_makes_a_verdict_better(some: list[Outcome], more: Outcome):
    """PASS < INCONCLUSIVE < ERROR < FAIL."""
    assert verdict(*some, more).outcome >= verdict(*some).outcome
    assert (verdict(*some).outcome is Outcome.PASS) == (set(some) == {Outcome.PASS})


def test_outcomes_are_ordered():
    """What was found to be bad weighs more than a check that broke, and that more than one that could not tell."""
    assert sorted(Outcome) == [Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.ERROR, Outcome.FAIL]


@pytest.mark.parametrize("measured", [float("nan"), float("inf")])
def test_nothing_passes_on_what_is_no_number(measured: float):
    """Whatever check made the finding; it may fail on it."""
    with pytest.raises(InvalidInput, match="fair would pass with"):
        Finding(check="fair", outcome=Outcome.PASS, reason="r", measured=measured)
    assert Finding(check="fair", outcome=Outcome.FAIL, reason="r", measured=measured).measured is measured


def test_a_verdict_about_nothing_is_refused():
    """No check made is no PASS."""
    with pytest.raises(ValueError, match="at least one"):
        verdict()


def test_the_worst_come_first():
    """They are the reason for a refusal."""
    found = verdict(Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.FAIL).worst()
    assert [finding.outcome for finding in found] == [Outcome.FAIL, Outcome.INCONCLUSIVE]


def test_a_finding_survives_being_written():
    """Also one whose number JSON does not have."""
    finding = Finding(check="x", outcome=Outcome.ERROR, reason="r", measured=float("nan"), details={"a": float("inf")})
    document = finding.to_document()
    assert (document["measured"], document["details"]) == ("nan", {"a": "inf"})
    assert finding_from(document).to_document() == document


def test_the_page_shows_every_finding_and_runs_nothing():
    """Words from models are escaped; intervals are drawn."""
    details = {"low": -0.01, "high": 0.02, "difference": 0.0, "threshold": -0.02, "metric": "accuracy"}
    drawn = Finding(check="champion", outcome=Outcome.PASS, reason="same", measured=0.0, limit=-0.02, details=details)
    page = to_html(verdict(Outcome.FAIL, drawn))
    assert "&lt;why&gt;" in page
    assert "<why>" not in page
    assert "m/2 to production" in page
    assert page.count("<svg") == 1
    assert "<script" not in page


def test_the_description_has_one_line_for_each_stage():
    """The newest, under whatever was there before."""
    first = describe("words of somebody", verdict(Outcome.FAIL), "#/page/production-3.html")
    second = describe(first, verdict(Outcome.PASS), "#/page/production-4.html")
    assert second.startswith("words of somebody")
    assert second.count(MARK) == 1
    assert "**PASS**" in second
    assert "production-3" not in second
    assert "[report](#/page/production-4.html)" in second


def test_the_description_keeps_what_people_wrote_and_what_the_registry_can_hold():
    """Without room for a link the line goes without it, and without room for the line nothing is written."""
    page = f"#/page/{'p' * 80}.html"
    for room in range(0, 200, 7):
        words = "x" * (5_000 - room)
        whole = len(describe(words, verdict(Outcome.PASS), page, at_most=9_999))
        found = describe(words, verdict(Outcome.PASS), page)
        assert (found or "").startswith(words) or whole - len(f", [report]({page})") > 5_000
        assert len(found or "") <= 5_000
        assert ("[report]" in (found or "")) == (whole <= 5_000)
    assert describe("x" * 4_990, verdict(Outcome.PASS), page) is None
    assert describe("x" * 6_000, verdict(Outcome.PASS), page) is None


@pytest.mark.parametrize(
    "details",
    [
        {"low": "<script>", "high": 1, "difference": 0, "threshold": 0},
        {"low": 10**400, "high": 1, "difference": 0, "threshold": 0},
        {"low": 0, "high": float("nan"), "difference": 0, "threshold": 0},
        {"low": 0, "high": 1, "difference": 0},
        {"slices": 5, "threshold": 0},
        {"slices": [5, {"low": 0}], "threshold": 0},
    ],
)
def test_what_is_no_interval_is_not_drawn(details: dict):
    """A client may put anything into the details of a finding."""
    page = to_html(verdict(Finding(check="<script>", outcome=Outcome.FAIL, reason="r", details=details)))
    assert "<svg" not in page
    assert "<script" not in page


def test_a_finding_is_written_as_far_as_every_database_can_hold_it():
    """Its words may be what a model printed."""
    finding = Finding(check="own", outcome=Outcome.ERROR, reason="a\0b\ud800" + "x" * 9_000, details={"said": ["\0"]})
    document = finding.to_document()
    assert document["reason"].startswith("a\ufffdb\ufffdxx")
    assert len(document["reason"]) == REASON_CHARACTERS
    assert document["details"] == {"said": ["\ufffd"]}
    assert finding_from(document).to_document() == document
