"""What is given to compiled code is within its arrays: each part that leads out is refused by name, before it is asked.

The hostile parts are honest ones whose state was changed, as a file in a safe format can hold it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from mlflow.models import infer_signature
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator
from sklearn.cluster import Birch, BisectingKMeans, KMeans
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA, KernelPCA
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import DistanceMetric
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.neighbors import BallTree, KDTree, KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MultiLabelBinarizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
)
from sklearn.svm import SVC, SVR, OneClassSVM
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from slipway.registry.errors import NotApproved
from slipway.registry.gate.mlflow_model import input_example, load_as_served, load_model
from slipway.registry.gate.safety.native_content import require_sound
from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.gate.safety.risky_parts import risky_parts
from slipway.registry.gate.safety.skops_untrusted_types import untrusted_types
from slipway.serving.runtimes.acceleration import _parts_of
from slipway.serving.runtimes.mlflow_loaded import example_of
from slipway.serving.runtimes.mlflow_runner import load
from slipway.serving.runtimes.prepare import prepare_runner
from slipway.training.estimators import RECIPES, choose_estimator
from slipway.training.spec import Task

RNG = np.random.default_rng(0)
X = RNG.random((200, 3))
Y = (X[:, 0] > 0.5).astype(int) + (X[:, 1] > 0.7)
CATEGORIES = np.array([["a"], ["b"], ["b"], ["c"], ["c"], ["c"]] * 5)
FAR = 2_000_000_000


def retree(fitted: Any, change: Callable[[dict[str, Any]], object]) -> Any:
    """Change the state of a fitted estimator's tree."""
    tree = fitted.tree_
    state = {name: value.copy() if hasattr(value, "copy") else value for name, value in tree.__getstate__().items()}
    change(state)
    made = type(tree)(tree.n_features, tree.n_classes, tree.n_outputs)
    made.__setstate__(state)
    fitted.tree_ = made
    return fitted


def node(place: int, **values: float) -> Callable[[dict[str, Any]], None]:
    """Change one node."""

    def change(state: dict[str, Any]) -> None:
        for name, value in values.items():
            state["nodes"][name][place] = value

    return change


def tree(change: Callable[[dict[str, Any]], object]) -> Any:
    """Return a tree in a forest in a pipeline, changed."""
    forest = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, Y)
    retree(forest.estimators_[3], change)
    return make_pipeline(StandardScaler().fit(X), forest)


TREES = {
    "to a node that is not there": (node(0, right_child=FAR), r"estimators_\[3\]\.tree_ leads from node 0 to node"),
    "to no node": (node(0, right_child=-1), "leads from node 0 to node -1 of"),
    "to a node before": (node(1, left_child=0), "leads from node 1 to node 0 of"),
    "in a circle": (node(1, left_child=1), "leads from node 1 to node 1 of"),
    "to no leaf": (node(-1, left_child=-7), "to node -7 of"),
    "to one node twice": (node(0, right_child=1), "leads to node 1 in 2 ways"),
    "by a feature that is not there": (node(0, feature=FAR), f"asks in node 0 for feature {FAR} of 3"),
    "by no feature": (node(0, feature=-2), "asks in node 0 for feature -2 of 3"),
    "without a node": (lambda state: state.update(node_count=0), "counts 0 nodes and holds"),
    "deeper than it says": (lambda state: state.update(max_depth=1), "is deeper than the 1 levels that it names"),
}


@pytest.mark.parametrize(("change", "named"), TREES.values(), ids=TREES)
def test_a_tree_that_leads_elsewhere_is_refused_by_name(change: Callable[[dict[str, Any]], object], named: str):
    """Wherever in the model it is, the way to it is said, with the node and how many there are."""
    with pytest.raises(NotApproved, match=named):
        require_sound(tree(change))


def narrower(fitted: Any) -> Any:
    """Have an estimator say that its rows are narrower than its trees need."""
    fitted.n_features_in_ = 1
    return fitted


def uncounted(fitted: Any) -> Any:
    """Take away what requests' columns are counted by."""
    del fitted.n_features_in_
    return fitted


def with_state(fitted: Any, **state: Any) -> Any:
    """Change some of an estimator's state."""
    vars(fitted).update(state)
    return fitted


def predictor(**values: float) -> Any:
    """Change the first node of a histogram's tree."""
    fitted = HistGradientBoostingClassifier(max_iter=3).fit(X, Y)
    for name, value in values.items():
        fitted._predictors[1][0].nodes[name][0] = value
    return fitted


def point_tree(kind: type, place: int, change: Callable[[Any], Any]) -> Any:
    """Change one array of a tree of points in a model of neighbours."""
    fitted = KNeighborsClassifier(algorithm="kd_tree" if kind is KDTree else "ball_tree").fit(X, Y)
    state = list(kind(X, leaf_size=10).__getstate__())
    state[place] = change(np.array(state[place]))
    made = kind.__new__(kind)
    made.__setstate__(tuple(state))
    return with_state(fitted, _tree=made)


def first(value: Any, field: str | None = None, at: int = 0) -> Callable[[Any], Any]:
    """Change one value of an array."""

    def change(array: Any) -> Any:
        (array[field] if field else array)[at] = value
        return array

    return change


def svm(kind: type = SVC, **state: Any) -> Any:
    """Change the state of a support vector machine."""
    return with_state(kind().fit(X, Y), **state)


def boosting() -> Any:
    """Return gradient boosting of three classes."""
    return GradientBoostingClassifier(n_estimators=3).fit(X, Y)


def sparse_with_a_far_column() -> Any:
    """Return a matrix that SciPy takes, and whose product reads elsewhere."""
    matrix = scipy.sparse.csr_matrix(X)
    matrix.indices[0] = FAR
    return matrix


def overcounted() -> Any:
    """Return a tree that counts more nodes than it holds."""
    fitted = DecisionTreeClassifier().fit(X, Y)
    fitted.tree_.node_count = 10**9
    return fitted


def without_its_set() -> Any:
    """Return histogram boosting that asks for a set of categories which it does not have."""
    fitted = predictor(is_categorical=1, bitset_idx=99)
    fitted._bin_mapper.is_categorical_[:] = 1
    return fitted


def at_place(place: int) -> Any:
    """Return a generator that goes on at a place."""
    random = np.random.RandomState(0)
    state = random.get_state(legacy=False)
    state["state"]["pos"] = place
    random.set_state(state)
    return random


def weighted() -> Any:
    """Return neighbours at a distance with weights for fewer features than there are."""
    metric = KDTree(X[:, :2], metric="minkowski", p=3, w=np.ones(2)).__getstate__()[11]
    return point_tree(KDTree, 11, lambda _: metric)


def outliers() -> Any:
    """Return a forest of outliers with a tree that leads elsewhere."""
    forest = IsolationForest(n_estimators=5, random_state=0).fit(X)
    retree(forest.estimators_[2], node(0, right_child=FAR))
    return forest


def category_of_a_number() -> Any:
    """Return histogram boosting that takes a number for a category, and has a set for it."""
    fitted = predictor(is_categorical=1, bitset_idx=0)
    for name in ("raw_left_cat_bitsets", "binned_left_cat_bitsets"):
        setattr(fitted._predictors[1][0], name, np.zeros((1, 8), dtype=np.uint32))
    return fitted


def precomputed() -> Any:
    """Return a machine on a kernel of its own, one of whose vectors is a row that is not there."""
    fitted = SVC(kernel="precomputed").fit(X @ X.T, Y)
    fitted.support_[0] = FAR
    return fitted


def boosting_from_a_word() -> Any:
    """Return boosting from a pipeline that gives one row for each word in its columns' names, whatever the rows."""
    reduced = PCA(1).fit(X).set_output(transform="pandas")
    words = CountVectorizer(token_pattern="[a-z0-9]+").fit(["pca0"])
    start = Pipeline([("reduced", reduced), ("words", words), ("sum", Ridge().fit([[0.0], [1.0]], [0.0, 0.0]))])
    return with_state(GradientBoostingRegressor(n_estimators=2).fit(X, Y), init_=start)


def decoyed() -> Any:
    """Return histogram boosting whose encoder is none, and has what one would be known by."""
    steps = [("encoder", OrdinalEncoder().fit([[0]]), np.ones(3, dtype=bool))]
    encoder = with_state(PCA(1).fit(X), transformers_=steps)
    return with_state(HistGradientBoostingClassifier(max_iter=2).fit(X, Y), _preprocessor=encoder)


def asked_for_labels() -> Any:
    """Return a binarizer of labels that has made its table of places."""
    fitted = MultiLabelBinarizer().fit([["a"], ["b", "c"]])
    fitted.transform([["a"]])
    return fitted


def without_a_setting() -> Any:
    """Return a model whose release did not have one of today's settings."""
    fitted = PolynomialFeatures().fit(X)
    del fitted.order
    return fitted


def halved() -> Any:
    """Return clusters made by halving, one of which has a center that is narrower than a row."""
    fitted = BisectingKMeans(3, random_state=0).fit(X)
    fitted._bisecting_tree.left.center = np.zeros(1)
    return fitted


def without_values(fitted: Any) -> Any:
    """Return a fitted tree that has no value for any of its nodes."""
    state = fitted.tree_.__getstate__()
    made = type(fitted.tree_)(fitted.tree_.n_features, np.zeros(1, dtype=np.intp), 1)
    made.__setstate__({**state, "values": np.zeros((len(state["nodes"]), 1, 0))})
    return with_state(fitted, tree_=made)


def boosting_by_two_values() -> Any:
    """Return boosting with a tree that has two values in a node, where compiled code reads one by the node's number."""
    fitted = GradientBoostingRegressor(n_estimators=2, max_depth=2).fit(X, Y)
    fitted.estimators_[1, 0] = DecisionTreeRegressor(max_depth=2).fit(X, np.column_stack([Y, Y]))
    return fitted


def boosting_from_no_strategy() -> Any:
    """Return boosting that starts from what ends in an error of Python's own."""
    fitted = boosting()
    fitted.init_._strategy = "none"
    return fitted


def measured(name: str, *state: Any) -> Any:
    """Return neighbours at another distance than that of their points."""
    metric = DistanceMetric.get_metric(name, **({"VI": np.eye(3)} if name == "mahalanobis" else {}))
    if state:
        metric.__setstate__(state)
    return point_tree(BallTree, 11, lambda _: metric)


def with_rows(**places: Any) -> Any:
    """Return a sparse matrix with places that SciPy's own look lets through."""
    return with_state(scipy.sparse.csr_matrix(X), **places)


def coordinates() -> Any:
    """Return a matrix of coordinates one of which is outside of it."""
    matrix = scipy.sparse.coo_matrix(X)
    matrix.col[0] = FAR
    return matrix


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "a tree of more features": (
        lambda: narrower(DecisionTreeClassifier().fit(X, Y)),
        "takes 1 features, and its tree 3",
    ),
    "a tree that counts nothing": (lambda: uncounted(DecisionTreeClassifier().fit(X, Y)), "takes None features"),
    "a forest of more features": (lambda: narrower(RandomForestRegressor(3).fit(X, Y)), "its tree 0 3"),
    "outliers of more features": (outliers, r"estimators_\[2\]\.tree_ leads from node 0 to"),
    "a tree of other classes": (
        lambda: with_state(DecisionTreeClassifier().fit(X, Y), n_classes_=2),
        "has 2 classes, and its tree",
    ),
    "no tree": (lambda: with_state(DecisionTreeClassifier().fit(X, Y), tree_=KDTree(X)), "has a KDTree for its tree"),
    "a histogram's node": (
        lambda: predictor(left=4_000_000_000),
        r"_predictors\[1\]\[0\] leads from node 0 to node 4000",
    ),
    "a histogram's feature": (
        lambda: predictor(feature_idx=FAR),
        "has in stage 0|has in stage 1 a tree that asks in node",
    ),
    "a histogram's set": (without_its_set, "asks for set 99 of 0"),
    "more nodes than there are": (overcounted, "counts 1000000000 nodes and holds"),
    "a histogram's category": (category_of_a_number, "takes a number for a category"),
    "a histogram's rows": (
        lambda: narrower(HistGradientBoostingClassifier(max_iter=2).fit(X, Y)),
        "takes 1 features, and its bins 3",
    ),
    "a histogram's preparation": (
        lambda: with_state(
            HistGradientBoostingClassifier(max_iter=2).fit(X, Y),
            _preprocessor=make_column_transformer((StandardScaler(), [0])).fit(X),
        ),
        "encodes its 3 features otherwise",
    ),
    "a histogram in fitting": (
        lambda: with_state(HistGradientBoostingClassifier(max_iter=2).fit(X, Y), _in_fit=True),
        "says that it is being fitted",
    ),
    "boosting by other trees": (
        lambda: with_state(boosting(), estimators_=np.array([[DummyClassifier()] * 3], dtype=object)),
        "has a DummyClassifier for its tree 0, 0",
    ),
    "boosting by wider trees": (lambda: narrower(boosting()), "takes 1 features, and its tree 0, 0 3"),
    "boosting from less": (
        lambda: with_state(boosting(), init_=DummyClassifier().fit(X, Y > 0)),
        r"starts from \(2,\) numbers, and adds 3",
    ),
    "boosting from what may give other rows": (boosting_from_a_word, "starts from a Pipeline of other estimators"),
    "a histogram's preparation by another": (decoyed, "encodes its features by a PCA"),
    "clusters of clusters": (
        lambda: with_state(Birch(n_clusters=None).fit(X), _subcluster_norms=np.zeros(1)),
        r"has _subcluster_norms of the shape \(1,\) for",
    ),
    "halved clusters": (halved, r"has a center of the shape \(1,\) for 3 features"),
    "boosting of more": (lambda: with_state(boosting(), n_trees_per_iteration_=1), "trees, and 1 in a stage"),
    **{
        f"{kind.__name__}'s {what}": (
            lambda kind=kind, place=place, change=change: point_tree(kind, place, change),
            named,
        )
        for kind in (KDTree, BallTree)
        for what, place, change, named in [
            ("point", 1, first(FAR), rf"_tree leads to point {FAR} of 200"),
            ("point twice", 1, np.zeros_like, "does not name each of 200 points"),
            ("share", 2, first(10**9, "idx_end", -1), "whose points are not those of its two children"),
            ("root", 2, first(10**9, "idx_end"), "does not begin with all of its 200 points"),
            ("branch", 2, first(0, "is_leaf", -1), "leads from node 30 to node 62 of 31"),
            ("nodes", 2, lambda nodes: nodes[:7], "names 31 nodes, and has 7"),
            ("bounds", 3, lambda bounds: bounds[:, :, :1].copy(), "bounds of the shape"),
            ("distance", 11, lambda _: None, "has a NoneType for its distance"),
            ("weights", 12, lambda _: np.ones(3), "has .3,. weights for 200 points"),
        ]
    },
    "a distance's weights": (weighted, "has a distance with 2 weights for 3 features"),
    "points without anything": (lambda: [KDTree.__new__(KDTree)], r"the model\[0\] "),
    "neighbours' points": (
        lambda: with_state(KNeighborsClassifier(algorithm="brute").fit(X, Y), _fit_X=X[:, :2]),
        r"keeps points of the shape \(200, 2\), and names \(200, 3\)",
    ),
    "neighbours' labels": (
        lambda: with_state(KNeighborsClassifier(algorithm="brute").fit(X, Y), _y=np.full(200, 99)),
        "has the label 99 of 3",
    ),
    "clusters' centers": (
        lambda: with_state(KMeans(3, n_init=1).fit(X), cluster_centers_=np.ones((3, 1))),
        r"has centers of the shape \(3, 1\) for 3 features",
    ),
    "vectors counted": (lambda: svm(_n_support=np.array([FAR, 1, 1], dtype=np.int32)), f"counts .{FAR}, 1, 1. support"),
    "vectors of less": (lambda: svm(support_vectors_=np.ones((2, 3))), "has support vectors of the shape"),
    "vectors of less in regression": (lambda: svm(SVR, support_vectors_=np.ones((2, 3))), "has support vectors of the"),
    "coefficients": (lambda: svm(_dual_coef_=np.ones((2, 1))), "has 2 coefficients of the shape"),
    "coefficients of outliers": (lambda: svm(OneClassSVM, _dual_coef_=np.ones((1, 1))), "has 1 coefficients"),
    "intercepts": (lambda: svm(_intercept_=np.ones(1)), r"intercepts of the shape \(1,\) for 3 pairs"),
    "shares": (lambda: svm(_probA=np.ones(1), _probB=np.ones(1)), r"has \[1\] numbers for the probabilities of 3"),
    "a row for a vector": (precomputed, f"has row {FAR} of 200"),
    "shares of outliers": (
        lambda: with_state(OneClassSVM().fit(scipy.sparse.csr_matrix(X)), _effective_probability=True),
        "has probabilities of classes, and knows none",
    ),
    "another machine": (lambda: svm(SVR, _impl="c_svc"), "in the place of its class's _impl"),
    "columns": (lambda: with_state(OneHotEncoder().fit(CATEGORIES), _n_features_outs=[1]), r"writes \[1\] columns for"),
    "a category left out": (
        lambda: with_state(
            OneHotEncoder(drop="first").fit(CATEGORIES), _drop_idx_after_grouping=np.array([99], dtype=object)
        ),
        "leaves out category 99 of 3",
    ),
    "rare categories": (
        lambda: with_state(
            OneHotEncoder(max_categories=2).fit(CATEGORIES), _default_to_infrequent_mappings=[np.array([99, 0, 1])]
        ),
        "groups 3 categories into more than 2",
    ),
    "unordered categories": (
        lambda: with_state(OneHotEncoder().fit(X[:5]), categories_=[np.array([5.0, 4, 3, 2, 1])] * 3),
        "categories of feature 0 that do not ascend",
    ),
    "labels": (
        lambda: with_state(MultiLabelBinarizer().fit([[1.0], [2.0]]), _cached_dict={1.0: 0, 2.0: 1, 7.0: FAR}),
        "has a table of places that is not that of its classes",
    ),
    "a label twice": (
        lambda: with_state(MultiLabelBinarizer().fit([[1], [2]]), classes_=np.array([2, 2])),
        "names a class twice, and has fewer columns than places",
    ),
    "words": (
        lambda: with_state(CountVectorizer().fit(["yes no"]), vocabulary_={"yes": 0, "no": FAR}),
        f"has a word in column {FAR} of 2",
    ),
    "a sparse matrix": (lambda: {"matrix": sparse_with_a_far_column()}, "is a sparse matrix with places outside of it"),
    "a generator": (
        lambda: with_state(DummyClassifier(strategy="stratified").fit(X, Y), random_state=at_place(10**8)),
        "random_state goes on at place 100000000 of 624",
    ),
    "a method": (
        lambda: with_state(DecisionTreeClassifier().fit(X, Y), _validate_X_predict=np.multiply),
        "has something of its own in the place of its class's _validate_X_predict",
    ),
    "a setting": (
        lambda: with_state(PolynomialFeatures(interaction_only=True).fit(X), interaction_only=2),
        "has a setting that no fit takes .The 'interaction_only' parameter of PolynomialFeatures",
    ),
    "what settings are held to": (
        lambda: with_state(PolynomialFeatures().fit(X), _parameter_constraints={}, interaction_only=2),
        "has something of its own in the place of its class's _parameter_constraints",
    ),
    "threads": (lambda: with_state(KMeans(3).fit(X), _n_threads=10**6), "asks for 1000000 threads"),
    "no threads": (lambda: with_state(KMeans(3).fit(X), _n_threads=-(2**31)), "asks for -2147483648 threads"),
    "voters": (
        lambda: with_state(KNeighborsClassifier(algorithm="brute", metric="manhattan").fit(X, Y), n_neighbors=201),
        "asks for 201 neighbours of 200 points",
    ),
    "rows of any width": (
        lambda: RadiusNeighborsClassifier(algorithm="brute", metric="manhattan").fit(X, Y),
        "compares rows of any width with its own by 'manhattan'",
    ),
    "a tree without values": (
        lambda: without_values(DecisionTreeRegressor(max_depth=2).fit(X, Y)),
        r"has values of the shape \(7, 1, 0\)",
    ),
    "boosting by two values": (boosting_by_two_values, r"has a tree 1, 0 with values of the shape \(7, 2, 1\)"),
    "boosting from nothing": (boosting_from_no_strategy, r"is not as fitting leaves it \(UnboundLocalError"),
    "a distance on a sphere": (lambda: measured("haversine"), "Haversine distance only valid in 2 dimensions"),
    "a distance's matrix": (
        lambda: measured("mahalanobis", 2.0, np.zeros(1), np.eye(3)[:, :1].copy()),
        r"has a distance with a matrix of the shape \(3, 1\) for 3 features",
    ),
    "rows that end before they begin": (
        lambda: [with_rows(indptr=np.array([0, FAR, *[0] * 199], dtype=np.int32))],
        "a row ends before it begins",
    ),
    "coordinates": (lambda: [coordinates()], "is a sparse matrix with places outside of it"),
    "diagonals": (
        lambda: [with_state(scipy.sparse.dia_matrix(X), offsets=np.arange(1000, dtype=np.int32))],
        r"is a sparse matrix of \(1000,\) diagonals",
    ),
    "a method's own model": (
        lambda: FunctionTransformer(retree(DecisionTreeClassifier().fit(X, Y), node(0, right_child=FAR)).predict),
        r"func\.__self__\.tree_ leads from node 0",
    ),
}


@pytest.mark.parametrize(("make", "named"), HOSTILE.values(), ids=HOSTILE)
def test_a_part_that_leads_out_of_its_arrays_is_refused_by_name(make: Callable[[], Any], named: str):
    """Each kind of index that compiled code follows without looking."""
    with pytest.raises(NotApproved, match=named) as caught:
        require_sound(make())
    assert caught.value.code == "content-unsound"


ESTIMATORS = [
    choose_estimator(name, {}, task=task, seed=0).estimator
    for name, recipe in RECIPES.items()
    for task in Task
    if (recipe.classifier if task is Task.CLASSIFICATION else recipe.regressor)
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda each: type(each).__name__)
def test_every_estimator_that_training_knows_is_sound(estimator: BaseEstimator):
    """As fitted, in a pipeline."""
    require_sound(make_pipeline(StandardScaler(), estimator).fit(X, Y))


@pytest.mark.parametrize(
    "fitted",
    [
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[0]).fit(X.round(1), Y),
        HistGradientBoostingClassifier(max_iter=2, categorical_features=[0, 1, 2]).fit(X.round(1), Y),
        GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()).fit(X, Y),
        GradientBoostingRegressor(n_estimators=2, init="zero").fit(X, Y),
        GaussianProcessClassifier(1.0 * RBF(1.0)).fit(X, Y),
        TunedThresholdClassifierCV(LogisticRegression()).fit(X, Y > 0),
        BisectingKMeans(3, random_state=0).fit(X),
        BisectingKMeans(3, random_state=0).fit(scipy.sparse.csr_matrix(X)),
        KernelPCA(2, kernel="poly", fit_inverse_transform=True).fit(X),
        RadiusNeighborsClassifier(algorithm="brute").fit(X, Y),
        RadiusNeighborsClassifier(algorithm="brute", metric="manhattan", weights="distance").fit(X, Y),
        KNeighborsClassifier(200).fit(X, Y),
        BallTree(X, metric="mahalanobis", VI=np.eye(3)),
        BallTree(X[:, :2], metric="haversine"),
        [scipy.sparse.coo_matrix(X), scipy.sparse.dia_matrix(X), scipy.sparse.bsr_matrix(X), scipy.sparse.csc_array(X)],
        without_a_setting(),
        asked_for_labels(),
        Birch(n_clusters=2).fit(X),
        RandomForestClassifier(3, max_leaf_nodes=5, ccp_alpha=0.01).fit(X, np.column_stack([Y, Y > 0])),
        SVC(kernel="precomputed").fit(X @ X.T, Y),
        SVC(kernel=lambda left, right: left @ right.T).fit(X, Y),
        SVC().fit(scipy.sparse.csr_matrix(X), Y),
        KNeighborsClassifier(metric="minkowski", p=3, metric_params={"w": np.ones(3)}).fit(X, Y),
        KNeighborsClassifier(algorithm="ball_tree").fit(X, np.column_stack([Y, Y > 0])),
        OneHotEncoder(max_categories=2, drop="if_binary", handle_unknown="infrequent_if_exist").fit(CATEGORIES),
        OneHotEncoder(drop=["b"]).fit(CATEGORIES),
        OneHotEncoder().fit([[1.0], [np.nan], [2.0]]),
        DummyClassifier(random_state=np.random.RandomState(0)).fit(X, Y),
        IsolationForest(n_estimators=5).fit(X),
    ],
    ids=lambda each: f"{type(each).__name__}",
)
def test_what_fitting_leaves_is_sound(fitted: Any):
    """Of options that change which arrays there are."""
    require_sound(fitted)


def test_a_large_forest_is_looked_through_in_a_moment():
    """A hundred trees cost a small part of what loading them does."""
    forest = RandomForestClassifier(100, random_state=0).fit(RNG.random((3000, 5)), RNG.integers(0, 2, 3000))
    started = time.process_time()
    require_sound(forest)
    assert time.process_time() - started < 0.5


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model that runs no code, and whose tree leads elsewhere for one row in a million."""
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    fitted = DecisionTreeClassifier(max_depth=2, random_state=0).fit(frame, Y)

    def trap(state: dict[str, Any]) -> None:
        nodes = np.concatenate([state["nodes"][:1], state["nodes"]])
        for child in ("left_child", "right_child"):
            nodes[child][1:] += nodes[child][1:] >= 0
        nodes["left_child"][0], nodes["right_child"][0] = 1, FAR
        nodes["feature"][0], nodes["threshold"][0] = 0, 1e30
        values = np.concatenate([state["values"][:1], state["values"]])
        state.update(nodes=nodes, values=values, node_count=len(nodes), max_depth=3)

    folder = tmp_path_factory.mktemp("stored") / "model"
    mlflow.sklearn.save_model(
        retree(fitted, trap),
        folder,
        serialization_format="skops",
        skops_trusted_types=list(REVIEWED_TYPES),
        signature=infer_signature(frame, pd.Series(Y)),
        input_example=frame[:3],
        pip_requirements=[],
    )
    assert risky_parts(folder, untrusted_types) == ()
    return folder


@pytest.mark.parametrize("loaded_by", [lambda folder: load_model(str(folder)), load_as_served, load])
def test_whoever_loads_a_hostile_model_refuses_it_before_asking(hostile: Path, loaded_by: Callable[[Path], Any]):
    """The checks of a gate, an evaluation, and the engine."""
    with pytest.raises(NotApproved, match=rf"the model\.tree_ leads from node 0 to node {FAR} of"):
        loaded_by(hostile)


def test_the_engine_prepares_no_runner_for_it(hostile: Path, tmp_path: Path):
    """It is not passed on to a slower kind of runner."""
    with pytest.raises(NotApproved, match=f"leads from node 0 to node {FAR}"):
        prepare_runner(hostile, tmp_path, accelerate=True, rows=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [input_example, example_of])
def test_an_example_leads_nobody_out_of_its_arrays(read: Callable[[Path], Any], tmp_path: Path):
    """It is asked about before anything else is, and a sparse one has places of its own."""
    rows = csr_matrix(np.eye(3))
    mlflow.sklearn.save_model(Ridge().fit(rows, range(3)), tmp_path / "model", input_example=rows, pip_requirements=[])
    read(tmp_path / "model")
    document = tmp_path / "model" / "input_example.json"
    stored = json.loads(document.read_text())
    document.write_text(json.dumps({**stored, "indices": [0, 10**9, 2]}))
    with pytest.raises(NotApproved, match="its input example is a sparse matrix with places outside of it"):
        read(tmp_path / "model")


def test_an_index_that_reading_finds_out_of_bounds_is_no_reason_for_a_slower_runner():
    """Should a look through the model have missed it, reading its trees says so too."""
    fitted = retree(DecisionTreeClassifier().fit(X, Y), node(0, right_child=10_000))
    with pytest.raises(NotApproved, match="DecisionTreeClassifier leads out of its own arrays"):
        _parts_of(fitted)
