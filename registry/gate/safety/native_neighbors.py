"""Neighbours and clusters: trees of points lead to points that are there, and these are as wide as a request's rows."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

CORNERS = {"sklearn.neighbors._kd_tree": 2, "sklearn.neighbors._ball_tree": 1}
WEIGHTED, BY_MATRIX = "MinkowskiDistance", "MahalanobisDistance"
EUCLIDEAN = ("euclidean", "sqeuclidean")
# OpenMP ends the process that asks for more threads than there can be; fitting leaves the number of processors.
MOST_THREADS = 2048


def _point_tree(tree: Any) -> Iterator[str]:
    """Look at a tree of points: each node has its share of them, and its two children share that."""
    if any(each is None for each in (tree.data, tree.idx_array, tree.node_data, tree.node_bounds)):
        yield "lacks one of its arrays"
        return
    data, points, nodes, bounds, _, _, n_nodes, *_, metric, weights = tree.__getstate__()
    n_points, n_features = data.shape
    if not np.array_equal(np.sort(points), np.arange(n_points)):
        wrong = points[(points < 0) | (points >= n_points)]
        yield f"leads to point {wrong[0]} of {n_points}" if len(wrong) else f"does not name each of {n_points} points"
    corners = next(count for module, count in CORNERS.items() if type(tree).__module__ == module)
    if n_nodes != len(nodes) or bounds.shape != (corners, n_nodes, n_features):
        yield f"names {n_nodes} nodes, and has {len(nodes)} with bounds of the shape {bounds.shape}"
        return
    yield from _shares(nodes, n_points)
    yield from _metric(metric, data)
    if weights is not None and weights.shape != (n_points,):
        yield f"has {weights.shape} weights for {n_points} points"


def _shares(nodes: Any, n_points: int) -> Iterator[str]:
    n = len(nodes)
    start, end, is_leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"] != 0
    if not n or start[0] != 0 or end[0] != n_points:
        yield f"does not begin with all of its {n_points} points"
        return
    branches = np.flatnonzero(~is_leaf)
    left, right = 2 * branches + 1, 2 * branches + 2
    beyond = branches[right >= n]
    if len(beyond):
        yield f"leads from node {beyond[0]} to node {2 * beyond[0] + 2} of {n}"
        return
    is_shared = (start[left] == start[branches]) & (end[left] == start[right]) & (end[right] == end[branches])
    is_ordered = (start[left] <= end[left]) & (start[right] <= end[right])
    wrong = branches[~(is_shared & is_ordered)]
    if len(wrong):
        yield f"has a node {wrong[0]} whose points are not those of its two children"


def _metric(metric: Any, data: npt.NDArray[Any]) -> Iterator[str]:
    """Hold a distance to the width of the points; a matrix has to be square, which only its constructor asks."""
    if type(metric).__module__ != "sklearn.metrics._dist_metrics":
        yield f"has a {type(metric).__name__} for its distance"
        return
    _, weights, matrix, *_ = metric.__getstate__()
    n_features = data.shape[1]
    if type(metric).__name__.startswith(WEIGHTED) and len(weights) not in (0, n_features):
        yield f"has a distance with {len(weights)} weights for {n_features} features"
    if type(metric).__name__.startswith(BY_MATRIX) and matrix.shape != (n_features, n_features):
        yield f"has a distance with a matrix of the shape {matrix.shape} for {n_features} features"
    metric._validate_data(data)


def _neighbors(fitted: Any) -> Iterator[str]:
    if "_fit_X" not in vars(fitted):
        return
    shape, wanted = fitted._fit_X.shape, (fitted.n_samples_fit_, fitted.n_features_in_)
    if shape != wanted:
        yield f"keeps points of the shape {shape}, and names {wanted}"
    tree = getattr(fitted, "_tree", None)
    if tree is not None and tree.data.shape != shape:
        yield f"keeps points of the shape {shape}, and a tree of {tree.data.shape}"
    if "_y" in vars(fitted):
        yield from _labels(fitted)


def _labels(fitted: Any) -> Iterator[str]:
    labels = np.asarray(fitted._y)
    if len(labels) != fitted._fit_X.shape[0]:
        yield f"has {len(labels)} labels for {fitted._fit_X.shape[0]} points"
    if "classes_" not in vars(fitted):
        return
    several = isinstance(fitted.classes_, list)
    columns = labels.T if several else [labels.ravel()]
    for classes, column in zip(fitted.classes_ if several else [fitted.classes_], columns, strict=True):
        wrong = column[(column < 0) | (column >= len(classes))]
        if len(wrong):
            yield f"has the label {wrong[0]} of {len(classes)}"


def _voters(fitted: Any) -> Iterator[str]:
    """Count the neighbours whose votes compiled code counts; scikit-learn does so elsewhere, and not there."""
    if "_fit_X" in vars(fitted) and fitted.n_neighbors > fitted.n_samples_fit_:
        yield f"asks for {fitted.n_neighbors} neighbours of {fitted.n_samples_fit_} points"


def _counts_columns(fitted: Any) -> Iterator[str]:
    """Refuse the one way in which scikit-learn (1.9) compares rows without counting their columns before."""
    is_euclidean = fitted.metric in EUCLIDEAN or (fitted.metric == "minkowski" and fitted.p == 2)
    is_asked_at_once = getattr(fitted, "_fit_method", None) == "brute" and not fitted.outputs_2d_
    if is_asked_at_once and fitted.weights == "uniform" and not is_euclidean:
        yield (
            f"compares rows of any width with its own by {fitted.metric!r} (fit it with weights='distance' or another "
            "algorithm than 'brute')"
        )


def _clusters(fitted: Any) -> Iterator[str]:
    threads = getattr(fitted, "_n_threads", 1)
    if not isinstance(threads, int) or not 0 < threads <= MOST_THREADS:
        yield f"asks for {threads} threads"
    centers = getattr(fitted, "cluster_centers_", None)
    if centers is not None and (centers.ndim != 2 or centers.shape[1] != fitted.n_features_in_):
        yield f"has centers of the shape {centers.shape} for {fitted.n_features_in_} features"


def _bisected(fitted: Any) -> Iterator[str]:
    waiting = [fitted._bisecting_tree] if "_bisecting_tree" in vars(fitted) else []
    while waiting:
        node = waiting.pop()
        children = [each for each in (node.left, node.right) if each is not None]
        # No row is compared with the center of all, which sparse rows leave in another shape.
        for child in children:
            if np.shape(child.center) != (fitted.n_features_in_,):
                yield f"has a center of the shape {np.shape(child.center)} for {fitted.n_features_in_} features"
        waiting.extend(children)


def _subclusters(fitted: Any) -> Iterator[str]:
    if "subcluster_centers_" not in vars(fitted):
        return
    shape, n_features = fitted.subcluster_centers_.shape, fitted.n_features_in_
    if len(shape) != 2 or shape[1] != n_features:
        yield f"has centers of the shape {shape} for {n_features} features"
    for name in ("_subcluster_norms", "subcluster_labels_"):
        if np.shape(getattr(fitted, name)) != shape[:1]:
            yield f"has {name} of the shape {np.shape(getattr(fitted, name))} for {shape[0]} centers"


NEIGHBORS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    **{f"{module}.BinaryTree{bits}": _point_tree for module in CORNERS for bits in (64, 32)},
    "sklearn.neighbors._base.NeighborsBase": _neighbors,
    "sklearn.neighbors._classification.KNeighborsClassifier": _voters,
    "sklearn.neighbors._classification.RadiusNeighborsClassifier": _counts_columns,
    "sklearn.cluster._kmeans._BaseKMeans": _clusters,
    "sklearn.cluster._bisect_k_means.BisectingKMeans": _bisected,
    "sklearn.cluster._birch.Birch": _subclusters,
}
