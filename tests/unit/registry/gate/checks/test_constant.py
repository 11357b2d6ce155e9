"""A candidate beside a constant: what a constant cannot pass, and who is better passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.gate.checks import champion
from slipway.registry.gate.comparison.constants import is_unbalanced
from slipway.registry.gate.evidence import Evidence
from slipway.registry.gate.verdict import Finding, Outcome
from slipway.registry.policy.policy import ChampionRule
from tests.unit.registry.gate.checks.test_champion import Answers, evidence_of

CHURN = 0.08


def leavers(n: int = 4_000) -> pd.DataFrame:
    """Return customers of whom 8 % churn, most of them with a large x."""
    rng = np.random.default_rng(0)
    y = (rng.random(n) < CHURN).astype(int)
    return pd.DataFrame({"id": np.arange(n), "x": rng.normal(size=n) + 2 * y, "y": y})


def always(label: float, *, probability: float | None = CHURN, classes: tuple = (0, 1)) -> Answers:
    """Return a model that looks at no feature."""
    probabilities = None if probability is None else (lambda features: np.full(len(features), probability))
    return Answers(lambda features: np.full(len(features), label), classes=classes, probability=probabilities)


def weighted() -> Answers:
    """Return a model that says yes to every seventh, and far too often by its probabilities."""
    return Answers(
        lambda features: (features.x > 1.0).astype(int).to_numpy(),
        probability=lambda features: (1 / (1 + np.exp(-2 * (features.x - 1)))).to_numpy(),
    )


def found(evidence: Evidence, **rule: object) -> list[Finding]:
    """Make the check as the last stage does."""
    return list(champion.check(replace(evidence, is_last=True), ChampionRule(**rule)))


def outcome(findings: list[Finding]) -> Outcome:
    """Return the worst of the findings."""
    return max(finding.outcome for finding in findings)


def test_who_never_says_yes_is_not_let_in_and_who_finds_churn_is(tmp_path: Path):
    """Without a policy: 92 right answers in 100 are what a constant has, and who never says yes has nothing more."""
    assert outcome(found(evidence_of(tmp_path, leavers(), always(0), always(0)))) is Outcome.FAIL
    better = found(evidence_of(tmp_path, leavers(), weighted(), always(0)))
    assert outcome(better) is Outcome.PASS
    assert [finding.details["metric"] for finding in better] == ["balanced_accuracy", "balanced_accuracy"]
    assert better[-1].reason.endswith("shown to be better than a constant")


CONSTANTS = [always(0), always(1), always(0, probability=None), always(1, probability=0.6), always(0, probability=0.0)]


@pytest.mark.parametrize("metric", [None, "accuracy", "f1", "roc_auc", "average_precision", "log_loss", "brier"])
@pytest.mark.parametrize("constant", CONSTANTS)
@pytest.mark.parametrize("balance", ["8 %", "half"])
def test_no_constant_passes_by_any_metric(tmp_path: Path, metric: str | None, constant: Answers, balance: str):
    """Whatever it says, with whatever probabilities, where a champion is there and where none is."""
    frame = leavers() if balance == "8 %" else leavers().assign(y=lambda rows: rows.id % 2)
    evidence = evidence_of(tmp_path, frame, constant, always(0))
    assert outcome(found(evidence, metric=metric)) is not Outcome.PASS
    assert outcome(found(replace(evidence, champion=None), metric=metric)) is not Outcome.PASS


@pytest.mark.parametrize("metric", [None, "mae", "rmse", "pinball"])
@pytest.mark.parametrize("answer", ["mean", "median", "zero"])
def test_no_number_passes_by_any_metric(tmp_path: Path, metric: str | None, answer: str):
    """The mean, the median or any other: who looks at no feature foretells nothing."""
    frame = leavers().assign(y=lambda rows: rows.x + np.random.default_rng(1).normal(size=len(rows)))
    value = {"mean": frame.y.mean(), "median": frame.y.median(), "zero": 0.0}[answer]
    rule = {"metric": metric, "quantile": 0.9 if metric == "pinball" else None}
    evidence = evidence_of(tmp_path, frame, always(value, probability=None, classes=()), always(0.0), kind="regression")
    assert outcome(found(replace(evidence, champion=None), **rule)) is not Outcome.PASS


def test_numbers_that_follow_a_feature_are_better_than_a_constant(tmp_path: Path):
    """By the default metric, the root of mean squares."""
    frame = leavers().assign(y=lambda rows: rows.x + np.random.default_rng(1).normal(size=len(rows)))
    follows = Answers(lambda features: features.x.to_numpy(), classes=())
    evidence = evidence_of(tmp_path, frame, follows, always(0.0, probability=None, classes=()), kind="regression")
    assert [finding.outcome for finding in found(evidence)] == [Outcome.PASS, Outcome.PASS]


def test_a_first_version_has_to_be_better_than_a_constant(tmp_path: Path):
    """Nothing is there yet to compare with, and nothing would be known of it else."""
    evidence = replace(evidence_of(tmp_path, leavers(), weighted(), weighted()), champion=None)
    first, beside = found(evidence)
    assert first.reason == "nothing is in production yet to compare with"
    assert (beside.outcome, beside.n) == (Outcome.PASS, 4_000)
    assert beside.details["constant"] == 0.5


def test_whose_labels_are_all_alike_is_told_what_to_do(tmp_path: Path):
    """Good probabilities under one half make no label: classes are weighed, or the policy names what callers use."""
    ranks = Answers(
        lambda features: np.zeros(len(features), dtype=int),
        probability=lambda features: (0.49 / (1 + np.exp(-2 * (features.x - 2)))).to_numpy(),
    )
    evidence = replace(evidence_of(tmp_path, leavers(), ranks, ranks), champion=None)
    refused = found(evidence)[-1]
    assert refused.outcome is Outcome.FAIL
    assert "all its labels are 0: weigh the classes in training" in refused.reason
    assert outcome(found(evidence, metric="log_loss")) is Outcome.PASS


def test_few_rows_show_nothing_and_say_how_many_would(tmp_path: Path):
    """A little better than a constant is shown by many rows only."""
    slight = Answers(lambda features: (features.x > 3.9).astype(int).to_numpy())
    evidence = replace(evidence_of(tmp_path, leavers(300), slight, slight), champion=None)
    few = found(evidence)[-1]
    assert few.outcome is Outcome.INCONCLUSIVE
    assert "too few rows to tell whether it is better than a constant: about" in few.reason


def test_the_rule_says_where_a_constant_is_asked_for(tmp_path: Path):
    """In the last stage, unless it says otherwise; never where it says so."""
    evidence = evidence_of(tmp_path, leavers(), always(0), always(0))
    assert outcome(list(champion.check(evidence, ChampionRule()))) is Outcome.PASS
    assert outcome(list(champion.check(evidence, ChampionRule(constant=True)))) is Outcome.FAIL
    assert outcome(found(evidence, constant=False)) is Outcome.PASS


def test_without_rows_it_cannot_be_told_and_the_way_on_is_said(tmp_path: Path):
    """A version from elsewhere has no held-out rows: the policy names some, or leaves the constant out."""
    evidence = evidence_of(tmp_path, leavers(), weighted(), weighted())
    without = replace(evidence, champion=None, rows={(None, None): "m/2 has no held-out rows on record"})
    missing = found(without)[-1]
    assert missing.outcome is Outcome.INCONCLUSIVE
    assert "champion: {constant: false}" in missing.reason


def test_metrics_that_a_policy_names_are_kept(tmp_path: Path):
    """Whoever named accuracy compares versions by it as before; beside a constant it would tell nothing."""
    findings = found(evidence_of(tmp_path, leavers(), weighted(), weighted()), metric="accuracy")
    assert [finding.details["metric"] for finding in findings] == ["accuracy", "balanced_accuracy"]


@pytest.mark.parametrize(
    ("counts", "unbalanced"),
    [([75, 25], False), ([76, 24], True), ([50, 30, 20], False), ([84, 8, 8], True), ([10], False)],
)
def test_unbalanced_is_less_than_half_of_an_even_share(counts: list[int], unbalanced: bool):
    """A quarter of the rows of two classes, a sixth of three."""
    assert is_unbalanced(np.repeat(np.arange(len(counts)), counts)) is unbalanced


def test_rare_classes_give_no_constant_an_advantage(tmp_path: Path):
    """A probability below 0.002 costs no more than 0.002: leaving a rare class out is no knowledge of features."""
    frame = leavers(40_000).assign(y=lambda rows: (rows.id % 1_000 == 0).astype(int))
    sharp = always(0, probability=0.0)
    evidence = replace(evidence_of(tmp_path, frame, sharp, sharp), champion=None)
    beside = found(evidence, metric="log_loss")[-1]
    assert beside.outcome is not Outcome.PASS
    assert beside.details["difference"] <= 0
