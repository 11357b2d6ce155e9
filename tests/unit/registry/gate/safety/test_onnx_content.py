"""Which ONNX models are known to answer alike: none that draws by chance, wherever in it."""

from pathlib import Path

import onnx
import pytest
from onnx import NodeProto, TensorProto, helper

from slipway.registry.gate.safety.contents import onnx_files

X, Y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
TRAINING = helper.make_node("Dropout", ["x", "half", "yes"], ["y"])
CHANCE = [
    helper.make_node("RandomUniformLike", ["x"], ["y"], seed=1.0),
    helper.make_node("RandomNormalLike", ["x"], ["y"], seed=1.0),
    helper.make_node("RandomUniform", [], ["y"], shape=[1]),
    helper.make_node("RandomNormal", [], ["y"], shape=[1]),
    helper.make_node("Bernoulli", ["x"], ["y"]),
    TRAINING,
]


def known(node: NodeProto, folder: Path) -> bool:
    """Return whether a model of one node is one of known operators."""
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    yes = helper.make_tensor("yes", TensorProto.BOOL, [], [True])
    graph = helper.make_graph([node], "g", [X], [Y], initializer=[half, yes])
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]), path)
    return onnx_files(path) is not None


@pytest.mark.parametrize("node", CHANCE, ids=[node.op_type for node in CHANCE])
def test_what_draws_by_chance_is_not_known_to_be_harmless(node: NodeProto, tmp_path: Path):
    """Its generator goes on from request to request, and may be set to please whoever asks first."""
    assert not known(node, tmp_path)
    inner = helper.make_graph([node], "inner", [], [Y])
    assert not known(helper.make_node("If", ["yes"], ["y"], then_branch=inner, else_branch=inner), tmp_path)


def test_a_dropout_that_is_not_training_is(tmp_path: Path):
    """It passes on what it gets, as other operators do what they always do."""
    assert known(helper.make_node("Dropout", ["x"], ["y"]), tmp_path)
    assert known(helper.make_node("Relu", ["x"], ["y"]), tmp_path)
