"""Which estimators a safe format may hold: all that scikit-learn has, since somebody looked at each, and no others."""

from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
from sklearn.utils import all_estimators

from slipway.registry.gate.safety.reviewed_estimators import REVIEWED_ESTIMATORS
from slipway.registry.gate.safety.skops_nodes import Node
from slipway.registry.gate.safety.skops_places import strange_values


def test_every_estimator_of_scikit_learn_is_reviewed():
    """Before a new one is listed, somebody reads it and runs `-m tests.generators.mutated_models 0 1000 NAME`."""
    installed = {f"{kind.__module__}.{kind.__qualname__}" for _, kind in all_estimators()}
    assert installed == REVIEWED_ESTIMATORS


def test_an_estimator_that_nobody_looked_at_is_unreviewed_wherever_it_is():
    """As the model itself, and as a step of one."""
    new = Node(kind="ObjectNode", type="sklearn.linear_model._new.NewRegressor")
    steps = Node(kind="ListNode", type="builtins.list", parts=(("0", new),))
    state = Node(kind="DictNode", type="builtins.dict", parts=(("estimators_", steps),))
    around = Node(kind="ObjectNode", type="sklearn.ensemble._bagging.BaggingRegressor", parts=(("state", state),))
    said = f"an object of {new.type}, of which nobody has looked at what it does with any numbers"
    assert list(strange_values(new)) == [f"NewRegressor is {said}"]
    assert list(strange_values(around)) == [f"BaggingRegressor.estimators_[0] is {said}"]
