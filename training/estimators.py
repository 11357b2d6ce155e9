"""Which estimator is meant, and what it needs of the columns.

Short names cover scikit-learn's usual choices; a dotted path names any class with scikit-learn's
interface. Modules are imported when their estimator is asked for: importing all of them costs more
than a small fit.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor

from slipway.registry.errors import InvalidInput
from slipway.registry.nearest import did_you_mean
from slipway.training.spec import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A short name's classes and needs; trees take neither scaling nor one-hot columns."""

    classifier: str | None
    regressor: str | None
    trees: bool = False
    takes_missing: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)


RECIPES: Mapping[str, Recipe] = {
    "logistic": Recipe(
        classifier="sklearn.linear_model.LogisticRegression", regressor=None, defaults={"max_iter": 1000}
    ),
    "ridge": Recipe(classifier="sklearn.linear_model.RidgeClassifier", regressor="sklearn.linear_model.Ridge"),
    "random_forest": Recipe(
        classifier="sklearn.ensemble.RandomForestClassifier",
        regressor="sklearn.ensemble.RandomForestRegressor",
        trees=True,
    ),
    "extra_trees": Recipe(
        classifier="sklearn.ensemble.ExtraTreesClassifier",
        regressor="sklearn.ensemble.ExtraTreesRegressor",
        trees=True,
    ),
    "hist_gradient_boosting": Recipe(
        classifier="sklearn.ensemble.HistGradientBoostingClassifier",
        regressor="sklearn.ensemble.HistGradientBoostingRegressor",
        trees=True,
        takes_missing=True,
    ),
    "svm": Recipe(classifier="sklearn.svm.SVC", regressor="sklearn.svm.SVR"),
    "knn": Recipe(
        classifier="sklearn.neighbors.KNeighborsClassifier", regressor="sklearn.neighbors.KNeighborsRegressor"
    ),
    "mlp": Recipe(
        classifier="sklearn.neural_network.MLPClassifier",
        regressor="sklearn.neural_network.MLPRegressor",
        defaults={"max_iter": 1000},
    ),
}
MOST_JOBS = 1024  # more than the cores of any one machine that trains; joblib starts as many as it is told to
TREE_PACKAGES = ("sklearn.tree.", "sklearn.ensemble.", "xgboost.", "lightgbm.", "catboost.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenEstimator:
    """An unfitted estimator and what the columns before it must become."""

    estimator: BaseEstimator
    trees: bool
    takes_missing: bool


def choose_estimator(name: str, params: Mapping[str, Any], *, task: Task, seed: int) -> ChosenEstimator:
    """Return the estimator that a name and its parameters mean, seeded where it takes a seed.

    Raises
    ------
    InvalidInput
        The name or a parameter is unknown (the nearest known one is named), or the estimator does not
        do the task.
    """
    recipe = RECIPES.get(name) or _recipe_of_path(name)
    path = recipe.classifier if task is Task.CLASSIFICATION else recipe.regressor
    if path is None:
        able = [short for short, other in RECIPES.items() if _does(other, task)]
        raise InvalidInput(
            f"estimator '{name}' does not do {task}; these do: {', '.join(able)}",
            code="estimator-not-for-task",
            hint="choose another estimator, or set task if it was inferred wrongly",
        )
    estimator = _instance(_class_at(path), {**recipe.defaults, **params}, name=name, seed=seed)
    _require_task(estimator, name, task)
    return ChosenEstimator(estimator=estimator, trees=recipe.trees, takes_missing=recipe.takes_missing)


def _does(recipe: Recipe, task: Task) -> bool:
    return bool(recipe.classifier if task is Task.CLASSIFICATION else recipe.regressor)


def _recipe_of_path(path: str) -> Recipe:
    if "." not in path:
        raise InvalidInput(
            f"unknown estimator '{path}'{did_you_mean(path, RECIPES)}; known: {', '.join(RECIPES)}, "
            "or a dotted path such as sklearn.naive_bayes.GaussianNB",
            code="unknown-estimator",
            hint=None,
        )
    return Recipe(classifier=path, regressor=path, trees=path.startswith(TREE_PACKAGES))


def _class_at(path: str) -> type:
    module_name, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # an empty name, or whatever a module raises that runs when it is imported
        raise InvalidInput(
            f"estimator '{path}' cannot be imported: {error}",
            code="unknown-estimator",
            hint="install its package into the environment that trains, or correct the path",
        ) from error
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and hasattr(found, "get_params") and hasattr(found, "predict")):
        raise InvalidInput(
            f"'{path}' is no estimator with scikit-learn's interface{did_you_mean(class_name, dir(module))}",
            code="unknown-estimator",
            hint=None,
        )
    return found


def _instance(kind: type, params: Mapping[str, Any], *, name: str, seed: int) -> BaseEstimator:
    try:
        estimator: BaseEstimator = kind()
    except TypeError as error:
        raise InvalidInput(
            f"estimator '{name}' cannot be made from parameters in JSON alone: {error}",
            code="unknown-estimator",
            hint="name an estimator whose constructor has a default for everything",
        ) from error
    known = estimator.get_params(deep=False)
    for param in params:
        if param not in known:
            raise InvalidInput(
                f"estimator '{name}' has no parameter '{param}'{did_you_mean(param, known)}; "
                f"it has: {', '.join(sorted(known))}",
                code="unknown-estimator-parameter",
                hint=None,
            )
    if isinstance(jobs := params.get("n_jobs"), int) and jobs > MOST_JOBS:
        raise InvalidInput(
            f"n_jobs={jobs} asks for more threads or processes than can be started; at most {MOST_JOBS:,} are",
            code="too-many-jobs",
            hint="leave n_jobs out, or give -1: one for each core",
        )
    seeded = {"random_state": seed} if "random_state" in known else {}
    estimator.set_params(**{**seeded, **params})
    return estimator


def _require_task(estimator: BaseEstimator, name: str, task: Task) -> None:
    fits = is_classifier(estimator) if task is Task.CLASSIFICATION else is_regressor(estimator)
    if not fits:
        raise InvalidInput(
            f"estimator '{name}' does not do {task}",
            code="estimator-not-for-task",
            hint="choose another estimator, or set task if it was inferred wrongly",
        )
