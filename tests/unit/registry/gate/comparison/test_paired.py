"""Paired comparisons against values from elsewhere, and against what must hold for any rows."""

from collections.abc import Iterator
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import minimize_scalar
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from benchmarks import draws, rare_kinds
from benchmarks.draws import Draw
from slipway.registry.gate.comparison.answers import TooFewRows
from slipway.registry.gate.comparison.influences import roc_auc as roc_auc_influences
from slipway.registry.gate.comparison.judgement import decide, holm, judge, rows_to_decide
from slipway.registry.gate.comparison.paired import (
    Paired,
    accuracy,
    alone,
    average_precision,
    balanced_accuracy,
    bounded_loss,
    f1,
    mean_loss,
    roc_auc,
)
from slipway.registry.gate.comparison.random_weights import Clusters
from slipway.registry.gate.verdict import Outcome


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
    influences_error = roc_auc_influences(y.astype(int), scores).influences.std(ddof=1) / np.sqrt(200)
    assert influences_error == pytest.approx(np.sqrt(variance), rel=0.02)


def test_a_mean_loss_is_compared_by_its_rows():
    """Less loss is a positive difference; a root is that of scikit-learn's RMSE."""
    rng = np.random.default_rng(2)
    worse, better = rng.exponential(1.0, 400), rng.exponential(0.5, 400)
    paired = mean_loss(worse, better)
    assert paired.difference == pytest.approx(worse.mean() - better.mean())
    assert paired.interval(0.05)[0] > 0
    bounded = bounded_loss(worse, better, largest=10.0)
    assert bounded.difference == pytest.approx(worse.mean() - better.mean())
    assert bounded.interval(0.05)[0] < bounded.difference < bounded.interval(0.05)[1]
    rooted = mean_loss(worse**2, better**2, rooted=True)
    assert rooted.champion == pytest.approx(np.sqrt((worse**2).mean()))


def test_answers_that_never_differ_prove_little_on_few_rows():
    """A bootstrap of nothing would have no width at all."""
    losses = np.random.default_rng(3).exponential(1.0, 30)
    low, high = mean_loss(losses, losses).interval(0.05)
    assert low < -0.1 < 0.1 < high
    many = np.tile(losses, 400)
    assert abs(mean_loss(many, many).interval(0.05)[0]) < 0.02


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


def outcomes(
    draw: Draw, n: int, difference: float, margin: float, *, relative: bool = False, superiority: bool = False
) -> Iterator[Outcome]:
    """Yield what 100 candidates with a true difference are judged to be; too few rows of a kind decide nothing."""
    rng = np.random.default_rng(n)
    for _ in range(100):
        try:
            compared = draw(rng, n, difference)
        except TooFewRows:
            yield Outcome.INCONCLUSIVE
            continue
        own = margin * compared.champion if relative else margin
        yield decide(compared, 0.0 if superiority else -own, margin=own, alpha=0.05)[0]


def rates(draw: Draw, n: int, margin: float, *, relative: bool = False) -> tuple[int, int]:
    """Return of how many in a hundred equal candidates were refused, and how many two margins worse passed."""
    refused = sum(each is Outcome.FAIL for each in outcomes(draw, n, 0.0, margin, relative=relative))
    passed = sum(each is Outcome.PASS for each in outcomes(draw, n, -2 * margin, margin, relative=relative))
    return refused, passed


HARD = {
    "rare confident mistakes": (draws.of_rare_mistakes, 0.05, False),
    "two positives": (draws.of_ranks(0.9, positives=2), 0.02, False),
    "five positives that are ranked nearly perfectly": (draws.of_ranks(0.98, positives=5), 0.02, False),
    "rmse of lognormal errors": (draws.of_errors(draws.lognormal(1.0), together=0.0, rooted=True), 0.05, True),
    "mae of lognormal errors": (draws.of_errors(draws.lognormal(1.5), together=0.0), 0.05, True),
    "rmse of copied rows": (draws.of_errors(draws.normal, together=0.9, rooted=True, copied=True), 0.05, True),
    "accuracy of copied rows": (draws.of_copied_accuracy, 0.02, False),
    "accuracy of customers": (draws.of_accuracy_by_key, 0.02, False),
    "a champion without error": (draws.perfect_accuracy, 0.02, False),
    "rmse of t(3)": (draws.of_errors(draws.student(3), together=0.9, rooted=True), 0.05, True),
    "mae of whole numbers": (draws.of_rounded_errors, 0.05, True),
    "f1 of a class of 3 %": (draws.of_f1(0.03), 0.02, False),
    "average precision": (draws.of_average_precision, 0.05, False),
    "brier": (draws.of_brier, 0.01, False),
    "pinball": (draws.of_pinball, 0.05, True),
}


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("name", HARD)
def test_no_data_makes_the_error_rates_untrue(name: str, n: int):
    """Of 100 equal candidates, and of 100 that are two margins worse, at most one in twenty is judged wrongly."""
    draw, margin, relative = HARD[name]
    refused, passed = rates(draw, n, margin, relative=relative)
    assert (refused <= 5, passed <= 5) == (True, True), (refused, passed)


RARE = {
    "0.999 quantile": (rare_kinds.of_quantile(0.999), 1000, 0.05, True),
    "0.999 quantile, more rows": (rare_kinds.of_quantile(0.999), 2000, 0.05, True),
    "0.99 quantile": (rare_kinds.of_quantile(0.99), 300, 0.05, True),
    "0.99 quantile, enough rows": (rare_kinds.of_quantile(0.99), 1000, 0.05, True),
    "0.01 quantile": (rare_kinds.of_quantile(0.01), 300, 0.05, True),
    "0.9 quantile": (rare_kinds.of_quantile(0.9), 300, 0.05, True),
    "a class that may be absent": (rare_kinds.of_rare_class((1, 1, 1, 1, 0.02)), 340, 0.02, False),
    "a class of 0.3 %": (rare_kinds.of_rare_class((50, 30, 15, 4.7, 0.3)), 1000, 0.05, False),
    "a class of 0.5 %": (rare_kinds.of_rare_class((50, 30, 15, 4.5, 0.5)), 1000, 0.02, False),
    **{
        f"{flaw.metric} by large keys": (rare_kinds.of_large_keys(flaw), 600, flaw.margin, flaw.relative)
        for flaw in (*rare_kinds.OF_CLASSES, *rare_kinds.OF_NUMBERS)
    },
    "rows that are alike": (rare_kinds.of_alike_rows, 600, 0.02, False),
    "accuracy by few very large keys": (
        rare_kinds.of_large_keys(rare_kinds.OF_CLASSES[0], sigma=1.5, largest=0.005),
        2500,
        0.02,
        False,
    ),
}


@pytest.mark.parametrize("name", RARE)
def test_a_rare_kind_of_rows_makes_the_error_rates_no_less_true(name: str):
    """Where a kind that decides may not have been drawn, nothing is shown, neither for a candidate nor against it."""
    draw, n, margin, relative = RARE[name]
    refused, passed = rates(draw, n, margin, relative=relative)
    assert (refused <= 5, passed <= 5) == (True, True), (refused, passed)


@pytest.mark.parametrize(
    ("draw", "n", "margin", "relative"),
    [
        (draws.of_accuracy(0.2), 100, 0.02, False),
        (draws.of_errors(draws.normal, together=0.9, rooted=True), 1000, 0.05, True),
        (draws.of_brier, 1000, 0.01, False),
        (rare_kinds.of_quantile(0.99), 1000, 0.05, True),
        (rare_kinds.of_quantile(0.9), 1000, 0.05, True),
    ],
)
def test_as_good_is_hardly_ever_taken_for_better(draw: Draw, n: int, margin: float, relative: bool):
    """Superiority has the same error rate, at the difference where it is hardest to keep."""
    equal = list(outcomes(draw, n, 0.0, margin, relative=relative, superiority=True))
    worse = list(outcomes(draw, n, -2 * margin, margin, relative=relative, superiority=True))
    assert equal.count(Outcome.PASS) <= 7  # of 100 candidates, where the rate is 5
    assert worse.count(Outcome.PASS) <= 1


def test_few_large_keys_show_as_little_as_they_are():
    """One key of 60 rows among 940 alone: such a key more, answered wrongly, would be three margins."""
    right, lone = np.ones(1000, dtype=bool), alone(1000)
    one_large = Clusters(codes=np.concatenate([np.zeros(60, dtype=np.intp), np.arange(1, 941)]))
    a_pair = Clusters(codes=np.concatenate([np.zeros(2, dtype=np.intp), np.arange(1, 999)]))

    alike = replace(one_large, drawn_whole=False)

    def decided(clusters: Clusters) -> Outcome:
        return decide(accuracy(right, right, clusters=clusters), -0.02, margin=0.02, alpha=0.05)[0]

    assert [decided(each) for each in (lone, a_pair, one_large)] == [
        Outcome.PASS,
        Outcome.PASS,
        Outcome.INCONCLUSIVE,
    ]
    assert decided(alike) is Outcome.PASS  # 60 of 1,000 rows drawn one by one: no such kind was overlooked


def test_what_is_asked_for_counts_keys_that_grow():
    """More rows hold larger keys: what is asked for would decide, nine times in ten."""
    draw = rare_kinds.of_large_keys(rare_kinds.OF_CLASSES[0])
    _, asked = decide(draw(np.random.default_rng(0), 1500, 0.0), -0.02, margin=0.02, alpha=0.05)
    rng = np.random.default_rng(1)
    found = [decide(draw(rng, asked, 0.0), -0.02, margin=0.02, alpha=0.05)[0] for _ in range(15)]
    assert found.count(Outcome.PASS) >= 12


@pytest.mark.parametrize(
    ("draw", "n", "margin", "relative"),
    [
        (rare_kinds.of_quantile(0.9), 10_000, 0.05, True),
        (draws.of_rare_mistakes, 3000, 0.05, False),
        (draws.of_errors(draws.normal, together=0.9, rooted=True), 1500, 0.05, True),
        (draws.of_ranks(0.9), 4000, 0.02, False),
        (draws.of_copied_accuracy, 60_000, 0.02, False),
    ],
)
def test_enough_rows_decide(draw: Draw, n: int, margin: float, relative: bool):
    """A rule that never decided would never be wrong: most equal candidates pass, most worse ones are refused."""
    rng = np.random.default_rng(0)
    found = {Outcome.PASS: 0.0, Outcome.FAIL: -2 * margin}
    for wanted, difference in found.items():
        outcomes = []
        for _ in range(20):
            compared = draw(rng, n, difference)
            own = margin * compared.champion if relative else margin
            outcomes.append(decide(compared, -own, margin=own, alpha=0.05)[0])
        assert outcomes.count(wanted) >= 16


losses = st.lists(st.floats(0.0, 5.0, width=32), min_size=12, max_size=40)


@given(losses, st.integers(0, 2**32 - 1), st.sampled_from(["mae", "rmse", "log_loss"]))
@settings(max_examples=60, deadline=None)
def test_neither_the_order_of_rows_nor_copies_of_all_of_them_change_a_comparison(
    champion: list[float], seed: int, metric: str
):
    """Ten copies of each row show what one does."""
    rng = np.random.default_rng(seed)
    theirs = np.array(champion)
    ours = theirs * rng.uniform(0.5, 1.5, len(theirs))

    def compared(order: np.ndarray, clusters: Clusters) -> Paired:
        if metric == "log_loss":
            return bounded_loss(theirs[order], ours[order], largest=7.5, clusters=clusters)
        return mean_loss(theirs[order], ours[order], rooted=metric == "rmse", clusters=clusters)

    plain = compared(np.arange(len(theirs)), alone(len(theirs)))
    order = rng.permutation(np.repeat(np.arange(len(theirs)), 10))
    copied = compared(order, Clusters(codes=np.unique(order, return_inverse=True)[1]))
    for t in (-0.5, -0.1, 0.05):
        assert copied.p_above(t) == pytest.approx(plain.p_above(t), abs=1e-6)
        assert copied.p_below(t) == pytest.approx(plain.p_below(t), abs=1e-6)


@given(losses, st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_a_lower_bar_is_never_harder_to_pass(champion: list[float], seed: int):
    """What is shown to be above a threshold is above every lower one; the interval agrees with the tests."""
    theirs = np.array(champion)
    compared = bounded_loss(theirs, theirs * np.random.default_rng(seed).uniform(0.5, 1.5, len(theirs)), largest=7.5)
    surprises = [compared.p_above(t) for t in np.linspace(-2, 2, 21)]
    assert (np.diff(surprises) >= -1e-6).all()
    low, high = compared.interval(0.05)
    assert low <= compared.difference <= high
    assert compared.p_above(low + 0.01) > 0.049
    assert compared.p_below(high - 0.01) > 0.049
    assert compared.p_above(low - 0.01) <= 0.05
    assert compared.p_below(high + 0.01) <= 0.05


NOTHING = np.zeros(400)
HUGE = np.full(400, 1e150)
SOME = np.random.default_rng(5).exponential(1.0, 400)


@pytest.mark.parametrize("rooted", [False, True])
@pytest.mark.parametrize(
    ("champion", "candidate"), [(NOTHING, NOTHING), (NOTHING, SOME), (SOME, NOTHING), (SOME, SOME), (HUGE, HUGE)]
)
@pytest.mark.parametrize("margin", [0.0, 0.05, 1e-300, 1e300])
def test_rows_to_decide_is_a_number_or_none_whatever_is_compared(champion, candidate, margin: float, rooted: bool):
    """Without any error, without any difference, beyond all size; nothing is raised."""
    compared = mean_loss(champion, candidate, rooted=rooted, know_nothing=2.0)
    rows = rows_to_decide(compared, margin=margin, alpha=0.05)
    assert rows is None or 1 <= rows <= 1e9
    judged = judge(compared, margin=margin, alpha=0.05, superiority=False)
    assert judged.rows_to_decide is None or judged.rows_to_decide > 400


@pytest.mark.parametrize("metric", ["mae", "rmse", "log_loss", "roc_auc", "average_precision", "f1"])
def test_the_same_answers_are_as_good_as_soon_as_there_are_the_rows_that_were_asked_for(metric: str):
    """It asks for the rows in which a difference of a margin would have shown; not for one more, for ever."""

    def compared(n: int) -> Paired:
        rng = np.random.default_rng(6)
        errors, y = rng.normal(size=n), (np.arange(n) % 4 == 0).astype(int)
        scores = (y + rng.normal(size=n))[:, None]
        ranks = {"roc_auc": roc_auc, "average_precision": average_precision}
        if metric in ranks:
            return ranks[metric](y[:, None], scores, scores)
        if metric == "f1":
            said = (scores[:, 0] > 0.5).astype(int)
            return f1(y, said, said)
        if metric == "log_loss":
            return bounded_loss(np.abs(errors), np.abs(errors), largest=6.2)
        return mean_loss(np.abs(errors), np.abs(errors), rooted=metric == "rmse")

    margin = 0.05
    outcome, rows = decide(compared(40), -margin, margin=margin, alpha=0.05)
    assert (outcome, rows > 41) == (Outcome.INCONCLUSIVE, True)
    assert decide(compared(rows + rows // 4), -margin, margin=margin, alpha=0.05)[0] is Outcome.PASS


def test_no_number_of_rows_is_promised_where_single_rows_weigh_too_much():
    """Errors without a mean have no mean to compare."""
    theirs, ours = np.abs(np.random.default_rng(7).standard_cauchy((2, 500)))
    judged = judge(mean_loss(theirs, ours), margin=0.05 * theirs.mean(), alpha=0.05, superiority=False)
    assert (judged.outcome, judged.rows_to_decide) == (Outcome.INCONCLUSIVE, None)
    assert "cannot be told" in judged.would_decide
