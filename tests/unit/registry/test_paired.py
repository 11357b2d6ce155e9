"""Paired comparisons against values from elsewhere, and against what must hold for any rows."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy import stats
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from registry.judgement import holm, judge, rows_to_decide
from registry.paired import Paired, accuracy, balanced_accuracy, mean_loss, roc_auc
from registry.verdict import Outcome


def rights(gained: int, lost: int, both: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return who was right, of a table of counts."""
    champion = np.repeat([False, True, True, False], [gained, lost, both, neither])
    candidate = np.repeat([True, False, True, False], [gained, lost, both, neither])
    return champion, candidate


@pytest.mark.parametrize(("gained", "lost", "n"), [(12, 2, 50), (3, 9, 40), (0, 0, 50), (0, 6, 30)])
def test_the_score_interval_inverts_the_score_test(gained: int, lost: int, n: int):
    """At both ends the test statistic, with the shares that are likeliest under that difference, is the quantile."""
    low, high = accuracy(*rights(gained, lost, n - gained - lost, 0)).interval(0.025)

    def statistic(t: float) -> float:
        def unlikely(loss: float) -> float:
            gain, rest = loss + t, 1 - 2 * loss - t
            return -sum(
                k * np.log(max(p, 1e-300)) for k, p in ((gained, gain), (lost, loss), (n - gained - lost, rest))
            )

        loss = minimize_scalar(
            unlikely, bounds=(max(0.0, -t), (1 - t) / 2), method="bounded", options={"xatol": 1e-12}
        ).x
        return ((gained - lost) / n - t) / np.sqrt((2 * loss + t - t**2) / n)

    assert statistic(low) == pytest.approx(1.96, abs=5e-3)
    assert statistic(high) == pytest.approx(-1.96, abs=5e-3)


counts = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(0, 40), st.integers(1, 20))


@given(counts)
@settings(max_examples=60, deadline=None)
def test_the_score_interval_and_its_tests_agree(table: tuple[int, int, int, int]):
    """A threshold is below the interval just when the rows show that the difference is above it."""
    paired = accuracy(*rights(*table))
    low, high = paired.interval(0.05)
    assert -1 <= low <= paired.difference <= high <= 1
    if low > -0.999:
        assert paired.p_above(low - 0.01) < 0.05 < paired.p_above(low + 0.01)
    if high < 0.999:
        assert paired.p_below(high + 0.01) < 0.05 < paired.p_below(high - 0.01)


@given(counts)
@settings(max_examples=40, deadline=None)
def test_turned_around_a_comparison_is_its_mirror(table: tuple[int, int, int, int]):
    """Candidate and champion have the same rights."""
    champion, candidate = rights(*table)
    one, other = accuracy(champion, candidate).interval(0.05), accuracy(candidate, champion).interval(0.05)
    assert one == pytest.approx((-other[1], -other[0]), abs=1e-6)


def test_balanced_accuracy_is_scikit_learns():
    """The values, the difference, and an interval around it."""
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b", "c"], 300, p=[0.7, 0.2, 0.1])
    a, b = (np.where(rng.random(300) < share, y, "a") for share in (0.8, 0.7))
    paired = balanced_accuracy(y, y == a, y == b)
    assert paired.champion == pytest.approx(balanced_accuracy_score(y, a))
    assert paired.candidate == pytest.approx(balanced_accuracy_score(y, b))
    low, high = paired.interval(0.05)
    assert low < paired.difference < high
    assert paired.p_above(low - 0.01) < 0.05 < paired.p_above(low + 0.01)


def test_the_area_under_the_curve_is_scikit_learns_and_its_error_delongs():
    """The variance of one area by DeLong's own sums over positives and negatives."""
    rng = np.random.default_rng(1)
    y = np.arange(200) % 3 == 0
    scores = rng.normal(size=200) + y
    constant = np.zeros(200)
    paired = roc_auc(y[:, None].astype(int), constant[:, None], scores[:, None])
    assert (paired.champion, paired.candidate) == (0.5, pytest.approx(roc_auc_score(y, scores)))
    wins = (scores[y][:, None] > scores[~y][None, :]).astype(float)
    variance = wins.mean(axis=1).var(ddof=1) / y.sum() + wins.mean(axis=0).var(ddof=1) / (~y).sum()
    half = paired.difference - paired.interval(0.05)[0]
    assert half / stats.t.ppf(0.95, 199) == pytest.approx(np.sqrt(variance), rel=0.02)


def test_a_mean_loss_is_compared_by_its_rows():
    """Less loss is a positive difference; a root is that of scikit-learn's RMSE."""
    rng = np.random.default_rng(2)
    worse, better = rng.exponential(1.0, 400), rng.exponential(0.5, 400)
    paired = mean_loss(worse, better)
    assert paired.difference == pytest.approx(worse.mean() - better.mean())
    assert paired.interval(0.05)[0] > 0
    rooted = mean_loss(worse**2, better**2, rooted=True)
    assert rooted.champion == pytest.approx(np.sqrt((worse**2).mean()))


def test_answers_that_never_differ_prove_little_on_few_rows():
    """A bootstrap of nothing would have no width at all."""
    losses = np.random.default_rng(3).exponential(1.0, 30)
    low, high = mean_loss(losses, losses).interval(0.05)
    assert low < -0.1 < 0.1 < high
    many = np.tile(losses, 400)
    assert abs(mean_loss(many, many).interval(0.05)[0]) < 0.01


def test_the_same_rows_give_the_same_verdict():
    """Resampling starts from a fixed seed."""
    losses = np.random.default_rng(4).exponential(1.0, (2, 100))
    assert mean_loss(*losses).interval(0.05) == mean_loss(*losses).interval(0.05)


def _judged(paired: Paired, **more: bool) -> Outcome:
    return judge(paired, margin=0.05, alpha=0.05, superiority=more.get("superiority", False)).outcome


def test_a_margin_makes_three_outcomes():
    """Shown to be no worse, shown to be worse, and neither, with the rows that would decide."""
    assert _judged(accuracy(*rights(5, 5, 900, 90))) is Outcome.PASS
    assert _judged(accuracy(*rights(0, 150, 800, 50))) is Outcome.FAIL
    undecided = judge(accuracy(*rights(3, 3, 20, 4)), margin=0.05, alpha=0.05, superiority=False)
    assert undecided.outcome is Outcome.INCONCLUSIVE
    assert undecided.rows_to_decide > 30


def test_superiority_asks_for_more():
    """As good is not better."""
    as_good, better = accuracy(*rights(5, 5, 900, 90)), accuracy(*rights(60, 5, 900, 35))
    assert _judged(as_good, superiority=True) is Outcome.INCONCLUSIVE
    assert _judged(better, superiority=True) is Outcome.PASS


def test_a_smaller_margin_asks_for_more_rows():
    """Four times as many for half of it."""
    paired = accuracy(*rights(3, 3, 20, 4))
    half, whole = (rows_to_decide(paired, margin=margin, alpha=0.05) for margin in (0.01, 0.02))
    assert half == pytest.approx(4 * whole, rel=0.01)


def test_holm_controls_all_at_once():
    """As by hand: the smallest at alpha / m, the next at alpha / (m - 1), until one is not."""
    assert holm([0.04, 0.001, 0.012], 0.05) == [True, True, True]
    assert holm([0.04, 0.001, 0.03], 0.05) == [False, True, False]
    assert holm([], 0.05) == []


def test_an_interval_of_no_confidence_is_the_estimate():
    """Rounding at the estimate is no reason to fail, with many rows least of all."""
    rng = np.random.default_rng(0)
    y = rng.random(10_000) < 0.3
    theirs, ours = rng.random(10_000) < 0.9, rng.random(10_000) < 0.9
    for compared in (accuracy(theirs, ours), balanced_accuracy(y, theirs, ours)):
        assert compared.interval(0.5) == pytest.approx((compared.difference,) * 2, abs=1e-9)
        assert compared.p_above(compared.difference) >= 0.49
