"""Predictions as tensors: every value that `/invocations` would write is there, in JSON as in bytes."""

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.predictions import encode
from slipway.serving.protocols.oip.outputs import AnswerForm, WantedOutput, tensors_of, written
from slipway.serving.protocols.oip.request import read_request

FORM = AnswerForm(model="m", version=3, names={"predict": "predict"})
ARRAYS = (
    np.array([1.5, np.nan, np.inf]),
    np.array([[0.25, 0.75]], np.float32),
    np.array([1, -(2**63), 2**63 - 1]),
    np.array([2**64 - 1], np.uint64),
    np.array([True, False]),
    np.array(["größe", ""]),
    np.array(["a", None], object),
    np.array([], float),
    np.arange(8.0).reshape(2, 2, 2),
    np.arange(3.0).astype(">f8"),
    [1, 2, 3],
    [1, 2.5, None],
    ["x", None],
    [[1], [2]],
    pd.Series([1.0, 2.0]).to_numpy(),
)


@pytest.mark.parametrize("is_binary", [False, True])
@pytest.mark.parametrize("predictions", ARRAYS, ids=repr)
def test_the_values_are_those_of_invocations(predictions: Any, is_binary: bool):
    """Nothing is lost on the way of tensors, whichever form they have."""
    answer = written(AnswerForm(model="m", version=3, names={"predict": "predict"}, is_binary=is_binary), predictions)
    head = json.loads(answer[: answer.json_bytes])
    content = json.dumps({"inputs": head["outputs"]}).encode()
    size = None if answer.json_bytes is None else len(content)
    [tensor] = read_request(content + answer[answer.json_bytes :] if size else content, size, ["predict"]).tensors
    values = [each.decode() if isinstance(each, bytes) else each for each in tensor.listed()]
    assert json.loads(encode(np.array(values, object).reshape(tensor.shape))) == json.loads(encode(predictions))


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [("a", "INT64", (2,)), ("b", "BYTES", (2,))]),
        (pd.Series([1.0], name="label"), [("predict", "FP64", (1,))]),
        ([{"a": 1.0, "b": True}], [("a", "FP64", (1,)), ("b", "BOOL", (1,))]),
        ({"a": [1, 2], "b": 3}, [("a", "INT64", (2,)), ("b", "INT64", (1,))]),
        ([[1], [2, 3]], [("predict", "BYTES", (2,))]),
        ([1, "x"], [("predict", "BYTES", (2,))]),
        ([2**70], [("predict", "BYTES", (1,))]),
        ([Decimal("1.5")], [("predict", "FP64", (1,))]),
        (7, [("predict", "INT64", (1,))]),
    ],
    ids=str,
)
def test_what_is_no_array_has_a_form(predictions: Any, expected: Any):
    """Frames and records have a tensor for each column; what has no common kind is JSON text."""
    assert [(each.name, each.datatype, each.shape) for each in tensors_of(predictions, "predict")] == expected


def test_an_output_that_is_not_there_is_refused():
    """Those that are, are named, and what was asked is not repeated."""
    form = AnswerForm(model="m", version=3, names=FORM.names, wanted=[WantedOutput(name="s3cret", is_binary=False)])
    with pytest.raises(InvalidInput) as caught:
        written(form, np.array([1.0]))
    assert caught.value.message == "outputs[0] names none of the model's outputs: predict"


def test_several_methods_answer_in_one():
    """Each under its own name, in the order in which they are asked."""
    wanted = [WantedOutput(name=name, is_binary=False) for name in ("predict_proba", "predict")]
    form = AnswerForm(
        model="m", version=3, names={"predict": "predict", "predict_proba": "predict_proba"}, wanted=wanted
    )
    told = json.loads(written(form, {"predict": np.array([1]), "predict_proba": np.array([[0.5, 0.5]])}))
    assert [(each["name"], each["data"]) for each in told["outputs"]] == [
        ("predict_proba", [0.5, 0.5]),
        ("predict", [1]),
    ]
