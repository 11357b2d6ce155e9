"""Names and parameters mean one estimator, or are refused with the nearest known one."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.training.estimators import RECIPES, choose_estimator
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
        assert choose(name, task=task).estimator.get_params().get("random_state", 7) == 7


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
        ("random_forest", {"n_jobs": 100_000}, "n_jobs=100000 asks for more threads .*; at most 1,024 are"),
    ],
)
def test_what_is_unknown_is_refused_with_the_nearest_known(name: str, params: dict, said: str):
    """A typing error costs one line, not a training."""
    with pytest.raises(InvalidInput, match=said):
        choose(name, params)
