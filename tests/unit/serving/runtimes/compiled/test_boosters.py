"""What is compiled of XGBoost, LightGBM and CatBoost answers as they do; the rest is refused."""

import ctypes
import ctypes.util
from collections.abc import Callable
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.ensemble import VotingClassifier

from slipway.serving.runtimes.compiled.read_boosters import _within
from slipway.serving.runtimes.compiled.read_estimator import read_estimator
from slipway.serving.runtimes.compiled.singles import exp, sigmoid, softmax
from slipway.serving.runtimes.compiled.unsupported import NotCompilable

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
AMOUNT = X[:, 0] + np.abs(X[:, 1])
CLASS = (AMOUNT > 1).astype(int)
QUIET = {"n_estimators": 3, "verbose": 0, "allow_writing_files": False}
CATEGORIES = pd.DataFrame({"c": pd.Series(RNG.choice(["x", "y", "z"], 120), dtype="category"), "a": X[:, 0]})


def test_the_exponential_is_that_of_the_c_library():
    """To the last bit, so that probabilities in JSON have the same digits."""
    expf = ctypes.CDLL(ctypes.util.find_library("m")).expf
    expf.restype, expf.argtypes = ctypes.c_float, (ctypes.c_float,)
    asked = np.concatenate([RNG.uniform(-88, 88, 20_000), RNG.normal(size=20_000)]).astype(np.float32)
    np.testing.assert_array_equal(exp(asked), np.array([expf(x) for x in asked], dtype=np.float32))


def test_probabilities_are_the_librarys_to_the_last_bit():
    """From its own margins."""
    rows = RNG.normal(size=(20_000, 3))
    two = xgboost.XGBClassifier(n_estimators=30).fit(X, CLASS)
    margins = two.predict(rows, output_margin=True)[:, None]
    np.testing.assert_array_equal(sigmoid(margins), two.predict_proba(rows))
    three = xgboost.XGBClassifier(n_estimators=10).fit(X, np.digitize(AMOUNT, [0, 1]))
    np.testing.assert_array_equal(softmax(three.predict(rows, output_margin=True)), three.predict_proba(rows))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: xgboost.XGBRegressor(n_estimators=3, booster="dart").fit(X, AMOUNT), "with the booster dart"),
        (lambda: xgboost.XGBRegressor(n_estimators=3, missing=0.0).fit(X, AMOUNT), "with a number that means missing"),
        (
            lambda: xgboost.XGBRegressor(n_estimators=3, early_stopping_rounds=1).fit(
                X, AMOUNT, eval_set=[(X, AMOUNT)], verbose=False
            ),
            "that was stopped early",
        ),
        (lambda: xgboost.XGBRegressor(n_estimators=3).fit(X, np.c_[AMOUNT, X]), "with several outputs"),
        (
            lambda: xgboost.XGBRegressor(n_estimators=3, objective="count:poisson").fit(X, CLASS),
            "with the objective count:poisson",
        ),
        (
            lambda: xgboost.XGBRegressor(n_estimators=9, enable_categorical=True).fit(CATEGORIES, CATEGORIES.c == "x"),
            "with categories of its own",
        ),
        (
            lambda: lightgbm.LGBMRegressor(n_estimators=9, min_child_samples=2, verbose=-1).fit(
                CATEGORIES, (CATEGORIES.c == "x") * 9.0 + AMOUNT
            ),
            "with categories or lines of its own",
        ),
        (
            lambda: lightgbm.LGBMRegressor(n_estimators=3, zero_as_missing=True, verbose=-1).fit(
                np.where(np.abs(X) < 0.3, 0, X), AMOUNT
            ),
            "to which zero is missing",
        ),
        (
            lambda: lightgbm.LGBMRegressor(
                n_estimators=3, boosting_type="rf", subsample=0.5, subsample_freq=1, verbose=-1
            ).fit(X, AMOUNT),
            "that averages its trees",
        ),
        (
            lambda: lightgbm.LGBMRegressor(n_estimators=3, reg_sqrt=True, verbose=-1).fit(X, np.abs(AMOUNT)),
            "with the objective regression sqrt",
        ),
        (
            lambda: catboost.CatBoostRegressor(**QUIET, grow_policy="Depthwise").fit(X, AMOUNT),
            "whose trees are not symmetric",
        ),
        (
            lambda: catboost.CatBoostClassifier(**QUIET, cat_features=[0]).fit(CATEGORIES, CLASS),
            "with categories of its own",
        ),
        (
            lambda: catboost.CatBoostClassifier(**QUIET, loss_function="MultiClassOneVsAll").fit(X, CLASS),
            "with the objective MultiClassOneVsAll",
        ),
        (
            lambda: VotingClassifier([("a", xgboost.XGBClassifier(n_estimators=2))], voting="hard").fit(X, CLASS),
            "of other votes than probabilities",
        ),
    ],
)
def test_what_is_reckoned_otherwise_is_not_compiled(make: Callable[[], Any], why: str):
    """By name, so that whoever asks why a version is slow is told."""
    with pytest.raises(NotCompilable, match=why):
        read_estimator(make())


def rewritten(old: str, new: str) -> Any:
    """Return a model of LightGBM whose text was changed."""
    model = lightgbm.LGBMRegressor(n_estimators=1, verbose=-1).fit(X, AMOUNT)
    text = model.booster_.model_to_string()
    line = next(line for line in text.split("\n") if line.startswith(old))
    model.booster_._handle_text = text.replace(line, f"{old}{new} {line.removeprefix(old).partition(' ')[2]}")
    model.booster_.model_to_string = lambda: model.booster_._handle_text
    return model


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("left_child=", "0", "leads to a node that is not behind its own"),
        ("right_child=", "99999", "leads to a node that is not behind its own"),
        ("left_child=", "-99999", "leads to a node that is not behind its own"),
        ("split_feature=", "7", "asks for a feature of 3 that is not there"),
        ("split_feature=", "-1", "asks for a feature of 3 that is not there"),
    ],
)
def test_trees_that_lead_out_of_their_arrays_are_followed_by_nobody(old: str, new: str, said: str):
    """A file of changed digits."""
    with pytest.raises(IndexError, match=said):
        read_estimator(rewritten(old, new))


def test_an_ensemble_without_end_is_not_compiled():
    """Nodes are counted before they are written."""

    class Large:
        left = np.zeros(2_000_000)

    with pytest.raises(NotCompilable, match="with 2,000,000 nodes, above 1,000,000"):
        _within([Large()], 3, object())
