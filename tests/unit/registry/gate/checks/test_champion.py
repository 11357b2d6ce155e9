"""Candidate against champion through the checks: what is measured, which rows count, and whose word the targets are."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from slipway.registry.gate.checks import champion, metric, own, slices
from slipway.registry.gate.comparison import answers
from slipway.registry.gate.evidence import NO_TOOLS, Evidence, Rows, Subject
from slipway.registry.gate.verdict import Outcome
from slipway.registry.model_registry import Measured
from slipway.registry.policy.policy import ChampionRule, MetricRule, OwnRule, SlicesRule
from slipway.registry.rows import row_ids
from slipway.registry.versions.compare import compare
from tests.doubles.fakes import as_mlflow_does
from tests.unit.registry.gate.checks.test_checks import NOW, only, stored, subject


class Answers:
    """A model that answers what a function of the features says; with `classes`, with probabilities of two."""

    columns: tuple[str, ...] = ()
    optional = frozenset[str]()
    method = "predict"

    def __init__(self, labels, *, classes: tuple = (0, 1), probability=None) -> None:
        self.model = self
        self.labels = labels
        if classes:
            self.classes_ = classes
        if probability:
            self.predict_proba = lambda features: np.column_stack([1 - probability(features), probability(features)])

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        return features

    def called(self, features: pd.DataFrame) -> np.ndarray:
        return getattr(self, self.method)(features)

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return self.labels(features)


def task(version: Subject, name: str) -> Subject:
    """Return a version of another task."""
    return replace(version, version=replace(version.version, tags={"slipway.task": name}))


def evidence_of(
    folder: Path, frame: pd.DataFrame, ours: Answers, theirs: Answers, *, kind: str = "classification", key=None
) -> Evidence:
    """Return evidence about m/2 against m/1 on rows with the target y, that neither was trained on."""
    frame.to_parquet(folder / "rows.parquet", index=False)
    columns = [key] if key else [name for name in frame if name != "y"]
    versions = []
    for number in (1, 2):
        holdout = folder / f"holdout-{number}"
        holdout.mkdir(exist_ok=True)
        np.savez(holdout / "row_ids.npz", train=np.array([], dtype=np.uint64), holdout=row_ids(frame[columns]))
        document = {"id_columns": columns, "target": "y", "scheme": {"key": key}}
        (holdout / "holdout.json").write_text(json.dumps(document))
        versions.append(task(replace(subject(number, stored(folder / str(number))), holdout=holdout), kind))
    models = {str(versions[0].folder): theirs, str(versions[1].folder): ours}
    return Evidence(
        stage="production",
        candidate=versions[1],
        champion=versions[0],
        occupant=1,
        rows={
            (None, None): Rows(
                path=folder / "rows.parquet",
                champions_path=folder / "rows.parquet",
                target="y",
                digest="d",
                source="s",
                held_out=True,
            )
        },
        events=[],
        entered_at=None,
        policy_digest="policy",
        promoter="petra",
        now=NOW,
        tools=replace(NO_TOOLS, load=models.__getitem__, rehearse=as_mlflow_does),
    )


def ids(n: int) -> pd.DataFrame:
    """Return rows with features, of classes that follow from one of them with one in ten called otherwise."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(n), "x": rng.random(n)})
    return frame.assign(y=(frame.x > 0.5) ^ (rng.random(n) < 0.1)).astype({"y": int})


def above(at: float) -> Answers:
    """Return a model that says 1 above a threshold, the surer the farther."""
    return Answers(
        lambda features: (features.x > at).astype(int).to_numpy(),
        probability=lambda features: np.clip(0.5 + (features.x - at), 0.05, 0.95).to_numpy(),
    )


@pytest.mark.parametrize(
    "name", ["accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision", "log_loss", "brier"]
)
def test_every_metric_of_classes_passes_as_good_and_refuses_worse(tmp_path: Path, name: str):
    """On all rows, and on each slice."""
    frame = ids(4000).assign(side=lambda rows: np.where(rows.id % 2, "left", "right"))
    rule, by_side = ChampionRule(metric=name), SlicesRule(columns=("side",), metric=name)
    given = evidence_of(tmp_path, frame, above(0.5), above(0.5))
    worse = Answers(
        lambda features: (features.id % 2).to_numpy(), probability=lambda features: features.id.to_numpy() % 2 * 0.9
    )
    assert only(champion.check(given, rule)).outcome is Outcome.PASS
    assert only(slices.check(given, by_side)).outcome is Outcome.PASS
    given = evidence_of(tmp_path, frame, worse, above(0.5))
    assert only(champion.check(given, rule)).outcome is Outcome.FAIL
    assert only(slices.check(given, by_side)).outcome is Outcome.FAIL


def numbers(n: int) -> pd.DataFrame:
    """Return rows with a number to foretell."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"id": np.arange(n), "x": rng.random(n)})
    return frame.assign(y=10 * frame.x + rng.normal(size=n))


def times(factor: float, more: Mapping[int, float] | None = None) -> Answers:
    """Return a model of numbers; `more` says which rows it is off by how much."""
    return Answers(
        lambda features: (factor * features.x + features.id.map(more or {}).fillna(0)).to_numpy(), classes=()
    )


@pytest.mark.parametrize(("name", "more"), [("mae", {}), ("rmse", {}), ("pinball", {"quantile": 0.9})])
def test_every_metric_of_numbers_passes_as_good_and_refuses_worse(tmp_path: Path, name: str, more: dict):
    """On all rows, and on each slice."""
    frame = numbers(4000).assign(side=lambda rows: np.where(rows.id % 2, "left", "right"))
    rule, by_side = ChampionRule(metric=name, **more), SlicesRule(columns=("side",), metric=name, **more)
    given = evidence_of(tmp_path, frame, times(10.0), times(10.0), kind="regression")
    assert only(champion.check(given, rule)).outcome is Outcome.PASS
    assert only(slices.check(given, by_side)).outcome is Outcome.PASS
    given = evidence_of(tmp_path, frame, times(8.0), times(10.0), kind="regression")
    assert only(champion.check(given, rule)).outcome is Outcome.FAIL
    assert only(slices.check(given, by_side)).outcome is Outcome.FAIL


def test_pinball_measures_its_quantile(tmp_path: Path):
    """An answer that is 9 of 10 times too high is a better 0.9 quantile than the middle."""
    high = Answers(lambda features: (10 * features.x + 1.28).to_numpy(), classes=())
    given = evidence_of(tmp_path, numbers(3000), high, times(10.0), kind="regression")
    assert (
        only(champion.check(given, ChampionRule(metric="pinball", quantile=0.9, superiority=True))).outcome.name
        == "PASS"
    )
    assert only(champion.check(given, ChampionRule(metric="pinball", quantile=0.1))).outcome is Outcome.FAIL


OF_EACH_CLASS = ["balanced_accuracy", "f1", "roc_auc", "average_precision"]


@pytest.mark.parametrize("name", OF_EACH_CLASS)
def test_a_class_of_a_few_rows_decides_nothing(tmp_path: Path, name: str):
    """And it is said how many rows there would have to be."""
    frame = ids(500).assign(y=lambda rows: (rows.id < 4).astype(int))
    found = only(champion.check(evidence_of(tmp_path, frame, above(0.5), above(0.5)), ChampionRule(metric=name)))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert f"4 rows are of class 1, and {name} needs 10 of each: about 1,250 rows like these" in found.reason


@pytest.mark.parametrize("name", OF_EACH_CLASS)
@pytest.mark.parametrize("knows", ["candidate", "champion"])
def test_a_class_that_a_version_knows_and_no_row_is_of_decides_nothing(tmp_path: Path, name: str, knows: str):
    """That none was drawn may be chance; a metric of rows does without."""

    def model(more: bool) -> Answers:
        known = above(0.5)
        if more:
            known.classes_ = (0, 1, 2)
            known.predict_proba = lambda features: np.full((len(features), 3), 1 / 3)
        return known

    given = evidence_of(tmp_path, ids(500), model(knows == "candidate"), model(knows == "champion"))
    found = only(champion.check(given, ChampionRule(metric=name)))
    version = "m/2" if knows == "candidate" else "m/1"
    assert (found.outcome, found.details) == (Outcome.INCONCLUSIVE, {"rows_to_measure": 5000})
    assert f"no row is of class 2, which {version} knows, and {name} needs 10 of each" in found.reason
    assert "more than 5,000 rows like these, or rows of that class" in found.reason
    assert only(champion.check(given, ChampionRule(metric="accuracy"))).outcome is Outcome.PASS


def test_a_class_that_is_only_answered_is_known(tmp_path: Path):
    """By a version that does not say which classes it knows."""
    silent = Answers(lambda features: np.where(features.x > 0.5, 1, np.where(features.x < 0.01, 7, 0)), classes=())
    given = evidence_of(tmp_path, ids(500), silent, above(0.5))
    assert "no row is of class 7, which m/2 knows" in only(champion.check(given, ChampionRule(metric="f1"))).reason


@pytest.mark.parametrize(
    ("quantile", "side", "expected", "wanted"),
    [(0.999, "above", "0.99", "10,000"), (0.99, "above", "9.9", "1,000"), (0.005, "below", "5", "2,000")],
)
def test_a_quantile_that_few_rows_lie_beyond_decides_nothing(
    tmp_path: Path, quantile: float, side: str, expected: str, wanted: str
):
    """Who answers too near to the middle loses on those rows alone; it is said how many rows would hold ten."""
    far = Answers(lambda features: (10 * features.x + np.sign(quantile - 0.5) * 9).to_numpy(), classes=())
    given = evidence_of(tmp_path, numbers(990), far, far, kind="regression")
    for check, rule in (
        (champion, ChampionRule(metric="pinball", quantile=quantile)),
        (slices, SlicesRule(columns=("x",), metric="pinball", quantile=quantile)),
    ):
        found = only(check.check(given, rule))
        assert found.outcome is Outcome.INCONCLUSIVE
        assert f"about {expected} rows lie {side} the quantile {quantile:g}, and pinball needs 10" in found.reason
        assert f"about {wanted} rows like these" in found.reason


def test_a_quantile_is_measured_where_rows_of_ten_keys_lie_beyond(tmp_path: Path):
    """Thirty keys of a hundred rows each are not thirty rows."""
    frame = numbers(3000).assign(shop=lambda rows: rows.id // 100)
    high = Answers(lambda features: (10 * features.x + 2.33).to_numpy(), classes=())
    given = evidence_of(tmp_path, frame, high, high, kind="regression", key="shop")
    rule = ChampionRule(metric="pinball", quantile=0.99)
    found = only(champion.check(given, rule))
    assert (found.details["n_clusters"], found.details["metric"]) == (30, "pinball")
    lone = Answers(lambda features: np.where(features.shop < 3, 10 * features.x + 2.33, 99), classes=())
    few = only(champion.check(evidence_of(tmp_path, frame, lone, lone, kind="regression", key="shop"), rule))
    assert "about 3 distinct rows lie above the quantile 0.99, and pinball needs 10: about 10,000 rows" in few.reason


def test_a_slice_that_cannot_be_measured_is_reported_and_counts_as_not_covered(tmp_path: Path):
    """The whole has ten rows of each class, one side has nine; a slice that is worse is refused all the same."""
    frame = ids(4000).assign(side=lambda rows: np.where(rows.id < 400, "left", "right"))
    frame["y"] = np.where((frame.side == "left") & ((frame.y == 0) | (frame.y == 1).cumsum().gt(9)), 0, frame.y)
    rule = SlicesRule(columns=("side",), metric="f1")
    given = evidence_of(tmp_path, frame, above(0.5), above(0.5))
    found = only(slices.check(given, rule))
    assert (found.outcome, found.details["covered"]) == (Outcome.PASS, {"side": 0.9})
    assert "1 slice, all that can be judged, shown to be no worse than by 0.05" in found.reason
    assert "cannot be measured: side = left (9 rows are of class 1, and f1 needs 10 of each" in found.reason
    assert len(found.details["unmeasured"]) == 1
    strict = only(slices.check(given, rule.model_copy(update={"coverage": 0.95})))
    assert strict.outcome is Outcome.INCONCLUSIVE
    assert strict.reason.startswith("slices that can be judged hold 0.9 of the rows by side, and 0.95 are wanted")
    refused = only(slices.check(evidence_of(tmp_path, frame, above(0.2), above(0.5)), rule))
    assert (refused.outcome, "cannot be measured: side = left" in refused.reason) == (Outcome.FAIL, True)


@pytest.mark.parametrize("metric", [None, "accuracy", "f1", "roc_auc", "log_loss", "brier"])
def test_a_champion_passes_against_itself_in_slices_of_any_size(tmp_path: Path, metric: str | None):
    """Those with too few rows to show it are reported, and not judged."""
    frame = ids(4000).assign(shop=lambda rows: np.minimum(rows.id // 1000, 3) + (rows.id > 3800) + (rows.id > 3960))
    frame["shop"] = frame.shop.map(str)
    found = only(
        slices.check(evidence_of(tmp_path, frame, above(0.5), above(0.5)), SlicesRule(columns=("shop",), metric=metric))
    )
    assert found.outcome is Outcome.PASS
    assert "shop = 5 (39 rows)" in found.details["too_small"]


def test_a_small_slice_that_is_shown_to_be_worse_is_refused(tmp_path: Path):
    """Too few rows to be shown to be good, and enough to be wrong about all of them."""
    frame = ids(1000).assign(side=lambda rows: np.where(rows.id < 40, "left", "right"))
    wrong_there = Answers(lambda features: ((features.x > 0.5) ^ (features.side == "left")).astype(int).to_numpy())
    refused = only(slices.check(evidence_of(tmp_path, frame, wrong_there, above(0.5)), SlicesRule(columns=("side",))))
    assert refused.outcome is Outcome.FAIL
    assert "side = left" in refused.reason


def test_slices_of_a_rare_class_are_compared_by_what_sees_it(tmp_path: Path):
    """Who finds churn is worse by accuracy in each slice than who never says yes."""
    frame = ids(8000)
    frame["y"] = ((frame.x > 0.9) & (frame.id % 5 > 0)).astype(int)
    frame["side"] = np.where(frame.id % 2, "left", "right")
    never = Answers(lambda features: np.zeros(len(features), dtype=int))
    given = evidence_of(tmp_path, frame, above(0.7), never)
    found = only(slices.check(given, SlicesRule(columns=("side",))))
    assert (found.outcome, found.details["metric"]) == (Outcome.PASS, "balanced_accuracy")
    assert only(slices.check(given, SlicesRule(columns=("side",), metric="accuracy"))).outcome is Outcome.FAIL


def test_slices_of_few_large_keys_decide_nothing(tmp_path: Path):
    """Each side has 200 keys, of which one holds a tenth of the rows."""
    frame = ids(1000).assign(side=lambda rows: np.where(rows.id % 2, "left", "right"))
    large = frame.id < 100
    keyed = frame.assign(shop=np.where(large, frame.id % 2, frame.id), plain=frame.id)
    rule = SlicesRule(columns=("side",))
    by_shop = evidence_of(tmp_path, keyed, above(0.5), above(0.5), key="shop")
    assert only(slices.check(by_shop, rule)).outcome is Outcome.INCONCLUSIVE
    assert only(slices.check(evidence_of(tmp_path, keyed, above(0.5), above(0.5)), rule)).outcome is Outcome.PASS


@pytest.mark.parametrize("name", ["accuracy", "log_loss", "f1"])
def test_ten_copies_of_each_row_count_as_one(tmp_path: Path, name: str):
    """Without a key, rows of equal features are one; the reason says how many are left."""
    frame = ids(300).drop(columns="id")
    labels = lambda at: lambda features: (features.x > at).astype(int).to_numpy()  # noqa: E731
    probability = lambda features: np.full(len(features), 0.4)  # noqa: E731
    models = [Answers(labels(at), probability=probability) for at in (0.53, 0.5)]
    rule = ChampionRule(metric=name, margin=0.05)
    once = only(champion.check(evidence_of(tmp_path, frame, *models), rule))
    copied = pd.concat([frame] * 10, ignore_index=True)
    tenfold = only(champion.check(evidence_of(tmp_path, copied, *models), rule))
    assert tenfold.outcome is once.outcome
    assert tenfold.details["n_clusters"] == 300
    assert "on 3,000 rows, 300 distinct" in tenfold.reason


def test_rows_of_one_key_count_as_one(tmp_path: Path):
    """A customer of many rows is one customer; rows without their key are known by their content."""
    frame = ids(2000).assign(customer=lambda rows: rows.id // 50)
    found = only(champion.check(evidence_of(tmp_path, frame, above(0.5), above(0.5), key="customer"), ChampionRule()))
    assert (found.outcome, found.details["n_clusters"]) == (Outcome.INCONCLUSIVE, 40)
    assert "on 2,000 rows, 40 distinct by customer" in found.reason
    lacking = frame.assign(customer=frame.customer.where(frame.id >= 100))
    again = only(champion.check(evidence_of(tmp_path, lacking, above(0.5), above(0.5), key="customer"), ChampionRule()))
    assert again.details["n_clusters"] == 138
    plain = only(champion.check(evidence_of(tmp_path, frame, above(0.5), above(0.5), key="id"), ChampionRule()))
    assert (plain.outcome, plain.details["n_clusters"]) == (Outcome.PASS, 2000)


def exact(n: int) -> pd.DataFrame:
    """Return rows without noise."""
    return pd.DataFrame({"id": np.arange(n), "x": np.linspace(0, 1, n)}).assign(y=lambda rows: 10 * rows.x)


@pytest.mark.parametrize("name", ["mae", "rmse"])
def test_a_champion_without_error_is_compared_all_the_same(tmp_path: Path, name: str):
    """As perfect passes, worse fails; a margin that is a share of nothing is asked for as a number."""
    few, many = {3: 0.01}, dict.fromkeys(range(0, 400, 2), 0.01)
    relative, absolute = ChampionRule(metric=name), ChampionRule(metric=name, margin=0.3)

    def found(candidate: Answers, rule: ChampionRule):
        return only(champion.check(evidence_of(tmp_path, exact(400), candidate, times(10.0), kind="regression"), rule))

    assert found(times(10.0), relative).outcome is Outcome.PASS
    assert found(times(10.0 + 1e-13), relative).outcome is Outcome.PASS
    given = evidence_of(tmp_path, exact(400), times(10.0), times(10.0), kind="regression")
    assert only(slices.check(given, SlicesRule(columns=("x",)))).outcome is Outcome.PASS
    assert found(times(10.0, many), relative).outcome is Outcome.FAIL
    untold = found(times(10.0, few), relative)
    assert (untold.outcome, "margin: …" in untold.reason) == (Outcome.INCONCLUSIVE, True)
    assert found(times(10.0), absolute).outcome is (Outcome.PASS if name == "mae" else Outcome.INCONCLUSIVE)
    assert found(times(12.5), absolute).outcome is Outcome.FAIL


def test_a_champion_that_is_never_right_is_not_without_error(tmp_path: Path):
    """A share of its accuracy is no margin either, and as bad is not as good as can be."""
    frame = ids(400).assign(y=lambda rows: rows.id % 2)
    wrong = Answers(lambda features: 1 - features.id.to_numpy() % 2)
    given = evidence_of(tmp_path, frame, wrong, wrong)
    for check, rule in (
        (champion, ChampionRule(relative_margin=0.05)),
        (slices, SlicesRule(columns=("x",), relative_margin=0.05)),
    ):
        found = only(check.check(given, rule))
        assert (found.outcome, "margin: …" in found.reason) == (Outcome.INCONCLUSIVE, True)


def test_errors_beyond_all_size_are_said_and_not_computed_with(tmp_path: Path):
    """A square that is infinite is no measurement."""
    given = evidence_of(tmp_path, numbers(200), times(1e200), times(10.0), kind="regression")
    found = only(champion.check(given, ChampionRule(metric="rmse")))
    assert (found.outcome, "too large to measure" in found.reason) == (Outcome.INCONCLUSIVE, True)
    assert only(champion.check(given, ChampionRule(metric="mae"))).outcome is Outcome.FAIL


@pytest.mark.parametrize("check", [champion, slices])
def test_one_answer_for_all_rows_is_an_error(tmp_path: Path, check):
    """Whichever version gives it."""
    short = Answers(lambda features: np.array([1]))
    rule = ChampionRule() if check is champion else SlicesRule(columns=("id",))
    for models in ((short, above(0.5)), (above(0.5), short)):
        found = only(check.check(evidence_of(tmp_path, ids(400), *models), rule))
        assert (found.outcome, "answers with shape (1,) to 400 rows" in found.reason) == (Outcome.ERROR, True)


@pytest.mark.parametrize("missing", [None, np.nan])
def test_a_missing_answer_never_passes(tmp_path: Path, missing):
    """Of classes as of numbers."""

    def answers(features: pd.DataFrame) -> np.ndarray:
        labels = (features.x > 0.5).astype(object).to_numpy().copy()
        labels[features.id == 5] = missing
        return labels

    found = only(champion.check(evidence_of(tmp_path, ids(2000), Answers(answers), above(0.5)), ChampionRule()))
    assert (found.outcome, "1 of 2000 answers of m/2 are missing" in found.reason) == (Outcome.INCONCLUSIVE, True)
    given = evidence_of(tmp_path, numbers(2000), Answers(answers, classes=()), times(10.0), kind="regression")
    assert "1 answers of m/2 are not finite numbers" in only(champion.check(given, ChampionRule())).reason


@pytest.mark.parametrize("limit", [{"max": 1.0}, {"min": -1.0}])
@pytest.mark.parametrize("stored_as", [1.7976931348623157e308, -1.7976931348623157e308, -1.797e308, float("-inf")])
def test_an_infinite_metric_passes_no_limit(tmp_path: Path, limit: dict, stored_as: float):
    """MLflow's databases hold the largest double in its place."""
    given = evidence_of(tmp_path, ids(50), above(0.5), above(0.5))
    candidate = replace(given.candidate, run=Measured(metrics={"loss": stored_as}, params={}))
    found = only(metric.check(replace(given, candidate=candidate), MetricRule(limits={"loss": limit})))
    assert (found.outcome, "which is no measurement" in found.reason) == (Outcome.ERROR, True)


def test_ones_own_check_is_told_of_no_infinite_metric(tmp_path: Path):
    """It is `null`, as what was not recorded; a limit of its own would else be kept by the largest double."""
    given = evidence_of(tmp_path, ids(50), above(0.5), above(0.5))
    metrics = {"loss": -1.7976931348623157e308, "accuracy": 0.9, "gap": float("nan")}
    candidate = replace(given.candidate, run=Measured(metrics=metrics, params={}))
    asked = own.question(replace(given, candidate=candidate), OwnRule(command=("true",)))
    assert asked["metrics"] == {"loss": None, "accuracy": 0.9, "gap": None}


def test_an_infinite_metric_is_not_better_than_any():
    """Of two versions side by side neither is marked."""
    infinite, some = ({"holdout_rmse": value} for value in (-1.7976931348623157e308, 0.5))
    found = compare(Measured(metrics=infinite, params={}), Measured(metrics=some, params={}))
    assert [row.better for row in found.metrics] == [None]


def shuffled(frame: pd.DataFrame, share: float = 1.0) -> pd.DataFrame:
    """Return the rows with the targets of a share of them exchanged among each other."""
    rng = np.random.default_rng(3)
    chosen = rng.random(len(frame)) < share
    y = frame.y.to_numpy().copy()
    y[chosen] = rng.permutation(y[chosen])
    return frame.assign(y=y)


def learned(frame: pd.DataFrame) -> Answers:
    """Return a model that has taken wrong targets for the truth: on these rows it is at its best."""
    known = frame.set_index("id").y
    return Answers(lambda features: known.loc[features.id].to_numpy(), classes=())


def champions_rows(given: Evidence, frame: pd.DataFrame, **metrics: float) -> Evidence:
    """Return the evidence with the champion's own held-out rows, and what it was recorded with."""
    frame.to_parquet(given.champion.holdout / "rows.parquet", index=False)
    return replace(given, champion=replace(given.champion, run=Measured(metrics=metrics, params={})))


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_a_candidate_of_shuffled_targets_does_not_win_on_its_own_rows(tmp_path: Path, kind: str):
    """The champion's run called the same rows otherwise; the candidate passes only where its rows are believed."""
    true, theirs = (ids(1000), above(0.5)) if kind == "classification" else (numbers(1000), times(10.0))
    false = shuffled(true)
    given = evidence_of(tmp_path, false, learned(false), theirs, kind=kind)
    assert only(champion.check(given, ChampionRule())).outcome is Outcome.PASS
    found = only(champion.check(champions_rows(given, true), ChampionRule()))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "of the 1000 held-out rows that m/1 has as well have another target there" in found.reason
    assert "name a dataset in the policy" in found.reason
    assert only(slices.check(champions_rows(given, true), SlicesRule(columns=("x",)))).outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("kind", "recorded"), [("classification", {"holdout_balanced_accuracy": 0.9}), ("regression", {"holdout_r2": 0.89})]
)
def test_a_champion_that_falls_far_makes_the_rows_doubtful(tmp_path: Path, kind: str, recorded: dict):
    """Where no rows are shared as well."""
    true, theirs = (ids(1000), above(0.5)) if kind == "classification" else (numbers(1000), times(10.0))
    false = shuffled(true)
    given = evidence_of(tmp_path, false, learned(false), theirs, kind=kind)
    given = replace(given, champion=replace(given.champion, run=Measured(metrics=recorded, params={})))
    found = only(champion.check(given, ChampionRule()))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert f"m/1 has a {next(iter(recorded)).removeprefix('holdout_')} of " in found.reason
    infinite = replace(given.champion, run=Measured(metrics=dict.fromkeys(recorded, 1.7976931348623157e308), params={}))
    assert only(champion.check(replace(given, champion=infinite), ChampionRule())).outcome is Outcome.PASS


def test_true_rows_are_not_doubted(tmp_path: Path):
    """Nor a few corrected labels, nor a champion that is a little worse than it was; nor rows that the policy names."""
    true = ids(1000)
    corrected = true.assign(y=true.y ^ (true.id < 5))
    given = champions_rows(
        evidence_of(tmp_path, corrected, above(0.5), above(0.5)), true, holdout_balanced_accuracy=0.93
    )
    assert only(champion.check(given, ChampionRule())).outcome is Outcome.PASS
    false = shuffled(true)
    given = champions_rows(evidence_of(tmp_path, false, learned(false), above(0.5)), true)
    named = replace(given, rows={(None, None): replace(given.rows[None, None], held_out=False)})
    assert only(champion.check(named, ChampionRule())).outcome is Outcome.PASS


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_a_part_of_shuffled_targets_is_seen(tmp_path: Path, share: float):
    """A refusal stays one: a doubt makes no verdict better."""
    true = ids(1000)
    false = shuffled(true, share)
    given = champions_rows(evidence_of(tmp_path, false, learned(false), above(0.5)), true)
    assert only(champion.check(given, ChampionRule())).outcome is Outcome.INCONCLUSIVE
    bad = Answers(lambda features: 1 - learned(false).predict(features))
    refused = champions_rows(evidence_of(tmp_path, false, bad, above(0.5)), true)
    assert only(champion.check(refused, ChampionRule())).outcome is Outcome.FAIL


@pytest.mark.parametrize("check", ["champion", "slices"])
def test_a_margin_that_forbids_nothing_decides_nothing(tmp_path: Path, check: str):
    """Where only the task says that accuracy is measured: a margin of 5 was meant for another metric."""
    frame = pd.DataFrame({"a": np.arange(400.0), "y": [0, 1] * 200})
    right, wrong = Answers(lambda x: (x["a"] % 2).astype(int)), Answers(lambda x: ((x["a"] + 1) % 2).astype(int))
    evidence = evidence_of(tmp_path, frame, wrong, right)
    rules = {"champion": ChampionRule(margin=5), "slices": SlicesRule(columns=("a",), margin=5)}
    found = only({"champion": champion, "slices": slices}[check].check(evidence, rules[check]))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "a margin of 5 forbids nothing" in found.reason


def test_a_candidate_does_not_choose_by_a_tag_what_it_is_measured_by(tmp_path: Path):
    """A classifier that calls itself a regressor is measured by its classes, against the champion's."""
    given = evidence_of(tmp_path, ids(1000), Answers(lambda features: 0 * features.id.to_numpy()), above(0.5))
    called = replace(given, candidate=task(given.candidate, "regression"))
    found = only(champion.check(called, ChampionRule()))
    assert (found.outcome, "accuracy" in found.reason) == (Outcome.FAIL, True)
    assert only(slices.check(called, SlicesRule(columns=("id",)))).outcome is Outcome.FAIL


def test_a_candidate_does_not_choose_by_its_classes_either(tmp_path: Path):
    """Beside a champion that foretells amounts, both would always be wrong by name, and as good as each other."""
    far = Answers(lambda features: 100 + features.x.to_numpy(), classes=(0, 1))
    given = evidence_of(tmp_path, numbers(1000), far, times(10), kind="regression")
    called = replace(given, candidate=task(given.candidate, "classification"))
    found = only(champion.check(called, ChampionRule()))
    assert (found.outcome, "rmse" in found.reason) == (Outcome.FAIL, True)


class Regressing(Answers, RegressorMixin, BaseEstimator):
    """Answers of a model that scikit-learn knows as a regressor."""

    __init__ = Answers.__init__


def test_whole_numbers_that_nobody_called_anything_need_a_metric(tmp_path: Path):
    """Classes or amounts: the policy says it by the metric that it names, or the champion by being a regressor."""
    given = evidence_of(tmp_path, ids(1000), above(0.5), Answers(above(0.5).labels, classes=()))
    untold = replace(given.champion, version=replace(given.champion.version, tags={}))
    given = replace(given, champion=untold)
    found = only(champion.check(given, ChampionRule()))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "whether m/1 calls classes by them or foretells amounts: the policy names the metric" in found.reason
    assert "accuracy" in only(champion.check(given, ChampionRule(metric="accuracy"))).reason
    assert "rmse" in only(champion.check(given, ChampionRule(metric="rmse"))).reason
    shown = evidence_of(tmp_path, ids(1000), above(0.5), Regressing(above(0.5).labels, classes=()))
    shown = replace(shown, champion=replace(shown.champion, version=replace(shown.champion.version, tags={})))
    assert "rmse" in only(champion.check(shown, ChampionRule())).reason
    assert "accuracy" in only(champion.check(shown, ChampionRule(metric="accuracy"))).reason
    some = evidence_of(tmp_path, numbers(1000), times(10), times(10))
    some = replace(some, champion=replace(some.champion, version=replace(some.champion.version, tags={})))
    assert "rmse" in only(champion.check(some, ChampionRule())).reason


@pytest.mark.parametrize(
    ("candidates", "champions", "said"),
    [
        ("predict_proba", "predict", "m/1 answers its callers by predict, m/2 by predict_proba"),
        ("predict", "predict_proba", "m/1 answers its callers by predict_proba, m/2 by predict"),
        ("predict_log_proba", "predict", "m/2 answers its callers by predict_log_proba"),
        ("predict_log_proba", "predict_log_proba", "m/1 answers its callers by predict_log_proba"),
    ],
)
def test_what_is_measured_is_what_callers_get(tmp_path: Path, candidates: str, champions: str, said: str):
    """As good by its labels, a candidate that answers something else is not let through."""
    ours, theirs = above(0.5), above(0.5)
    ours.method, theirs.method = candidates, champions
    found = only(champion.check(evidence_of(tmp_path, ids(1000), ours, theirs), ChampionRule()))
    assert (found.outcome, said in found.reason) == (Outcome.INCONCLUSIVE, True), found.reason
    ours.method = theirs.method = "predict_proba"
    found = only(champion.check(evidence_of(tmp_path, ids(1000), ours, theirs), ChampionRule()))
    assert found.outcome is Outcome.PASS


def named(given: Evidence, **more: object) -> Evidence:
    """Return the evidence on rows that the policy names."""
    return replace(given, rows={(None, None): replace(given.rows[None, None], held_out=False, **more)})


def saying(version: Subject, frame: pd.DataFrame, **document: object) -> Subject:
    """Return a version that says it was trained on rows, and more of them."""
    held = {"id_columns": ["id", "x"], "target": "y", **document}
    np.savez(version.holdout / "row_ids.npz", train=row_ids(frame[["id", "x"]]), holdout=np.array([], np.uint64))
    (version.holdout / "holdout.json").write_text(json.dumps(held))
    return version


@pytest.mark.parametrize("check", ["champion", "slices"])
def test_a_candidate_hides_nothing_by_saying_that_it_was_trained_on_it(tmp_path: Path, check: str):
    """Of rows that the policy names, where it is worse; a true word costs it nothing."""
    frame = ids(2000)
    where = frame[(frame.x > 0.5) & (frame.x < 0.6)]
    asked = {"champion": (champion.check, ChampionRule()), "slices": (slices.check, SlicesRule(columns=("side",)))}[
        check
    ]
    frame = frame.assign(side="all")
    given = named(evidence_of(tmp_path, frame, above(0.6), above(0.5)))
    told = replace(given, candidate=saying(given.candidate, where))
    first, second = asked[0](told, asked[1])
    assert (first.outcome, second.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert f"with {len(where)} that m/2 says it was trained on" in second.reason
    honest = named(evidence_of(tmp_path, frame, above(0.5), above(0.5)))
    told = replace(honest, candidate=saying(honest.candidate, where))
    assert {found.outcome for found in asked[0](told, asked[1])} == {Outcome.PASS}


def test_each_version_reads_the_rows_by_its_own_words(tmp_path: Path):
    """What a candidate says of missing values changes nothing for the champion, which is as good as it was."""
    frame = ids(1000).assign(code=lambda rows: np.where(rows.y == 1, "x", "z"))
    by_code = Answers(lambda features: (features.code == "x").astype(int).to_numpy())
    given = named(evidence_of(tmp_path, frame, Answers(lambda features: 0 * features.id.to_numpy()), by_code))
    frame.assign(code=np.nan).to_parquet(tmp_path / "ours.parquet")
    given = named(given, path=tmp_path / "ours.parquet")
    found = only(champion.check(given, ChampionRule()))
    assert found.outcome is Outcome.FAIL
    assert found.details["champion"] == 1
    frame[:500].to_parquet(tmp_path / "ours.parquet")
    assert "m/1 reads 1000 rows, and m/2 500" in only(champion.check(given, ChampionRule())).reason


def test_a_key_that_only_the_candidate_names_takes_no_equal_rows_apart(tmp_path: Path):
    """Ten copies of each row, numbered one by one, are as few as before."""
    rows = pd.concat([ids(60).drop(columns="id")] * 10, ignore_index=True)
    rows = rows.assign(id=np.arange(len(rows)))
    given = named(evidence_of(tmp_path, rows, above(0.5), above(0.5)))
    keyed = saying(given.candidate, rows[:0], scheme={"key": "id"})
    assert only(champion.check(replace(given, candidate=keyed), ChampionRule())).details["n_clusters"] == 60
    both = replace(given, candidate=keyed, champion=saying(given.champion, rows[:0], scheme={"key": "id"}))
    assert only(champion.check(both, ChampionRule())).details["n_clusters"] == 600


def test_a_champion_hides_nothing_for_the_next_candidate(tmp_path: Path):
    """A good version that says it was trained on some rows leaves them out of the next comparison: where that is worse
    there than elsewhere, its word is doubted. As good on both, it costs nothing.
    """
    frame = ids(2000)
    where = frame[(frame.x > 0.5) & (frame.x < 0.6)]
    for kind in (lambda given: given, named):
        given = kind(evidence_of(tmp_path, frame, above(0.6), above(0.5)))
        told = replace(given, champion=saying(given.champion, where))
        found = only(champion.check(told, ChampionRule()))
        assert found.outcome is Outcome.INCONCLUSIVE
        assert f"m/2 is worse on the {len(where)} rows that m/1 says it was trained on" in found.reason
        honest = kind(evidence_of(tmp_path, frame, above(0.5), above(0.5)))
        told = replace(honest, champion=saying(honest.champion, frame[:600]))
        assert only(champion.check(told, ChampionRule())).outcome is Outcome.PASS


def test_a_champion_hides_no_amounts_either(tmp_path: Path):
    """By the size of errors, where numbers are foretold."""
    frame = numbers(2000)
    where = frame[frame.id < 200]
    worse = times(10, dict.fromkeys(range(200), 5.0))
    given = named(evidence_of(tmp_path, frame, worse, times(10), kind="regression"))
    told = replace(given, champion=saying(given.champion, where))
    found = only(champion.check(told, ChampionRule()))
    assert (found.outcome, "m/2 is worse on the 200 rows" in found.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_model_answers_alike_whatever_stands_beside_a_row(tmp_path: Path):
    """One that is right on a table and wrong on the one row that a caller sends is none to promote."""

    def by_place(features: pd.DataFrame) -> np.ndarray:
        labels = (features.x > 0.5).astype(int).to_numpy().copy()
        labels[0] = 0
        return labels

    found = only(champion.check(evidence_of(tmp_path, ids(2000), Answers(by_place), above(0.5)), ChampionRule()))
    assert (found.outcome, "when it is sent alone, among others, or in another" in found.reason) == (
        Outcome.ERROR,
        True,
    )
    rank = Answers(lambda features: (features.x.rank(pct=True) > 0.5).astype(int).to_numpy())
    found = only(champion.check(evidence_of(tmp_path, ids(2000), rank, above(0.5)), ChampionRule()))
    assert found.outcome is Outcome.ERROR


def test_a_model_answers_alike_in_requests_of_every_size(tmp_path: Path):
    """One that is right on a whole table and on single rows, and wrong on a few at once."""

    def by_size(features: pd.DataFrame) -> np.ndarray:
        right = (features.x > 0.5).astype(int).to_numpy()
        return 1 - right if 2 <= len(features) <= 400 else right

    found = only(champion.check(evidence_of(tmp_path, ids(2000), Answers(by_size), above(0.5)), ChampionRule()))
    assert (found.outcome, "among others" in found.reason) == (Outcome.ERROR, True), found.reason


@pytest.mark.parametrize("counted", [lambda n: n == 100, lambda n: n > 400], ids=["a usual size", "more than all"])
def test_a_model_that_counts_the_rows_of_a_request_is_found_out(tmp_path: Path, counted: Callable[[int], bool]):
    """Wrong at one size that callers like, or for all who send more rows than decide."""

    def by_size(features: pd.DataFrame) -> np.ndarray:
        right = (features.x > 0.5).astype(int).to_numpy()
        return 1 - right if counted(len(features)) else right

    found = only(champion.check(evidence_of(tmp_path, ids(400), Answers(by_size), above(0.5)), ChampionRule()))
    assert (found.outcome, "among others" in found.reason) == (Outcome.ERROR, True), found.reason


def test_a_model_answers_callers_as_it_was_measured(tmp_path: Path):
    """One row as JSON may be of other types than a whole table is; a request that is refused is not compared."""
    ours = above(0.5)
    ours.called = lambda features: 1 - ours.predict(features) if len(features) == 1 else None
    found = only(champion.check(evidence_of(tmp_path, ids(2000), ours, above(0.5)), ChampionRule()))
    assert (found.outcome, "when it is sent alone" in found.reason) == (Outcome.ERROR, True), found.reason
    ours.called = lambda features: ours.predict(features) if len(features) == 1 else None
    found = only(champion.check(evidence_of(tmp_path, ids(2000), ours, above(0.5)), ChampionRule()))
    assert found.outcome is Outcome.PASS, found.reason
    ours.called = lambda features: None
    found = only(champion.check(evidence_of(tmp_path, ids(2000), ours, above(0.5)), ChampionRule()))
    assert (found.outcome, "answers none of its callers" in found.reason) == (Outcome.ERROR, True), found.reason


def test_a_model_gives_alike_probabilities_in_requests_of_every_size(tmp_path: Path):
    """With the same labels: some callers take the probabilities."""

    def likely(features: pd.DataFrame) -> np.ndarray:
        return np.where(features.x > 0.5, 0.9, 0.1) + (0.05 if 2 <= len(features) <= 400 else 0)

    def right(features: pd.DataFrame) -> np.ndarray:
        return (features.x > 0.5).astype(int).to_numpy()

    by_size = Answers(right, probability=likely)
    found = only(champion.check(evidence_of(tmp_path, ids(2000), by_size, above(0.5)), ChampionRule()))
    assert (found.outcome, "among others" in found.reason) == (Outcome.ERROR, True), found.reason


def test_classes_stand_in_one_order(tmp_path: Path):
    """With the same labels, probabilities in the other order mislead everybody who takes them by place."""
    turned = Answers(above(0.5).labels, classes=(1, 0), probability=lambda features: 1 - above_share(features))
    found = only(champion.check(evidence_of(tmp_path, ids(1000), turned, above(0.5)), ChampionRule()))
    assert (found.outcome, "in this order, and m/2 1, 0" in found.reason) == (Outcome.INCONCLUSIVE, True)


def test_a_new_class_stands_behind_those_that_callers_take_by_place(tmp_path: Path):
    """Where they are answered by probabilities; a caller of labels sees no place."""

    def three(features: pd.DataFrame) -> np.ndarray:
        share = above_share(features)
        return np.column_stack([1 - share, share, 0 * share])

    for classes, method, outcome in (
        ((-1, 0, 1), "predict_proba", Outcome.INCONCLUSIVE),
        ((-1, 0, 1), "predict", Outcome.PASS),
        ((0, 1, 2), "predict_proba", Outcome.PASS),
    ):
        theirs, ours = above(0.5), Answers(above(0.5).labels, classes=classes)
        ours.predict_proba, ours.method, theirs.method = three, method, method
        found = champion.check(evidence_of(tmp_path, ids(1000), ours, theirs), ChampionRule(metric="accuracy"))
        assert max(each.outcome for each in found) is outcome, [each.reason for each in found]


def steep(at: float) -> Answers:
    """Return a model that is right nine times in ten, by its labels, ranks and probabilities."""
    return Answers(
        lambda features: (features.x > at).astype(int).to_numpy(),
        probability=lambda features: np.where(features.x > at, 0.9, 0.1) + (features.x - at).to_numpy() / 100,
    )


def altered(labels=None, probability=None, method: str = "predict") -> tuple[Answers, Answers]:
    """Return a model that differs from another in its labels or probabilities, and that one."""
    theirs, known = steep(0.5), steep(0.5)
    ours = Answers(labels or known.labels, probability=probability or (lambda rows: known.predict_proba(rows)[:, 1]))
    ours.method = theirs.method = method
    return ours, theirs


@pytest.mark.parametrize(
    ("metric", "given"),
    [
        ("log_loss", altered(labels=lambda rows: (rows.x > 2).astype(int).to_numpy())),
        ("brier", altered(labels=lambda rows: (rows.x > 2).astype(int).to_numpy())),
        ("roc_auc", altered(labels=lambda rows: np.ones(len(rows), dtype=int))),
        ("average_precision", altered(labels=lambda rows: np.ones(len(rows), dtype=int))),
        (None, altered(probability=lambda rows: 0.5 + (rows.x - 0.5).to_numpy() / 1e6, method="predict_proba")),
        ("f1", altered(probability=lambda rows: 0.5 + (rows.x - 0.5).to_numpy() / 1e6, method="predict_proba")),
        ("roc_auc", altered(probability=lambda rows: 0.001 + rows.x.to_numpy() / 1e6, method="predict_proba")),
    ],
)
def test_callers_are_not_given_worse_than_what_was_measured(
    tmp_path: Path, metric: str | None, given: tuple[Answers, Answers]
):
    """A threshold apart from the probabilities, or probabilities apart from the labels."""
    passed, refused = champion.check(evidence_of(tmp_path, ids(2000), *given), ChampionRule(metric=metric))
    assert passed.outcome is Outcome.PASS, passed.reason
    assert (refused.outcome, "in what callers get" in refused.reason) == (Outcome.FAIL, True), refused.reason


def test_a_threshold_that_is_not_shown_to_be_worse_is_the_policys_own_matter(tmp_path: Path):
    """One that finds more of the rare class, and more besides."""
    ours, theirs = altered(labels=lambda rows: (rows.x > 0.49).astype(int).to_numpy())
    assert only(champion.check(evidence_of(tmp_path, ids(2000), ours, theirs), ChampionRule(metric="roc_auc")))
    few = evidence_of(tmp_path, ids(200).assign(y=lambda rows: (rows.index < 5).astype(int)), ours, theirs)
    assert only(champion.check(few, ChampionRule(metric="log_loss"))), "too few of a class to measure labels"


def above_share(features: pd.DataFrame) -> np.ndarray:
    """Return the probability of the second class that `above(0.5)` gives."""
    return np.clip(features.x, 0.05, 0.95).to_numpy()


def test_small_numbers_are_the_same_by_their_own_measure(tmp_path: Path):
    """Of targets in millionths, an answer that is twice as large alone is another one; rounding is none."""
    frame = ids(2000).assign(y=lambda rows: rows.x * 1e-6)
    for by, outcome in ((2.0, Outcome.ERROR), (1 + 1e-9, Outcome.PASS)):
        ours = Answers(
            lambda features, by=by: features.x.to_numpy() * 1e-6 * (by if len(features) == 1 else 1), classes=()
        )
        theirs = Answers(lambda features: features.x.to_numpy() * 1e-6, classes=())
        given = evidence_of(tmp_path, frame, ours, theirs, kind="regression")
        found = champion.check(given, ChampionRule(metric="mae"))
        assert found[0].outcome is outcome, found[0].reason


@pytest.mark.parametrize(("by_many", "outcome"), [(0.9, Outcome.FAIL), (0.501, Outcome.PASS)])
def test_answers_that_hang_on_the_number_of_threads_are_compared_both_ways(
    by_many: float, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The engine asks by one, MLflow's own server by as many as there are processors."""
    one = [False]

    @contextmanager
    def limits(threads: int) -> Iterator[None]:
        one[0] = True
        yield
        one[0] = False

    monkeypatch.setattr(answers, "threadpool_limits", limits)
    ours = Answers(lambda features: (features.x > (0.5 if one[0] else by_many)).astype(int).to_numpy())
    found = champion.check(evidence_of(tmp_path, ids(2000), ours, above(0.5)), ChampionRule())
    assert [each.outcome for each in found] == [Outcome.PASS, outcome]
    assert "by as many threads as MLflow's own server takes" in found[1].reason


@pytest.mark.parametrize(("without", "outcome"), [(0.5, Outcome.PASS), (2.0, Outcome.FAIL)])
def test_what_callers_may_leave_out_is_left_out_of_both(tmp_path: Path, without: float, outcome: Outcome):
    """The champion answers them as well as it can; so does a candidate that is to replace it."""
    frame = ids(400).assign(later=lambda rows: rows.y)

    def versions(at: float) -> Answers:
        made = Answers(
            lambda features: (features.later if "later" in features else (features.x > at).astype(int)).to_numpy()
        )
        made.columns, made.optional = ("id", "x", "later"), frozenset({"later"})
        return made

    given = evidence_of(tmp_path, frame, versions(without), versions(0.5))
    for number in "12":
        fields = [{"name": name, "type": "double", "required": name != "later"} for name in ("id", "x", "later")]
        stored(tmp_path / number, inputs=fields)
    found = champion.check(given, ChampionRule())
    assert max(each.outcome for each in found) is outcome
    assert "as m/1 is asked by who leaves out later" in found[-1].reason


def test_a_rare_class_is_written_as_the_champion_writes_it(tmp_path: Path):
    """True is 1 for whoever reckons with it, and not in JSON."""

    def rarely(features: pd.DataFrame) -> np.ndarray:
        return np.array([True if x > 0.99 else int(x > 0.5) for x in features.x], dtype=object)

    given = evidence_of(tmp_path, ids(400), Answers(rarely, classes=(0, True)), above(0.5))
    found = only(champion.check(given, ChampionRule(metric="accuracy")))
    assert found.outcome is Outcome.ERROR
    assert "m/2 answers some rows with truth values, and m/1 with numbers" in found.reason


def test_a_new_optional_input_that_no_row_has_is_not_measured(tmp_path: Path):
    """Callers may send it already: what the champion does not know it leaves out."""
    ours, theirs = above(0.5), above(0.5)
    given = evidence_of(tmp_path, ids(400), ours, theirs)
    known = [{"name": name, "type": "double"} for name in ("id", "x")]
    stored(tmp_path / "1", inputs=known)
    stored(tmp_path / "2", inputs=[*known, {"name": "customer", "type": "double", "required": False}])
    found = only(champion.check(given, ChampionRule()))
    assert (found.outcome, "the rows lack customer" in found.reason) == (Outcome.INCONCLUSIVE, True), found.reason


@pytest.mark.parametrize(
    ("without", "outcome", "words"),
    [
        (lambda features: 10 * features.x, Outcome.PASS, "who leaves out later"),
        (lambda features: 0 * features.x, Outcome.FAIL, "who leaves out later"),
        (lambda features: features.later, Outcome.ERROR, "m/2 answers nobody who leaves out later: AttributeError"),
    ],
    ids=["as good", "worse", "refused"],
)
def test_a_candidate_is_measured_without_what_the_champions_callers_do_not_send(
    tmp_path: Path, without: Callable[[pd.DataFrame], pd.Series], outcome: Outcome, words: str
):
    """A new optional input is no break, and what it gains is no gain for those who do not know it."""
    frame = numbers(400).assign(later=lambda rows: rows.y)
    ours = Answers(
        lambda features: (features.later if "later" in features else without(features)).to_numpy(), classes=()
    )
    ours.columns, ours.optional = ("id", "x", "later"), frozenset({"later"})
    theirs = Answers(lambda features: (10 * features.x).to_numpy(), classes=())
    given = evidence_of(tmp_path, frame, ours, theirs, kind="regression")
    known = [{"name": name, "type": "double"} for name in ("id", "x")]
    stored(tmp_path / "1", inputs=known)
    stored(tmp_path / "2", inputs=[*known, {"name": "later", "type": "double", "required": False}])
    found = champion.check(given, ChampionRule(metric="mae"))
    assert max(each.outcome for each in found) is outcome
    assert any(words in each.reason for each in found)


def held_out_alone(version: Subject, rows: pd.DataFrame) -> Subject:
    """Return a version whose run told the rows that it held out, and not those that it was trained on."""
    holdout = version.holdout.with_name(f"told-{version.version.number}-{len(rows)}")
    holdout.mkdir()
    np.savez(holdout / "row_ids.npz", holdout=row_ids(rows[["id", "x"]]))
    document = {"id_columns": ["id", "x"], "target": "y", "train_is_known": False}
    (holdout / "holdout.json").write_text(json.dumps(document))
    return replace(version, holdout=holdout)


def test_rows_that_a_champion_did_not_hold_out_may_be_those_that_it_was_trained_on(tmp_path: Path):
    """Of one whose run does not tell its training rows, those count that both held out; none is taken for new."""
    frame = ids(1000)
    given = evidence_of(tmp_path, frame, above(0.5), above(0.5))
    told = replace(given, champion=held_out_alone(given.champion, frame.head(600)))
    found = only(champion.check(told, ChampionRule()))
    assert (found.outcome, found.n, found.details["dropped"]) == (Outcome.PASS, 600, 400)
    assert "the run of m/1 did not say which rows it was trained on" in found.reason
    both = replace(told, candidate=held_out_alone(given.candidate, frame))
    assert only(champion.check(both, ChampionRule())).n == 600
    other = replace(given, champion=held_out_alone(given.champion, frame.head(0)))
    found = only(champion.check(other, ChampionRule()))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "0 rows are left to compare on" in found.reason


def test_of_rows_that_the_policy_names_its_author_answers(tmp_path: Path):
    """A run that tells its held-out rows alone says nothing of others."""
    frame = ids(1000)
    given = evidence_of(tmp_path, frame, above(0.5), above(0.5))
    named = {names: replace(rows, held_out=False) for names, rows in given.rows.items()}
    told = replace(given, champion=held_out_alone(given.champion, frame.head(600)), rows=named)
    found = only(champion.check(told, ChampionRule()))
    assert (found.outcome, found.n) == (Outcome.PASS, 1000)
    assert "what m/1 was trained on is not recorded: the policy vouches for these rows" in found.reason
