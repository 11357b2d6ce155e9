"""Training gives a pipeline that takes raw rows, the same one each time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin

from slipway.registry.errors import InvalidInput
from slipway.training.data import load
from slipway.training.dataset import Dataset
from slipway.training.spec import Task, TrainSpec, parse_spec
from slipway.training.train import describe_params, infer_task, train
from tests.generators.datasets import customers, dataset_of, sources


def spec_for(**parameters: object) -> TrainSpec:
    """Return a spec with small defaults."""
    return parse_spec({"data": "d", "target": "t", "model": "m", "estimator": "logistic", **parameters})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Return mixed columns with missing values."""
    return dataset_of(customers(), "churned", tmp_path)


ESTIMATORS = [
    ("logistic", {}),
    ("ridge", {}),
    ("random_forest", {"n_estimators": 20}),
    ("extra_trees", {"n_estimators": 20}),
    ("hist_gradient_boosting", {"max_iter": 20}),
    ("svm", {}),
    ("knn", {}),
    ("mlp", {"hidden_layer_sizes": [8], "max_iter": 50}),
    ("sklearn.naive_bayes.GaussianNB", {}),
    ("xgboost", {"n_estimators": 20}),
    ("lightgbm", {"n_estimators": 20}),
    ("catboost", {"n_estimators": 20}),
]
BOOSTERS = ("xgboost", "lightgbm", "catboost")
TARGETS = {
    "text": ["no", "yes"],
    "three texts": ["Basic", "gold", "plus"],
    "truth values": [False, True],
    "0 and 1": [0, 1],
    "other whole numbers": [3, 7],
    "whole doubles": [1.0, 2.0, 5.0],
}


@pytest.mark.parametrize(("estimator", "params"), ESTIMATORS, ids=[name for name, _ in ESTIMATORS])
def test_every_estimator_takes_raw_rows_and_unseen_categories(dataset: Dataset, estimator: str, params: dict):
    """Text, missing values and a city that training never saw."""
    trained = train(dataset, spec_for(estimator=estimator, params=params, key="id"))
    raw = pd.DataFrame({"age": [30, 70.0], "city": ["Paris", None], "income": [None, 1e4], "active": [True, False]})
    assert set(trained.pipeline.predict(raw)) <= {"yes", "no"}
    assert trained.on_holdout.scores()["accuracy"] > 0.4
    assert trained.fit_seconds > 0


@pytest.mark.parametrize(
    "estimator", ["ridge", "random_forest", "hist_gradient_boosting", "svm", "knn", "mlp", "extra_trees", *BOOSTERS]
)
def test_every_estimator_predicts_numbers_too(estimator: str):
    """Diabetes progression is a number; every error metric is there."""
    trained = train(load("sklearn:diabetes", "target", sources=sources()), spec_for(estimator=estimator))
    assert trained.prepared.task is Task.REGRESSION
    assert trained.on_holdout.scores()["rmse"] > 0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("estimator", [*BOOSTERS, "xgboost.XGBRFClassifier", "catboost.CatBoostClassifier"])
def test_boosters_answer_the_labels_that_they_were_given(estimator: str, target: str, tmp_path: Path):
    """Coded and decoded inside of the pipeline, whatever the type, with probabilities in the order of the classes."""
    frame, labels = customers(), TARGETS[target]
    frame["churned"] = pd.Series(labels).reindex(frame["age"] * len(labels) // 91).to_numpy()
    params = {"n_estimators": 9} | ({"verbose": 0, "allow_writing_files": False} if "catboost." in estimator else {})
    spec = spec_for(estimator=estimator, params=params, key="id")
    trained = train(dataset_of(frame, "churned", tmp_path), spec)
    answered = trained.pipeline.predict(trained.prepared.holdout_rows()[0])
    assert answered.shape == trained.on_holdout.y.shape
    assert set(answered.tolist()) == set(labels)
    assert {type(each) for each in answered.tolist()} <= {type(each) for each in trained.on_holdout.y.tolist()}
    assert list(trained.pipeline.classes_) == labels
    assert trained.on_holdout.scores()["accuracy"] > 0.9
    assert trained.on_holdout.scores()["log_loss"] < 1.2
    assert describe_params(trained)["estimator.n_estimators"] == 9


def test_what_xgboost_does_not_know_is_said(dataset: Dataset):
    """It takes any name, and warns of what it did not use in its second line."""
    trained = train(dataset, spec_for(estimator="xgboost", params={"n_estimators": 3, "zzz": 1}, key="id"))
    assert trained.notes == ('Parameters: { "zzz" } are not used.',)


@pytest.mark.parametrize("estimator", BOOSTERS)
def test_boosters_take_no_infinite_values(estimator: str, tmp_path: Path):
    """Named by their column, as for any other estimator; a missing value is left to the trees."""
    frame = customers()
    frame["income"] = frame["income"].fillna(np.inf)
    with pytest.raises(InvalidInput, match="income"):
        train(dataset_of(frame, "churned", tmp_path), spec_for(estimator=estimator, key="id"))


@pytest.mark.parametrize(
    ("estimator", "params"),
    [("xgboost", {"learning_rate": -3}), ("lightgbm", {"learning_rate": -3}), ("catboost", {"max_depth": 40})],
)
def test_what_a_booster_refuses_is_said_in_one_line(estimator: str, params: dict, dataset: Dataset):
    """By the name of its class, not of what codes its labels."""
    with pytest.raises(InvalidInput, match=r"^(XGB|LGBM|CatBoost)Classifier cannot be fitted: .+$") as refused:
        train(dataset, spec_for(estimator=estimator, params={"n_estimators": 5, **params}, key="id"))
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("estimator", ["random_forest", "mlp", "hist_gradient_boosting"])
def test_the_same_seed_gives_the_same_predictions(dataset: Dataset, estimator: str):
    """And another seed gives others where chance plays a part."""
    params = {"mlp": {"max_iter": 20}, "random_forest": {"n_estimators": 10}}.get(estimator, {})
    first, second = (train(dataset, spec_for(estimator=estimator, params=params, seed=3)) for _ in range(2))
    assert np.array_equal(first.on_holdout.class_scores, second.on_holdout.class_scores)
    if estimator != "hist_gradient_boosting":
        other = train(dataset, spec_for(estimator=estimator, params=params, seed=4))
        assert not np.array_equal(first.on_holdout.class_scores, other.on_holdout.class_scores)


def test_none_and_nan_are_the_same_missing_category(dataset: Dataset):
    """JSON null arrives as NaN and a DataFrame's None as None; a prediction must not depend on which."""
    trained = train(dataset, spec_for(estimator="logistic", key="id"))
    row = {"age": [30.0], "income": [1e4], "active": [True]}
    as_none = pd.DataFrame({**row, "city": pd.Series([None], dtype=object)})
    as_nan = pd.DataFrame({**row, "city": pd.Series([np.nan], dtype=object)})
    assert np.array_equal(trained.pipeline.predict_proba(as_none), trained.pipeline.predict_proba(as_nan))


def test_the_stored_forest_uses_one_core(dataset: Dataset):
    """A thread pool for every request would cost more than the trees."""
    trained = train(dataset, spec_for(estimator="random_forest", params={"n_estimators": 5}))
    assert trained.pipeline.named_steps["estimator"].n_jobs is None


def test_trees_are_not_scaled_and_others_are(dataset: Dataset):
    """A scaler before a tree moves values across its thresholds by rounding."""
    assert "StandardScaler" not in repr(
        train(dataset, spec_for(estimator="random_forest", params={"n_estimators": 2})).pipeline
    )
    assert "StandardScaler" in repr(train(dataset, spec_for(estimator="logistic")).pipeline)


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"], Task.CLASSIFICATION),
        ([True, False], Task.CLASSIFICATION),
        ([0, 1, 2], Task.CLASSIFICATION),
        ([1.0, 2.0], Task.CLASSIFICATION),
        ([0.5, 1.0], Task.REGRESSION),
        (list(range(21)), Task.REGRESSION),
    ],
)
def test_the_task_is_inferred_from_the_target(values: list, task: Task):
    """Text, booleans and few whole numbers are classes."""
    assert infer_task(pd.Series(values)) is task


def test_key_and_time_are_no_features(dataset: Dataset):
    """They decide who is held out."""
    trained = train(dataset, spec_for(key="id"))
    assert [column.name for column in trained.prepared.columns] == ["age", "city", "income", "active"]


def test_cross_validation_stays_on_the_training_rows(dataset: Dataset):
    """The mean and spread of each metric; groups of one key stay together."""
    trained = train(dataset, spec_for(cv=3, key="id"))
    assert 0.4 < trained.cross_validation["accuracy"] <= 1
    assert set(trained.cross_validation) == {
        each for name in trained.on_train.scores() for each in (name, f"{name}_std")
    }


def test_cross_validation_goes_forward_in_time(tmp_path: Path):
    """With a time column, folds are measured on what comes after."""
    frame = customers().assign(day=lambda f: pd.Timestamp("2026-01-01") + pd.to_timedelta(f.index, unit="D"))
    trained = train(dataset_of(frame, "churned", tmp_path), spec_for(cv=3, time_column="day"))
    assert trained.cross_validation["accuracy"] > 0


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"params": {"C": -1}}, r"LogisticRegression cannot be fitted: The 'C' parameter .* Got -1 instead"),
        ({"task": "regression"}, "task regression needs numbers, and target 'churned'"),
        ({"cv": 90}, r"cross-validation with cv=90 needs 90 rows of every class"),
        ({"estimator": "ridgge"}, r"unknown estimator 'ridgge' \(did you mean 'ridge'\?\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, parameters: dict, said: str):
    """Before or while fitting, with what was wrong."""
    with pytest.raises(InvalidInput, match=said) as caught:
        train(dataset_of(customers(120), "churned", tmp_path), spec_for(**parameters))
    assert "\n" not in caught.value.message


class Threadless(ClassifierMixin, BaseEstimator):
    """An estimator that is refused its threads, as joblib tells it: by what fails when the pool is taken down."""

    def __init__(self, pool=None):
        self.pool = pool

    def fit(self, features, y):
        """Fail to start a thread."""
        try:
            raise RuntimeError("can't start new thread")
        except RuntimeError:
            return self.pool.terminate()

    def predict(self, features):
        """Be an estimator by its interface."""


def test_an_estimator_that_fails_in_a_way_of_its_own_is_refused_in_one_line(dataset: Dataset):
    """With how it began, not with how it ended."""
    path = f"{Threadless.__module__}.{Threadless.__name__}"
    with pytest.raises(InvalidInput, match="Threadless cannot be fitted: RuntimeError: can't start new thread"):
        train(dataset, spec_for(estimator=path))
    with pytest.raises(InvalidInput, match="RandomForestClassifier cannot be fitted: OverflowError: "):
        train(dataset, spec_for(estimator="random_forest", params={"max_depth": 10**20, "n_estimators": 2}))


def test_folds_in_time_order_need_a_row_before_the_first(tmp_path: Path):
    """As many folds as rows of training would leave the first without any to fit on."""
    frame = pd.DataFrame({"day": range(30), "x": range(30), "y": [n / 7 for n in range(30)]})
    with pytest.raises(InvalidInput, match="the training rows have only 23"):
        train(dataset_of(frame, "y", tmp_path), spec_for(estimator="ridge", cv=24, time_column="day"))


def test_a_table_of_dates_has_no_features(tmp_path: Path):
    """Dates, key and time column are left out; nothing is left."""
    frame = pd.DataFrame({"day": pd.date_range("2026-01-01", periods=40), "y": [0, 1] * 20})
    with pytest.raises(InvalidInput, match="no feature is left"):
        train(dataset_of(frame, "y", tmp_path), spec_for())
