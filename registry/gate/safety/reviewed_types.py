"""The types beyond those that skops knows which somebody has read: loading them runs no code, whatever is in them."""

from slipway.registry.gate.safety.boosters import BOOSTER_TYPES

# Types that skops cannot know to be harmless and that were read for this list: data holders of scikit-learn in Cython,
# without code that runs on loading; and the boosters, whose own formats are judged by their content. Nothing is added
# because a model has it.
REVIEWED_TYPES = (
    "numpy.dtype",
    "collections.OrderedDict",
    "sklearn.tree._tree.Tree",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.metrics._dist_metrics.ManhattanDistance64",
    "sklearn.metrics._dist_metrics.MinkowskiDistance64",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    # Functions of dates, and what holds their arguments: which, `skops_places` says.
    "functools.partial",
    "operator.attrgetter",
    "numpy.transpose",
    "pandas.to_datetime",
    *BOOSTER_TYPES,
)
