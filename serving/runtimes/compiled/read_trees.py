"""Read fitted trees, forests and gradient boosting."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import ensemble, tree
from sklearn.dummy import DummyClassifier, DummyRegressor

from slipway.serving.runtimes.compiled.compile_trees import Tree, compile_trees, constant_tree
from slipway.serving.runtimes.compiled.estimator_parts import EstimatorParts, class_labels
from slipway.serving.runtimes.compiled.forests import bits_of_a_count, counts_in_a_double
from slipway.serving.runtimes.compiled.preprocessing import Matrix
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name

CLASSIFICATION_TREES = (tree.DecisionTreeClassifier, tree.ExtraTreeClassifier)
REGRESSION_TREES = (tree.DecisionTreeRegressor, tree.ExtraTreeRegressor)
SINGLE_TREES = (*CLASSIFICATION_TREES, *REGRESSION_TREES)
OF_THE_WHOLE = ["n_outputs_", "n_classes_"]
FORESTS = (
    ensemble.RandomForestClassifier,
    ensemble.RandomForestRegressor,
    ensemble.ExtraTreesClassifier,
    ensemble.ExtraTreesRegressor,
)
BOOSTINGS = (ensemble.GradientBoostingClassifier, ensemble.GradientBoostingRegressor)
HISTOGRAM_BOOSTINGS = (ensemble.HistGradientBoostingClassifier, ensemble.HistGradientBoostingRegressor)

LINKS = {
    "IdentityLink": "identity",
    "LogLink": "log",
    "LogitLink": "logistic",
    "HalfLogitLink": "half_logistic",
    "MultinomialLogit": "softmax",
}


def _forest(fitted: Any) -> EstimatorParts:
    classes = class_labels(fitted)
    members = [fitted] if isinstance(fitted, SINGLE_TREES) else list(fitted.estimators_)
    _require_members(members, fitted, classes)
    fitted_trees = [each.tree_ for each in members]
    # (nodes, outputs, classes); a regressor has one "class", a classifier here one output
    values = [np.asarray(each.value) for each in fitted_trees]
    if classes is None and fitted.n_outputs_ == 1:
        made = [_float32_tree(each, 0, value[:, 0, 0]) for each, value in zip(fitted_trees, values, strict=True)]
        return _trees("mean", made, fitted, n_targets=1)
    numbers = [value[:, :, 0] if classes is None else value[:, 0, :] for value in values]
    if classes is not None and all(_is_pure(each, value) for each, value in zip(fitted_trees, numbers, strict=True)):
        return _votes(fitted, fitted_trees, numbers, classes)
    return _leaves(fitted, fitted_trees, numbers, classes)


def _require_members(members: Sequence[Any], fitted: Any, classes: npt.NDArray[Any] | None) -> None:
    """Refuse an ensemble of others than it fits itself: in a file that somebody has changed, they answer otherwise.

    What is read of a member is its tree; what else it has (classes, a number of outputs) is that of the whole.
    """
    kinds, names = (REGRESSION_TREES, ["n_outputs_"]) if classes is None else (CLASSIFICATION_TREES, OF_THE_WHOLE)
    sizes = [getattr(fitted, name) for name in names]
    for each in members:
        if type(each) not in kinds or [getattr(each, name) for name in names] != sizes:
            raise NotCompilable(f"{type_name(fitted)} with a {type_name(each)} that is not as it fits them")


def _is_pure(fitted_tree: Any, numbers: Matrix) -> bool:
    leaves = numbers[fitted_tree.children_left < 0]
    return bool(((leaves == 0) | (leaves == 1)).all() and (leaves.sum(axis=1) == 1).all())


def _votes(
    fitted: Any, fitted_trees: Sequence[Any], numbers: Sequence[Matrix], classes: npt.NDArray[Any]
) -> EstimatorParts:
    bits = bits_of_a_count(len(fitted_trees))
    in_one = counts_in_a_double(bits)
    made = []
    for each, shares in zip(fitted_trees, numbers, strict=True):
        vote = shares.argmax(axis=1)
        made.append(_float32_tree(each, vote // in_one, 2.0 ** (bits * (vote % in_one))))
    return _trees("votes", made, fitted, n_targets=-(-len(classes) // in_one), classes=classes)


def _leaves(
    fitted: Any, fitted_trees: Sequence[Any], numbers: Sequence[Matrix], classes: npt.NDArray[Any] | None
) -> EstimatorParts:
    made, values, before = [], [], 0
    for place, (each, shares) in enumerate(zip(fitted_trees, numbers, strict=True)):
        is_leaf = each.children_left < 0
        rank = np.cumsum(is_leaf) - 1
        made.append(_float32_tree(each, place, (before + rank).astype(np.float64)))
        values.append(shares[is_leaf])
        before += int(is_leaf.sum())
    return _trees("leaves", made, fitted, n_targets=len(made), classes=classes, arrays={"values": np.vstack(values)})


def _trees(
    kind: str,
    made: Sequence[Tree],
    fitted: Any,
    *,
    n_targets: int,
    classes: npt.NDArray[Any] | None = None,
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
    **opening: Any,
) -> EstimatorParts:
    return trees_to_store(
        kind,
        made,
        n_features=fitted.n_features_in_,
        n_targets=n_targets,
        classes=classes,
        arrays=arrays,
        **opening,
    )


def trees_to_store(
    kind: str,
    made: Sequence[Tree],
    *,
    n_features: int,
    n_targets: int,
    classes: npt.NDArray[Any] | None = None,
    arrays: Mapping[str, npt.NDArray[Any]] | None = None,
    **opening: Any,
) -> EstimatorParts:
    """Return trees as one compiled ensemble of a kind that `slipway.serving.runtimes.compiled.open_trees` opens."""
    n_features = int(n_features)
    sizes = {"n_trees": len(made), "n_features": n_features, "n_targets": n_targets}
    return EstimatorParts(
        opening={"estimator": kind, **sizes, **opening},
        arrays=arrays or {},
        classes=classes,
        trees=compile_trees(made, n_features=n_features, n_targets=n_targets),
        thresholds=_thresholds(made),
    )


def _thresholds(made: Sequence[Tree]) -> dict[int, Matrix]:
    branches = [each for each in made if not each.is_leaf.all()]
    features = np.concatenate([each.feature[~each.is_leaf] for each in branches]) if branches else np.empty(0, int)
    thresholds = np.concatenate([each.threshold[~each.is_leaf] for each in branches]) if branches else np.empty(0)
    return {int(column): np.unique(thresholds[features == column]) for column in np.unique(features)}


def _float32_tree(fitted_tree: Any, target: Any, weight: Matrix) -> Tree:
    """Return a tree that compares in float32, as scikit-learn's own trees do."""
    is_leaf = fitted_tree.children_left < 0
    return Tree(
        left=fitted_tree.children_left,
        right=fitted_tree.children_right,
        feature=fitted_tree.feature,
        threshold=fitted_tree.threshold,
        missing_left=fitted_tree.missing_go_to_left.astype(bool),
        target=np.broadcast_to(target, is_leaf.shape),
        weight=np.asarray(weight, dtype=np.float64),
        in_float32=True,
    )


def _boosting(fitted: Any) -> EstimatorParts:
    if not (fitted.init_ == "zero" or isinstance(fitted.init_, DummyClassifier | DummyRegressor)):
        raise NotCompilable(f"{type_name(fitted)} that starts from {type_name(fitted.init_)}")
    start = _doubles(fitted, fitted._raw_predict_init(np.zeros((1, fitted.n_features_in_))))
    made = [constant_tree(target, float(value)) for target, value in enumerate(start)]
    for stage in fitted.estimators_:
        for target, each in enumerate(stage):
            if type(each) is not tree.DecisionTreeRegressor:
                raise NotCompilable(f"{type_name(fitted)} with a {type_name(each)} that is not as it fits them")
            made.append(_float32_tree(each.tree_, target, fitted.learning_rate * each.tree_.value[:, 0, 0]))
    return _boosted(fitted, made, len(start), also_equal=True)


def _histogram_boosting(fitted: Any) -> EstimatorParts:
    if fitted._preprocessor is not None:
        raise NotCompilable(f"{type_name(fitted)} with categorical features of its own")
    start = _doubles(fitted, fitted._baseline_prediction)
    made = [constant_tree(target, float(value)) for target, value in enumerate(start)]
    made.extend(
        _histogram_tree(each.nodes, target) for stage in fitted._predictors for target, each in enumerate(stage)
    )
    return _boosted(fitted, made, len(start), also_equal=False)


def _doubles(fitted: Any, start: npt.NDArray[Any]) -> Matrix:
    """Return what boosting starts from, one number a target; it adds in the type that this has."""
    if start.dtype != np.float64:
        raise NotCompilable(f"{type_name(fitted)} that adds in {start.dtype}")
    return start.ravel()


def _boosted(fitted: Any, made: Sequence[Tree], n_targets: int, *, also_equal: bool) -> EstimatorParts:
    classes = class_labels(fitted)
    link = LINKS.get(type_name(fitted._loss.link).rpartition(".")[2])
    if link is None:
        raise NotCompilable(f"{type_name(fitted)} with the link {type_name(fitted._loss.link)}")
    # Gradient boosting's regressor returns the score as it is, histogram boosting's the link's inverse of it.
    shown = "identity" if classes is None and also_equal else link
    return _trees("boosting", made, fitted, n_targets=n_targets, classes=classes, link=shown, also_equal=also_equal)


def _histogram_tree(nodes: npt.NDArray[Any], target: int) -> Tree:
    if nodes["is_categorical"].any():
        raise NotCompilable("histogram gradient boosting with categorical features of its own")
    is_leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        left=np.where(is_leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(is_leaf, -1, nodes["right"].astype(np.int64)),
        feature=nodes["feature_idx"].astype(np.intp),
        threshold=nodes["num_threshold"].astype(np.float64),
        missing_left=nodes["missing_go_to_left"].astype(bool),
        target=np.full(len(nodes), target),
        weight=nodes["value"].astype(np.float64),
        in_float32=False,
    )


COMPARING_IN_FLOAT32 = (*SINGLE_TREES, *FORESTS, *BOOSTINGS)
READERS: Mapping[type, Callable[[Any], EstimatorParts]] = {
    **dict.fromkeys((*SINGLE_TREES, *FORESTS), _forest),
    **dict.fromkeys(BOOSTINGS, _boosting),
    **dict.fromkeys(HISTOGRAM_BOOSTINGS, _histogram_boosting),
}
