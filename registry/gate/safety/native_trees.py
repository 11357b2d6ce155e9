"""Decision trees: every node leads to later nodes of its own tree, and asks for a feature that a row has.

Both kinds write a child behind its parent, so that one look at the whole arrays proves that each way ends in a leaf.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

LEAF = -1
BITSET_WORDS = 8

Places = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def _tree(tree: Any) -> Iterator[str]:
    """Look at a tree's own arrays; how many nodes there are is asked first, since all else is read by it."""
    n = tree.node_count
    if not 0 < n <= tree.capacity:
        yield f"counts {n} nodes and holds {tree.capacity}"
        return
    if not tree.value.size:
        yield f"has values of the shape {tree.value.shape}"
    left, right = tree.children_left, tree.children_right
    is_branch = left != LEAF
    yield from _ways(left, right, is_branch)
    yield from _features(tree.feature, is_branch, tree.n_features)
    if (right[~is_branch] != LEAF).any():
        yield "has a leaf that leads on"
    yield from _depth(left, right, tree.max_depth)


def _ways(left: Places, right: Places, is_branch: Flags) -> Iterator[str]:
    n = len(left)
    parents = np.flatnonzero(is_branch)
    for children in (left[parents], right[parents]):
        wrong = np.flatnonzero((children <= parents) | (children >= n))
        if len(wrong):
            yield f"leads from node {parents[wrong[0]]} to node {children[wrong[0]]} of {n}"
    counts = np.bincount(np.concatenate([left[parents], right[parents]]), minlength=n)
    wrong = np.flatnonzero(counts[1:] != 1)
    if len(wrong):
        yield f"leads to node {wrong[0] + 1} in {counts[wrong[0] + 1]} ways instead of one"


def _features(feature: Places, is_branch: Flags, n_features: int) -> Iterator[str]:
    wrong = np.flatnonzero(is_branch & ((feature < 0) | (feature >= n_features)))
    if len(wrong):
        yield f"asks in node {wrong[0]} for feature {feature[wrong[0]]} of {n_features}"


def _depth(left: Places, right: Places, most: int) -> Iterator[str]:
    level, depth = np.zeros(1, dtype=np.int64), 0
    while len(level := level[left[level] != LEAF]):
        level, depth = np.concatenate([left[level], right[level]]), depth + 1
        if depth > most:
            yield f"is deeper than the {most} levels that it names"
            return


def _has_tree(fitted: Any) -> Iterator[str]:
    if "tree_" not in vars(fitted):
        return
    tree = fitted.tree_
    if not _is(tree, "sklearn.tree._tree.Tree"):
        yield f"has a {type(tree).__name__} for its tree"
        return
    yield from _width(fitted, tree.n_features, "its tree")
    if tree.n_outputs != fitted.n_outputs_:
        yield f"has {fitted.n_outputs_} outputs, and its tree {tree.n_outputs}"
    classes = getattr(fitted, "n_classes_", None)
    if classes is not None and not np.array_equal(np.atleast_1d(classes), tree.n_classes):
        yield f"has {classes} classes, and its tree {tree.n_classes}"


def _width(fitted: Any, n_features: int, of: str) -> Iterator[str]:
    """Hold an estimator to the number by which scikit-learn counts the columns of each request."""
    counted = getattr(fitted, "n_features_in_", None)
    if not isinstance(counted, int | np.integer) or counted != n_features:
        yield f"takes {counted} features, and {of} {n_features}"


def _forest(fitted: Any) -> Iterator[str]:
    for place, each in enumerate(getattr(fitted, "estimators_", ())):
        yield from _width(fitted, each.n_features_in_, f"its tree {place}")


def _boosting(fitted: Any) -> Iterator[str]:
    if "estimators_" not in vars(fitted):
        return
    trees = fitted.estimators_
    if trees.ndim != 2 or trees.shape[1] != fitted.n_trees_per_iteration_ or not trees.size:
        yield f"has {trees.shape} trees, and {fitted.n_trees_per_iteration_} in a stage"
        return
    for (stage, target), each in np.ndenumerate(trees):
        if not _is(each, "sklearn.tree._classes.DecisionTreeRegressor"):
            yield f"has a {type(each).__name__} for its tree {stage}, {target}"
        if each.tree_.value.shape[1:] != (1, 1):
            yield f"has a tree {stage}, {target} with values of the shape {each.tree_.value.shape}"
        yield from _width(fitted, each.tree_.n_features, f"its tree {stage}, {target}")
    start = fitted.init_
    if any(
        hasattr(part, "get_params") for value in getattr(start, "__dict__", {}).values() for part in _members(value)
    ):
        yield f"starts from a {type(start).__name__} of other estimators, which may give another number of rows"


def _members(value: Any) -> Iterator[Any]:
    """Yield a value, and all that it holds where it is a list, a tuple, a mapping or an array of objects."""
    yield value
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, np.ndarray):
        value = value.ravel().tolist() if value.dtype.hasobject else []
    if isinstance(value, list | tuple):
        for each in value:
            yield from _members(each)


def _boosting_start(fitted: Any) -> Iterator[str]:
    """Ask what boosting starts from, whose columns the trees' sums are written into."""
    if "estimators_" in vars(fitted):
        start = fitted._raw_predict_init(np.zeros((1, fitted.n_features_in_), dtype=np.float32))
        if start.shape != (1, fitted.n_trees_per_iteration_):
            yield f"starts from {start.shape[1:]} numbers, and adds {fitted.n_trees_per_iteration_}"


def _predictor(predictor: Any) -> Iterator[str]:
    nodes = predictor.nodes
    if nodes.ndim != 1 or not len(nodes):
        yield f"has nodes of the shape {nodes.shape}"
        return
    is_branch = nodes["is_leaf"] == 0
    yield from _ways(nodes["left"].astype(np.int64), nodes["right"].astype(np.int64), is_branch)
    asked = nodes["bitset_idx"][is_branch & (nodes["is_categorical"] != 0)]
    for name in ("raw_left_cat_bitsets", "binned_left_cat_bitsets"):
        bitsets = getattr(predictor, name)
        if bitsets.ndim != 2 or bitsets.shape[1] != BITSET_WORDS:
            yield f"has {name} of the shape {bitsets.shape}"
        elif (asked >= len(bitsets)).any():
            yield f"asks for set {asked.max()} of {len(bitsets)} {name}"


def _histogram_boosting(fitted: Any) -> Iterator[str]:
    if "_predictors" not in vars(fitted):
        return
    if getattr(fitted, "_in_fit", False):
        yield "says that it is being fitted"
    bins = fitted._bin_mapper
    if not _is(bins, "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper"):
        yield f"has a {type(bins).__name__} for its bins"
        return
    is_categorical = np.asarray(bins.is_categorical_) != 0
    n_features = is_categorical.size
    yield from _width(fitted, n_features, "its bins")
    if fitted._preprocessor is not None:
        yield from _keeps_width(fitted._preprocessor, n_features)
    for stage, predictors in enumerate(fitted._predictors):
        for predictor in predictors:
            for wrong in _features_of_predictor(predictor, is_categorical):
                yield f"has in stage {stage} a tree that {wrong}"


def _features_of_predictor(predictor: Any, is_categorical: Flags) -> Iterator[str]:
    nodes = predictor.nodes
    is_branch = nodes["is_leaf"] == 0
    yield from _features(nodes["feature_idx"], is_branch, len(is_categorical))
    by_category = nodes["feature_idx"][is_branch & (nodes["is_categorical"] != 0)]
    if not is_categorical[by_category].all():
        yield "takes a number for a category"


def _keeps_width(preprocessor: Any, n_features: int) -> Iterator[str]:
    """Hold what categories are encoded by to the one shape that fitting gives it: no column comes or goes."""
    if not _is(preprocessor, "sklearn.compose._column_transformer.ColumnTransformer"):
        yield f"encodes its features by a {type(preprocessor).__name__}"
        return
    steps = [(step, np.asarray(columns)) for _, step, columns in preprocessor.transformers_ if np.any(columns)]
    are_known = all(
        _is(step, "sklearn.preprocessing._encoders.OrdinalEncoder") or _checks_alone(step) for step, _ in steps
    )
    are_masks = all(mask.dtype == np.bool_ and mask.shape == (n_features,) for _, mask in steps)
    if not (are_known and are_masks and (np.sum([mask for _, mask in steps], axis=0) == 1).all()):
        yield f"encodes its {n_features} features otherwise than one by one"


def _checks_alone(step: Any) -> bool:
    func = getattr(getattr(step, "func", None), "func", None)
    name = f"{getattr(func, '__module__', '')}.{getattr(func, '__qualname__', '')}"
    return _is(step, "sklearn.preprocessing._function_transformer.FunctionTransformer") and (
        name == "sklearn.utils.validation.check_array"
    )


def _is(part: Any, name: str) -> bool:
    return f"{type(part).__module__}.{type(part).__qualname__}" == name


TREES: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "sklearn.tree._tree.Tree": _tree,
    "sklearn.tree._classes.BaseDecisionTree": _has_tree,
    "sklearn.ensemble._forest.BaseForest": _forest,
    "sklearn.ensemble._gb.BaseGradientBoosting": _boosting,
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor": _predictor,
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.BaseHistGradientBoosting": _histogram_boosting,
}
# Looked at when all else is known to be sound, since the model is asked.
STARTS: Mapping[str, Callable[[Any], Iterator[str]]] = {"sklearn.ensemble._gb.BaseGradientBoosting": _boosting_start}
