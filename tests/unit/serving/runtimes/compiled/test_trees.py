"""Trees of our own building: compared and added as scikit-learn does, in float64."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor

from slipway.serving.runtimes.compiled.compile_trees import Tree, compile_trees, constant_tree, float32_limits
from slipway.serving.runtimes.compiled.trees import Trees
from slipway.serving.runtimes.verification.hard_rows import neighbours

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
ORDINARY = st.floats(-1e38, 1e38)


def stump(threshold: float, *, in_float32: bool = False, missing_left: bool = False) -> Tree:
    """Return a tree that says 1 for what goes left and 2 for what goes right."""
    return Tree(
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        feature=np.array([0, 0, 0]),
        threshold=np.array([threshold, 0.0, 0.0]),
        missing_left=np.array([missing_left, False, False]),
        target=np.zeros(3, dtype=np.intp),
        weight=np.array([0.0, 1.0, 2.0]),
        in_float32=in_float32,
    )


def opened(*trees: Tree, n_features: int = 1, n_targets: int = 1) -> Trees:
    return Trees(
        compile_trees(trees, n_features=n_features, n_targets=n_targets), n_features=n_features, n_targets=n_targets
    )


@example(threshold=float(np.finfo(np.float32).max), value=0.0)
@given(threshold=ORDINARY | FLOAT32, value=ORDINARY | FLOAT32)
def test_a_limit_compares_doubles_as_their_float32(threshold: float, value: float):
    """`x <= limit` says for every double what `float32(x) <= threshold` says."""
    limit = float32_limits(np.array([threshold]))[0]
    tried = np.array([value, *neighbours(np.array([threshold]))])
    with np.errstate(over="ignore"):
        rounded = tried.astype(np.float32)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal((tried <= limit)[finite], (rounded.astype(np.float64) <= threshold)[finite])


@pytest.mark.parametrize("in_float32", [False, True])
@pytest.mark.parametrize("threshold", [0.8, 2.45, 1 / 3, 1e-40, 16777217.0, -0.0])
def test_a_value_on_a_threshold_goes_left(threshold: float, in_float32: bool):
    """One unit in the last place decides, in a batch and alone."""
    values = neighbours(np.array([threshold]))
    compared = values.astype(np.float32).astype(np.float64) if in_float32 else values
    expected = np.where(compared <= threshold, 1.0, 2.0)
    trees = opened(stump(threshold, in_float32=in_float32))
    np.testing.assert_array_equal(trees.sums(values[:, None])[:, 0], expected)
    np.testing.assert_array_equal([trees.sums(np.array([[value]])).item() for value in values], expected)


@pytest.mark.parametrize("missing_left", [False, True])
def test_a_missing_value_goes_where_the_tree_says(missing_left: bool):
    """NaN goes to the side that fitting chose."""
    assert opened(stump(0.5, missing_left=missing_left)).sums(np.array([[np.nan]])).item() == (1 if missing_left else 2)


def test_trees_of_one_leaf_add_what_they_hold():
    """A tree that never splits counts like others."""
    trees = opened(constant_tree(0, 0.25), stump(0.5), constant_tree(1, -3.0), n_targets=2)
    assert trees.sums(np.array([[0.0]])).tolist() == [[1.25, -3.0]]
    assert trees.sums(np.array([[0.0], [1.0]])).tolist() == [[1.25, -3.0], [2.25, -3.0]]


def test_sums_are_added_in_the_order_of_the_trees():
    """Floating-point sums depend on the order: ours is scikit-learn's, in a batch and alone."""
    weights = [1e16, 1.0, -1e16, 1.0, 1e-3]
    expected = 0.0
    for weight in weights:
        expected += weight
    trees = opened(*(constant_tree(0, weight) for weight in weights))
    assert trees.sums(np.zeros((1, 1))).item() == expected
    assert trees.sums(np.zeros((5000, 1))).ravel().tolist() == [expected] * 5000


def test_threads_do_not_get_each_others_rows():
    """The buffers of one row are one thread's while it uses them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    forest = RandomForestRegressor(20, random_state=0).fit(X, X[:, 0] * X[:, 1])
    made = [
        Tree(
            left=each.tree_.children_left,
            right=each.tree_.children_right,
            feature=each.tree_.feature,
            threshold=each.tree_.threshold,
            missing_left=np.zeros(each.tree_.node_count, dtype=bool),
            target=np.zeros(each.tree_.node_count, dtype=np.intp),
            weight=each.tree_.value[:, 0, 0],
            in_float32=True,
        )
        for each in forest.estimators_
    ]
    trees = opened(*made, n_features=3)
    expected = trees.sums(X)
    rows = list(range(400)) * 10
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda row: trees.sums(X[row : row + 1]).item(), rows))
    assert found == expected[rows, 0].tolist()
