"""Fitted trees of scikit-learn as one ONNX `TreeEnsemble` of doubles.

Built from the fitted arrays, not by skl2onnx, whose trees compare and add in float32 (docs/decisions/0004). Forests
and gradient boosting compare a value rounded to float32 with a threshold in float64; here each threshold becomes the
largest double that rounds to a float32 not above it, and the comparison is the same for every double, without
rounding any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper

from slipway.serving.runtimes.compiled.preprocessing import Matrix, Places

INPUT = "X"
OUTPUT = "Y"
LESS_OR_EQUAL = 0
SUM = 1
ML_OPSET = 5
OPSET = 18
IR_VERSION = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """One tree, node by node, shape (nodes,): where `left` is negative a node is a leaf.

    A value of at most `threshold` goes left, and a missing one where `missing_left` says so; `in_float32` means the
    value rounded to float32. `target` is which output each leaf adds `weight` to.
    """

    left: Places
    right: Places
    feature: Places
    threshold: Matrix
    missing_left: npt.NDArray[np.bool_]
    target: Places
    weight: Matrix
    in_float32: bool

    @property
    def is_leaf(self) -> npt.NDArray[np.bool_]:
        """Return shape (nodes,)."""
        return self.left < 0


def constant_tree(target: int, weight: float) -> Tree:
    """Return a tree that adds one number whatever it is given."""
    return Tree(
        left=np.array([-1]),
        right=np.array([-1]),
        feature=np.array([0]),
        threshold=np.zeros(1),
        missing_left=np.zeros(1, dtype=bool),
        target=np.array([target]),
        weight=np.array([weight]),
        in_float32=False,
    )


def float32_limits(thresholds: Matrix) -> Matrix:
    """Return for each threshold t the largest double d with float32(d) ≤ t, so that x ≤ d is float32(x) ≤ t.

    Holds for every x that is finite as a float32; scikit-learn refuses others.

    >>> limit = float32_limits(np.array([0.8]))[0]
    >>> float(np.float32(limit)) <= 0.8, float(np.float32(np.nextafter(limit, 1))) <= 0.8
    (True, False)
    """
    with np.errstate(over="ignore"):  # a threshold is infinite where only missing values go right
        below = thresholds.astype(np.float32)
        too_high = below.astype(np.float64) > thresholds
        below[too_high] = np.nextafter(below[too_high], np.float32(-np.inf))
        above = np.nextafter(below, np.float32(np.inf))
    middle = below.astype(np.float64) / 2 + above.astype(np.float64) / 2
    middle = np.where(np.isinf(above), np.finfo(np.float64).max, middle)
    # Halfway between two float32, rounding goes to the one whose last bit is zero.
    ends = np.isinf(above)
    rounds_up = np.where(ends, 0.0, middle).astype(np.float32) != below
    return np.where(rounds_up & ~ends, np.nextafter(middle, -np.inf), middle)


def compile_trees(trees: Sequence[Tree], *, n_features: int, n_targets: int) -> bytes:
    """Return an ONNX model (n, n_features) → (n, n_targets) in float64: each target is the sum over trees, in order."""
    attributes = _attributes([_with_a_branch(tree) for tree in trees])
    node = helper.make_node(
        "TreeEnsemble",
        [INPUT],
        [OUTPUT],
        domain="ai.onnx.ml",
        aggregate_function=SUM,
        post_transform=0,
        n_targets=n_targets,
        **attributes,
    )
    graph = helper.make_graph(
        [node],
        "trees",
        [helper.make_tensor_value_info(INPUT, TensorProto.DOUBLE, [None, n_features])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, [None, n_targets])],
    )
    opsets = [helper.make_opsetid("ai.onnx.ml", ML_OPSET), helper.make_opsetid("", OPSET)]
    model: ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="slipway")
    checker.check_model(model)
    found: bytes = model.SerializeToString()
    return found


def _with_a_branch(tree: Tree) -> Tree:
    """Return a tree of a single leaf as a branch whose sides are that leaf: the operator's roots are branches."""
    if len(tree.left) > 1:
        return tree
    return Tree(
        left=np.array([1, -1]),
        right=np.array([1, -1]),
        feature=np.array([0, 0]),
        threshold=np.zeros(2),
        missing_left=np.zeros(2, dtype=bool),
        target=np.repeat(tree.target, 2),
        weight=np.repeat(tree.weight, 2),
        in_float32=False,
    )


def _attributes(trees: Sequence[Tree]) -> dict[str, Any]:
    """Return the operator's attributes; branches and leaves are numbered separately, over all trees."""
    columns: dict[str, list[npt.NDArray[Any]]] = {}
    roots: list[int] = []
    branches = leaves = 0
    for tree in trees:
        is_leaf = tree.is_leaf
        place = np.where(is_leaf, np.cumsum(is_leaf) - 1 + leaves, np.cumsum(~is_leaf) - 1 + branches)
        roots.append(branches)
        for name, values in _rows_of(tree, is_leaf, place).items():
            columns.setdefault(name, []).append(values)
        leaves += int(is_leaf.sum())
        branches += int((~is_leaf).sum())
    joined = {name: np.concatenate(values) for name, values in columns.items()}
    tensors = {
        name: numpy_helper.from_array(joined.pop(name).astype(np.float64), name)
        for name in ("nodes_splits", "leaf_weights")
    }
    modes = numpy_helper.from_array(np.full(branches, LESS_OR_EQUAL, dtype=np.uint8), "nodes_modes")
    lists = {name: values.astype(np.int64).tolist() for name, values in joined.items()}
    return {"tree_roots": roots, "nodes_modes": modes, **lists, **tensors}


def _rows_of(tree: Tree, is_leaf: npt.NDArray[np.bool_], place: Places) -> dict[str, npt.NDArray[Any]]:
    branch = ~is_leaf
    splits = tree.threshold[branch]
    left, right = tree.left[branch], tree.right[branch]
    return {
        "nodes_featureids": tree.feature[branch],
        "nodes_splits": float32_limits(splits) if tree.in_float32 else splits,
        "nodes_truenodeids": place[left],
        "nodes_falsenodeids": place[right],
        "nodes_trueleafs": is_leaf[left],
        "nodes_falseleafs": is_leaf[right],
        "nodes_missing_value_tracks_true": tree.missing_left[branch],
        "leaf_targetids": tree.target[is_leaf],
        "leaf_weights": tree.weight[is_leaf],
    }
