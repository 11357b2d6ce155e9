"""Read the trees of XGBoost, LightGBM and CatBoost, each from what its library writes of a fitted estimator.

Only in the process that prepares a version: what is compiled needs none of these libraries, and no worker trusts the
numbers that they would follow without looking. Known by name, so that no library is imported that the model does not
have.
"""

import ctypes
import ctypes.util
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.serving.runtimes.compiled.compile_trees import Tree, constant_tree
from slipway.serving.runtimes.compiled.estimator_parts import EstimatorParts, class_labels
from slipway.serving.runtimes.compiled.read_trees import trees_to_store
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name

MOST_NODES = 1_000_000
XGBOOST_LINKS = {
    "binary:logistic": "sigmoid",
    "multi:softprob": "softmax",
    **dict.fromkeys(("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror"), "identity"),
}
LIGHTGBM_LINKS = {
    "binary": "logistic",
    "multiclass": "softmax",
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), "identity"),
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "log"),
}
LIGHTGBM_OPTIONS = ("num_class:", "alpha:", "c:", "tweedie_variance_power:", "fair_c:")  # none of which answers use
CATBOOST_LINKS = {
    "Logloss": "logistic",
    "MultiClass": "softmax",
    **dict.fromkeys(("RMSE", "MAE", "Quantile", "MAPE"), "identity"),
}
BY_CATEGORY, DEFAULT_LEFT, MISSING_AT_BIT = 1, 2, 2  # LightGBM's decision types
ZERO_IS_MISSING, NAN_IS_MISSING = 1, 2


def _require(holds: object, fitted: Any, what: str) -> None:
    if not holds:
        raise NotCompilable(f"{type_name(fitted)} {what}")


def _link(links: Mapping[str, str], objective: str, fitted: Any) -> str:
    _require(objective in links, fitted, f"with the objective {objective}")
    return links[objective]


def _xgboost(fitted: Any) -> EstimatorParts:
    learner = json.loads(fitted.get_booster().save_raw("json"))["learner"]
    booster, shape = learner["gradient_booster"], learner["learner_model_param"]
    _require(booster["name"] == "gbtree", fitted, f"with the booster {booster['name']}")
    _require("best_iteration" not in learner["attributes"], fitted, "that was stopped early")
    _require(np.isnan(fitted.missing), fitted, "with a number that means missing")
    _require(shape["num_target"] == "1", fitted, "with several outputs")
    link = _link(XGBOOST_LINKS, learner["objective"]["name"], fitted)
    model = booster["model"]
    order = np.argsort(model["tree_info"], kind="stable")
    made = [_single_tree(model["trees"][i], target, fitted) for target, i in enumerate(order)]
    leaves = [tree.is_leaf for tree in made]
    ends = np.cumsum([0, *(leaf.sum() for leaf in leaves)])
    numbered = [_leaves_numbered(tree, begin) for tree, begin in zip(made, ends[:-1], strict=True)]
    base = _base(json.loads(shape["base_score"]), link, max(model["tree_info"]) + 1)
    _require(np.ptp(np.bincount(model["tree_info"])) == 0, fitted, "with more trees for one class than for another")
    return trees_to_store(
        "singles",
        _within(numbered, int(shape["num_feature"]), fitted),
        n_features=int(shape["num_feature"]),
        n_targets=len(made),
        classes=class_labels(fitted),
        arrays={
            "values": np.concatenate([tree.weight[leaf] for tree, leaf in zip(made, leaves, strict=True)]),
            "base": base.astype(np.float64),
        },
        link=link,
    )


def _base(scores: Any, link: str, n_classes: int) -> npt.NDArray[np.float32]:
    """Return where sums begin: the score, or the margin that it is the probability of, by the C library's logarithm."""
    found = np.broadcast_to(np.asarray(scores, dtype=np.float32), n_classes)
    if link != "sigmoid":
        return found.copy()
    logf = ctypes.CDLL(ctypes.util.find_library("m")).logf
    logf.restype, logf.argtypes = ctypes.c_float, (ctypes.c_float,)
    odds = np.float32(1) / found - np.float32(1)
    return np.array([-logf(each) for each in odds], dtype=np.float32)


def _single_tree(tree: Mapping[str, Any], target: int, fitted: Any) -> Tree:
    """Return a tree that compares in single: what is below a threshold goes left, so at most the single before it."""
    _require(not any(tree["split_type"]), fitted, "with categories of its own")
    left, conditions = np.array(tree["left_children"]), np.array(tree["split_conditions"], dtype=np.float32)
    return Tree(
        left=left,
        right=np.array(tree["right_children"]),
        feature=np.array(tree["split_indices"]),
        threshold=np.nextafter(conditions, np.float32(-np.inf)).astype(np.float64),
        missing_left=np.array(tree["default_left"], dtype=bool),
        target=np.full(len(left), target),
        weight=conditions.astype(np.float64),
        in_float32=True,
    )


def _leaves_numbered(tree: Tree, begin: int) -> Tree:
    number = begin + np.cumsum(tree.is_leaf) - 1
    return Tree(
        left=tree.left,
        right=tree.right,
        feature=tree.feature,
        threshold=tree.threshold,
        missing_left=tree.missing_left,
        target=tree.target,
        weight=number.astype(np.float64),
        in_float32=True,
    )


def _lightgbm(fitted: Any) -> EstimatorParts:
    booster = fitted.booster_
    _require(booster.best_iteration <= 0, fitted, "that was stopped early")
    head, *trees = re.split(r"^Tree=\d+\n", booster.model_to_string().partition("\nend of trees")[0], flags=re.M)
    said = _settings(head)
    _require("average_output" not in head.split("\n"), fitted, "that averages its trees")
    objective, *options = said.get("objective", "none").split()
    strange = [each for each in options if each != "sigmoid:1" and not each.startswith(LIGHTGBM_OPTIONS)]
    _require(not strange, fitted, f"with the objective {said.get('objective')}")
    n_targets = int(said["num_tree_per_iteration"])
    made = [_double_tree(_settings(tree), place % n_targets, fitted) for place, tree in enumerate(trees)]
    n_features = int(said["max_feature_idx"]) + 1
    return _boosting(fitted, made, n_features, n_targets, _link(LIGHTGBM_LINKS, objective, fitted))


def _settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.split("\n") if "=" in line)


def _double_tree(said: Mapping[str, str], target: int, fitted: Any) -> Tree:
    """Return a tree of LightGBM: its inner nodes, then its leaves, which children name by numbers below zero."""

    def numbers(name: str, dtype: str) -> npt.NDArray[Any]:
        return np.array(said[name].split(), dtype=dtype)

    values = numbers("leaf_value", "f8")
    if len(values) == 1:
        return constant_tree(target, float(values[0]))
    _require(
        said["num_cat"] == "0" and said.get("is_linear", "0") == "0", fitted, "with categories or lines of its own"
    )
    kinds, thresholds = numbers("decision_type", "i8"), numbers("threshold", "f8")
    missing = kinds >> MISSING_AT_BIT
    _require(not (kinds & BY_CATEGORY).any() and (missing != ZERO_IS_MISSING).all(), fitted, "to which zero is missing")
    inner, leaves = len(thresholds), len(values)
    children = [
        np.where(side < 0, inner + ~side, side) for side in (numbers("left_child", "i8"), numbers("right_child", "i8"))
    ]
    ends = np.full(leaves, -1)
    return Tree(
        left=np.concatenate([children[0], ends]),
        right=np.concatenate([children[1], ends]),
        feature=np.concatenate([numbers("split_feature", "i8"), np.zeros(leaves, dtype=int)]),
        threshold=np.concatenate([thresholds, np.zeros(leaves)]),
        # Where training saw none, a missing value is a zero.
        missing_left=np.concatenate(
            [
                np.where(missing == NAN_IS_MISSING, kinds & DEFAULT_LEFT != 0, thresholds >= 0),
                np.zeros(leaves, dtype=bool),
            ]
        ),
        target=np.full(inner + leaves, target),
        weight=np.concatenate([np.zeros(inner), values]),
        in_float32=False,
    )


def _catboost(fitted: Any) -> EstimatorParts:
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        fitted.save_model(str(Path(folder) / "model.json"), format="json")
        model = json.loads((Path(folder) / "model.json").read_text())
    _require("oblivious_trees" in model, fitted, "whose trees are not symmetric")
    features = {each["feature_index"]: each for each in model["features_info"]["float_features"]}
    scale, biases = model["scale_and_bias"]
    objective = model["model_info"]["params"]["loss_function"]["type"]
    made = [constant_tree(target, bias) for target, bias in enumerate(biases)]
    nodes = sum(2 ** (len(tree["splits"]) + 1) for tree in model["oblivious_trees"]) * len(biases)
    _require(nodes <= MOST_NODES, fitted, f"with {nodes:,} nodes, above {MOST_NODES:,}")
    for tree in model["oblivious_trees"]:
        made.extend(_symmetric_trees(tree, features, scale, len(biases), fitted))
    return _boosting(fitted, made, len(features), len(biases), _link(CATBOOST_LINKS, objective, fitted))


def _symmetric_trees(
    tree: Mapping[str, Any], features: Mapping[int, Any], scale: float, n_targets: int, fitted: Any
) -> Iterator[Tree]:
    """Yield a tree for each target: every level asks one question, and a leaf's number has a bit for each answer."""
    splits = tree["splits"]
    _require(all(each["split_type"] == "FloatFeature" for each in splits), fitted, "with categories of its own")
    asked = [features[each["float_feature_index"]] for each in splits]
    inner, leaves = 2 ** len(splits) - 1, 2 ** len(splits)
    level = np.log2(np.arange(1, inner + 1)).astype(int)
    place = np.arange(leaves)
    number = sum((place >> (len(splits) - 1 - bit) & 1) << bit for bit in range(len(splits)))
    values = np.reshape(tree["leaf_values"], (leaves, n_targets))[number] * scale

    def of_all(of_split: Sequence[Any], of_leaf: Any) -> npt.NDArray[Any]:
        return np.concatenate([np.array(of_split)[level], np.full(leaves, of_leaf)]) if inner else np.array([of_leaf])

    left = np.concatenate([2 * np.arange(inner) + 1, np.full(leaves, -1)])
    for target in range(n_targets):
        yield Tree(
            left=left,
            right=np.where(left < 0, -1, left + 1),
            feature=of_all([each["flat_feature_index"] for each in asked], 0),
            threshold=of_all([each["border"] for each in splits], 0.0),
            missing_left=of_all([each["nan_value_treatment"] != "AsTrue" for each in asked], False),
            target=np.full(inner + leaves, target),
            weight=np.concatenate([np.zeros(inner), values[:, target]]),
            in_float32=True,
        )


def _within(made: Sequence[Tree], n_features: int, fitted: Any) -> Sequence[Tree]:
    """Return the trees, each of which ends in its own leaves and asks for features that a row has.

    Children stand behind their parents, as all three libraries write them.

    Raises
    ------
    IndexError
        One does not, and would be followed out of its arrays.
    """
    nodes = sum(len(tree.left) for tree in made)
    _require(nodes <= MOST_NODES, fitted, f"with {nodes:,} nodes, above {MOST_NODES:,}")
    for place, tree in enumerate(made):
        parents = np.flatnonzero(~tree.is_leaf)
        children = np.stack([tree.left[parents], tree.right[parents]])
        asked = tree.feature[parents]
        if (children <= parents).any() or (children >= len(tree.left)).any():
            raise IndexError(f"tree {place} leads to a node that is not behind its own")
        if (asked < 0).any() or (asked >= n_features).any():
            raise IndexError(f"tree {place} asks for a feature of {n_features} that is not there")
    return made


def _boosting(fitted: Any, made: Sequence[Tree], n_features: int, n_targets: int, link: str) -> EstimatorParts:
    return trees_to_store(
        "boosting",
        _within(made, n_features, fitted),
        n_features=n_features,
        n_targets=n_targets,
        classes=class_labels(fitted),
        link=link,
        also_equal=False,
    )


def _vote_of_one(fitted: Any) -> EstimatorParts:
    """Read the booster in what codes its labels (`slipway.training.estimators`)."""
    is_one = len(fitted.estimators_) == 1 and fitted.voting == "soft" and fitted.weights is None
    _require(is_one, fitted, "of several, or of other votes than probabilities")
    [booster] = fitted.estimators_
    _require(type_name(booster) in BOOSTERS, fitted, f"of a {type_name(booster)}")
    parts, labels = BOOSTERS[type_name(booster)](booster), class_labels(fitted)
    codes: Sequence[int] | npt.NDArray[Any] = [] if labels is None else np.arange(len(labels))
    is_coded = parts.classes is not None and np.array_equal(parts.classes, codes)
    _require(is_coded, fitted, "whose classes are not its booster's")
    return replace(parts, classes=labels)


BOOSTERS: Mapping[str, Callable[[Any], EstimatorParts]] = {
    **dict.fromkeys(("xgboost.sklearn.XGBClassifier", "xgboost.sklearn.XGBRegressor"), _xgboost),
    **dict.fromkeys(("xgboost.sklearn.XGBRFClassifier", "xgboost.sklearn.XGBRFRegressor"), _xgboost),
    **dict.fromkeys(("lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRegressor"), _lightgbm),
    **dict.fromkeys(("catboost.core.CatBoostClassifier", "catboost.core.CatBoostRegressor"), _catboost),
}
READERS: Mapping[str, Callable[[Any], EstimatorParts]] = {**BOOSTERS, "VotingClassifier": _vote_of_one}
