"""Which estimator is meant, and what it needs of the columns.

Short names cover scikit-learn's usual choices; a dotted path names any class with scikit-learn's
interface. Modules are imported when their estimator is asked for: importing all of them costs more
than a small fit.
"""

import difflib
import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.ensemble import VotingClassifier

from slipway.registry.distribution import install_with
from slipway.registry.errors import InvalidInput
from slipway.registry.nearest import did_you_mean
from slipway.training.spec import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A short name's classes and needs; trees take neither scaling nor one-hot columns.

    `extra` is what of Slipway has to be installed with it, where that is an option.
    """

    classifier: str | None
    regressor: str | None
    trees: bool = False
    takes_missing: bool = False
    takes_infinite: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    extra: str | None = None


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
        takes_infinite=True,
    ),
    "xgboost": Recipe(
        classifier="xgboost.XGBClassifier",
        regressor="xgboost.XGBRegressor",
        trees=True,
        takes_missing=True,
        extra="xgboost",
    ),
    "lightgbm": Recipe(
        classifier="lightgbm.LGBMClassifier",
        regressor="lightgbm.LGBMRegressor",
        trees=True,
        takes_missing=True,
        # Without the second, its sums depend on the number of cores; the third is what it asks for beside it.
        defaults={"verbose": -1, "deterministic": True, "force_col_wise": True},
        extra="lightgbm",
    ),
    "catboost": Recipe(
        classifier="catboost.CatBoostClassifier",
        regressor="catboost.CatBoostRegressor",
        trees=True,
        takes_missing=True,
        defaults={"verbose": False, "allow_writing_files": False},
        extra="catboost",
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
JOBS = ("n_jobs", "nthread", "num_threads", "thread_count")
MOST_JOBS = 1024  # more than the cores of any one machine that trains; joblib starts as many as it is told to
TREE_PACKAGES = ("sklearn.tree.", "sklearn.ensemble.", "xgboost.", "lightgbm.", "catboost.")
# Their classifiers take whole numbers from 0 alone, or answer many classes in another shape than scikit-learn's.
WITHOUT_LABELS = ("xgboost", "catboost")
ALIKE = 0.85  # of two names: what is so near to a parameter is taken for a typing error of it
SAME_SEED = ("random_state", "random_seed", "seed")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChosenEstimator:
    """An unfitted estimator and what the columns before it must become."""

    estimator: BaseEstimator
    trees: bool
    takes_missing: bool
    takes_infinite: bool


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
    estimator = _instance(_class_at(path, recipe.extra), {**recipe.defaults, **params}, name=name, seed=seed)
    _require_task(estimator, name, task)
    return ChosenEstimator(
        estimator=_with_labels(estimator) if task is Task.CLASSIFICATION else estimator,
        trees=recipe.trees,
        takes_missing=recipe.takes_missing,
        takes_infinite=recipe.takes_infinite,
    )


def _with_labels(estimator: BaseEstimator) -> BaseEstimator:
    """Return a classifier that takes and answers labels of every type.

    A vote of one is scikit-learn's own way to that: it codes the labels, hands on the one's probabilities as they are,
    and answers the likeliest label. A wrapper of ours would have to be installed wherever the model is loaded.
    """
    if type(estimator).__module__.partition(".")[0] not in WITHOUT_LABELS:
        return estimator
    return VotingClassifier([("model", estimator)], voting="soft")


def without_labels(estimator: BaseEstimator) -> BaseEstimator:
    """Return the estimator that was named, from what `choose_estimator` made of it, fitted or not."""
    if isinstance(estimator, VotingClassifier) and len(estimator.estimators) == 1:
        inner: BaseEstimator = getattr(estimator, "estimators_", [estimator.estimators[0][1]])[0]
        return inner
    return estimator


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


def _class_at(path: str, extra: str | None = None) -> type:
    module_name, _, class_name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # an empty name, or whatever a module raises that runs when it is imported
        raise InvalidInput(
            f"estimator '{path}' cannot be imported: {error}",
            code="unknown-estimator",
            hint=install_with(extra) if extra else "install its package where you train, or correct the path",
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
    known, takes_more = _parameters_of(estimator)
    for param in params:
        if param not in known and not (takes_more and not difflib.get_close_matches(param, known, n=1, cutoff=ALIKE)):
            raise InvalidInput(
                f"estimator '{name}' has no parameter '{param}'{did_you_mean(param, known)}; "
                f"it has: {', '.join(sorted(known))}",
                code="unknown-estimator-parameter",
                hint=None,
            )
    for jobs in JOBS:
        if isinstance(params.get(jobs), int) and params[jobs] > MOST_JOBS:
            raise InvalidInput(
                f"{jobs}={params[jobs]} asks for more threads or processes than can be started; at most "
                f"{MOST_JOBS:,} are",
                code="too-many-jobs",
                hint=f"leave {jobs} out, or give -1: one for each core",
            )
    is_seeded = "random_state" not in known or any(name in params for name in SAME_SEED)
    seeded = {} if is_seeded else {"random_state": seed}
    estimator.set_params(**{**seeded, **params})
    return estimator


def _parameters_of(estimator: BaseEstimator) -> tuple[set[str], bool]:
    """Return the parameters that an estimator names, and whether it hands on others to its library (`**kwargs`)."""
    found = inspect.signature(type(estimator).__init__).parameters
    kinds = {parameter.kind for parameter in found.values()}
    named = {name for name, each in found.items() if each.kind is not each.VAR_KEYWORD} - {"self"}
    # CatBoost tells by `get_params` what was set alone, and XGBoost's constructor names what its classes add alone.
    named |= set(estimator.get_params(deep=False))
    if type(estimator).__module__.startswith("lightgbm."):
        # What it does not know it says on standard output, or nowhere.
        return named | _parameters_of_lightgbm(), False
    return named, inspect.Parameter.VAR_KEYWORD in kinds


def _parameters_of_lightgbm() -> set[str]:
    """Return all names that its library takes, by its own list (LightGBM 4.7 has no public door to it)."""
    listed = importlib.import_module("lightgbm.basic")._ConfigAliases._get_all_param_aliases()
    return {name for main, others in listed.items() for name in (main, *others)}


def _require_task(estimator: BaseEstimator, name: str, task: Task) -> None:
    fits = is_classifier(estimator) if task is Task.CLASSIFICATION else is_regressor(estimator)
    if not fits:
        raise InvalidInput(
            f"estimator '{name}' does not do {task}",
            code="estimator-not-for-task",
            hint="choose another estimator, or set task if it was inferred wrongly",
        )
