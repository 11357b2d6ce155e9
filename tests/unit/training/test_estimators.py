"""Names and parameters mean one estimator, or are refused with the nearest known one."""

import sys

import pytest

from slipway.registry.errors import InvalidInput
from slipway.training.estimators import RECIPES, choose_estimator, without_labels
from slipway.training.spec import Task


def choose(name: str, params: dict | None = None, task: Task = Task.CLASSIFICATION):
    return choose_estimator(name, params or {}, task=task, seed=7)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("task", Task)
def test_every_short_name_makes_an_estimator_or_says_it_does_not_do_the_task(name: str, task: Task):
    """Only logistic regression does one task alone."""
    if (name, task) == ("logistic", Task.REGRESSION):
        with pytest.raises(InvalidInput, match="estimator 'logistic' does not do regression; these do: ridge,"):
            choose(name, task=task)
    else:
        assert without_labels(choose(name, task=task).estimator).get_params().get("random_state", 7) == 7


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
@pytest.mark.parametrize("task", Task)
def test_boosters_are_seeded_unless_a_seed_is_given_by_any_of_its_names(name: str, task: Task):
    """CatBoost refuses two of them at once."""
    assert without_labels(choose(name, task=task).estimator).get_params()["random_state"] == 7
    given = without_labels(choose(name, {"random_seed": 3}, task=task).estimator).get_params()
    assert (given["random_seed"], given.get("random_state")) == (3, None)


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("lightgbm", {"verbose": 1, "num_threads": 1, "lambda_l1": 0.1}),
        ("xgboost", {"verbosity": 0, "nthread": 1, "eta": 0.1}),
        ("catboost", {"verbose": 5, "iterations": 3, "depth": 2}),
        ("lightgbm.LGBMClassifier", {"verbose": -1}),
    ],
)
def test_what_an_estimator_hands_on_to_its_library_is_taken(name: str, params: dict):
    """Through `**kwargs`, or by a name that its `get_params` does not tell before it is set."""
    assert params.items() <= without_labels(choose(name, params).estimator).get_params().items()


def test_a_booster_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    """The hint is the command that installs it."""
    monkeypatch.setitem(sys.modules, "catboost", None)
    with pytest.raises(InvalidInput, match=r"estimator 'catboost\.CatBoostClassifier' cannot be imported") as refused:
        choose("catboost")
    assert refused.value.hint == "pip install 'slipway-ml[catboost]'"


def test_a_given_random_state_wins_over_the_seed():
    """Whoever names a parameter means it."""
    assert choose("random_forest", {"random_state": 3}).estimator.random_state == 3


def test_a_dotted_path_names_any_estimator():
    """scikit-learn's other classes need no short name, and its trees are known as trees."""
    assert not choose("sklearn.naive_bayes.GaussianNB").trees
    assert choose("sklearn.tree.DecisionTreeClassifier").trees


@pytest.mark.parametrize(
    ("name", "params", "said"),
    [
        ("random_forrest", {}, r"unknown estimator 'random_forrest' \(did you mean 'random_forest'\?\)"),
        ("random_forest", {"n_estimator": 5}, r"has no parameter 'n_estimator' \(did you mean 'n_estimators'\?\)"),
        (
            "sklearn.nowhere.Thing",
            {},
            "estimator 'sklearn.nowhere.Thing' cannot be imported: No module named",
        ),
        ("sklearn.tree.DecisionTree", {}, r"is no estimator .* \(did you mean 'DecisionTreeClassifier'"),
        ("sklearn.tree.DecisionTreeRegressor", {}, "does not do classification"),
        ("sklearn.ensemble.VotingClassifier", {}, "cannot be made from parameters in JSON alone"),
        ("os.path", {}, "'os.path' is no estimator"),
        (".x", {}, "estimator '.x' cannot be imported: Empty module name"),
        ("..x", {}, r"estimator '\.\.x' cannot be imported: "),
        ("xgboost", {"n_estimator": 5}, r"has no parameter 'n_estimator' \(did you mean 'n_estimators'\?\)"),
        ("lightgbm", {"max_depht": 5}, r"has no parameter 'max_depht' \(did you mean 'max_depth'\?\)"),
        ("lightgbm", {"zzz": 5}, "has no parameter 'zzz'; it has: .*lambda_l1"),
        ("catboost", {"deptt": 5}, r"has no parameter 'deptt' \(did you mean 'depth'\?\)"),
        ("xgbost", {}, r"unknown estimator 'xgbost' \(did you mean 'xgboost'\?\)"),
        ("lightgbm", {"num_threads": 100_000}, "num_threads=100000 asks for more threads"),
        ("random_forest", {"n_jobs": 100_000}, "n_jobs=100000 asks for more threads .*; at most 1,024 are"),
    ],
)
def test_what_is_unknown_is_refused_with_the_nearest_known(name: str, params: dict, said: str):
    """A typing error costs one line, not a training."""
    with pytest.raises(InvalidInput, match=said):
        choose(name, params)
