"""Tensors as they are sent: what is wrong with one is told by its name, and nothing of it is repeated."""

import contextlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.registry.errors import InvalidInput
from slipway.registry.signature import Field, Signature
from slipway.serving.protocols.oip.mapping import MOST_JUDGED, TensorMapping
from slipway.serving.protocols.oip.request import read_request
from tests.generators.tensor_requests import Column, body_of

FIELDS = (Field(name="age", type="double"), Field(name="plan", type="string"))
MAPPING = TensorMapping(Signature(inputs=FIELDS, outputs=(), params=()))
MATRIX = TensorMapping(Signature(inputs=(FIELDS[0], Field(name="size", type="double")), outputs=(), params=()))
AGE: dict[str, Any] = {"name": "age", "datatype": "FP64", "shape": [2], "data": [1.0, 2.0]}
PLAN: dict[str, Any] = {"name": "plan", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "length": ({"shape": [3]}, "input 'age' has 2 values; its shape [3] holds 3"),
    "negative": ({"shape": [-2]}, "input 'age' needs a shape"),
    "no-shape": ({"shape": None}, "input 'age' needs a shape"),
    "truth": ({"shape": [True]}, "input 'age' needs a shape"),
    "huge": ({"shape": [2**62, 2**62]}, f"input 'age' has 2 values; its shape [{2**62}, {2**62}] holds {2**124}"),
    "huger": ({"shape": [10**400]}, "input 'age' needs a shape"),
    "deep": ({"shape": [1] * 99}, "input 'age' needs a shape"),
    "rank": ({"shape": [1, 2]}, "input 'age' has shape [1, 2]; expected [n] or [n, 1]"),
    "scalar": ({"shape": [], "data": [1.0]}, "input 'age' has shape []; expected [n] or [n, 1]"),
    "rows": ({"shape": [1], "data": [1.0]}, "input 'plan' has shape [2]; expected 1 rows, as input 'age' has"),
    "datatype": ({"datatype": "s3cret"}, "input 'age' has a datatype that is none of BOOL"),
    "no-datatype": ({"datatype": 7}, "input 'age' has a datatype that is none of BOOL"),
    "kind": ({"data": ["s3cret", 1.0]}, "input 'age' is FP64 and takes numbers"),
    "fraction": ({"datatype": "INT8", "data": [1.5, 31415926]}, "input 'age' is INT8 and takes whole numbers"),
    "overflow": ({"datatype": "INT8", "data": [300, 1]}, "input 'age' has a value beyond the range of INT8"),
    "unsigned": ({"datatype": "UINT64", "data": [-1, 1]}, "input 'age' has a value beyond the range of UINT64"),
    "half": ({"datatype": "FP16", "data": [1e6, 1]}, "input 'age' has a value beyond the range of FP16"),
    "digits": ({"data": [10**400, 1]}, "input 'age' has a value beyond the range of FP64"),
    "nested": ({"data": [[1.0], [2.0, 3.0]]}, "input 'age' has data nested otherwise than its shape [2]"),
    "no-data": ({"data": "s3cret"}, "input 'age' needs data"),
    "name": ({"name": "s3cret"}, "inputs[0] has a name that is no input of the model"),
    "twice": ({"name": "plan", "datatype": "BYTES", "data": ["a", "b"]}, "input 'plan' comes twice"),
    "matrix": ({"name": "input-0", "shape": [1, 2]}, "input 'input-0' holds all columns, and comes alone"),
    "memory": ({"parameters": {"shared_memory_region": "s3cret"}}, "input 'age' asks for shared_memory_region"),
    "both": ({"parameters": {"binary_data_size": 16}}, "input 'age' has both data and binary_data_size"),
    "size": ({"parameters": {"binary_data_size": "s3cret"}, "data": ...}, "input 'age' needs binary_data_size to be"),
    "beyond": ({"parameters": {"binary_data_size": 16}, "data": ...}, "input 'age' is cut off"),
}  # fmt: skip


def refusal(content: bytes, json_bytes: int | None = None, mapping: TensorMapping = MAPPING) -> str:
    """Return why a request is refused."""
    with pytest.raises(InvalidInput) as caught:
        mapping.plain(read_request(content, json_bytes, mapping.names))
    assert "s3cret" not in str(caught.value.to_document())
    assert "31415926" not in str(caught.value.to_document())
    return caught.value.message


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_tensor_is_told_by_its_name(what: str):
    """With the shape that came and the one expected, and never with a value."""
    changed, words = WRONG[what]
    tensor = {key: value for key, value in {**AGE, **changed}.items() if value is not ...}
    assert refusal(json.dumps({"inputs": [tensor, PLAN]}).encode()).startswith(words)


def test_a_missing_input_is_named():
    """And what the model takes."""
    assert refusal(json.dumps({"inputs": [AGE]}).encode()) == "missing inputs 'plan'"
    assert refusal(b'{"inputs":[]}') == "the request has no inputs"


def test_a_matrix_has_a_column_for_each():
    """Its shape is told, and the one expected."""
    matrix = {"name": "input-0", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}
    words = refusal(json.dumps({"inputs": [matrix]}).encode(), mapping=MATRIX)
    assert words == "input 'input-0' has shape [1, 3]; expected [n, 2]"


def test_no_shape_makes_much_of_nothing():
    """A tensor without values that says it has many rows is refused before it is written."""
    free = Signature(inputs=(Field(name="x", type="float64", shape=(-1, -1)),), outputs=(), params=())
    for mapping in (TensorMapping(free), TensorMapping(None)):
        for data in ([], [[]] * 2):
            tensor = {"name": "x", "datatype": "FP64", "shape": [len(data) or 10**18, 0], "data": data}
            asked = read_request(json.dumps({"inputs": [tensor]}).encode(), None, mapping.names)
            with pytest.raises(InvalidInput, match="holds no values"):
                mapping.document(asked)


def test_an_output_is_asked_for_once():
    """Asked for ten thousand times, one of ten thousand rows would be an answer of a hundred million values."""
    document = {"inputs": [], "outputs": [{"name": "predict"}, {"name": "s3cret"}, {"name": "predict"}]}
    assert refusal(json.dumps(document).encode()) == "outputs[2] asks for what outputs[0] asks for"


def test_many_values_of_another_datatype_are_refused():
    """Each takes a byte as it is sent, and a hundred where it is written as text."""
    tensor = Column(name="age", datatype="BOOL", shape=[MOST_JUDGED + 1], values=[True], is_binary=True)
    head = {**tensor.document(), "parameters": {"binary_data_size": MOST_JUDGED + 1}}
    content = json.dumps({"inputs": [head]}).encode()
    mapping = TensorMapping(Signature(inputs=FIELDS[:1], outputs=(), params=()))
    asked = read_request(content + b"\1" * (MOST_JUDGED + 1), len(content), mapping.names)
    with pytest.raises(InvalidInput, match="are more than"):
        mapping.document(asked)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"inputs":7}', b'{"inputs":[7]}', b'{"inputs":[{}]}', b"\xff", b"[" * 100_000, b'{"id":1}'],
)
def test_what_is_no_request_is_refused(body: bytes):
    """By its place, whatever it is."""
    refusal(body)


@pytest.mark.parametrize("sent", range(0, 40, 3))
def test_a_binary_request_that_is_cut_off_is_refused(sent: int):
    """At every byte of what follows the JSON."""
    columns = [
        Column(name="age", datatype="FP64", shape=[2], values=[1.0, 2.0], is_binary=True),
        Column(name="plan", datatype="BYTES", shape=[2], values=["basic", "s3cret-plan"], is_binary=True),
    ]
    content, json_bytes = body_of(columns)
    assert json_bytes is not None
    assert "is cut off" in refusal(content[: json_bytes + min(sent, len(content) - json_bytes - 1)], json_bytes)


def test_lengths_that_do_not_fit_are_refused():
    """Of the JSON, of the whole, and of one text among others."""
    plan = {"name": "plan", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 5}}
    head = json.dumps({"inputs": [{**AGE, "shape": [1], "data": [1.0]}, plan]}).encode()
    assert "Inference-Header-Content-Length" in refusal(head, len(head) + 1)
    assert "input 'plan' is cut off: its 1. element" in refusal(head + b"\xff\xff\xff\xffx", len(head))
    assert "6 bytes follow the JSON, and the inputs take 5" in refusal(head + b"\x01\0\0\0xy", len(head))
    assert refusal(head + b"\x01\0\0\0\xff", len(head)) == "input 'plan' has an element that is no text in UTF-8"


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=200), st.integers(0, 220), st.sampled_from(["BYTES", "FP64", "BOOL", "BF16"]), st.integers(0, 4)
)
def test_no_bytes_are_anything_but_read_or_refused(content: bytes, size: int, datatype: str, n_rows: int):
    """Whatever follows the JSON."""
    tensor = {"name": "plan", "datatype": datatype, "shape": [n_rows], "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    with contextlib.suppress(InvalidInput):
        asked = read_request(head + content, len(head), MAPPING.names)
        assert len(asked.tensors[0].values) == n_rows


def test_a_value_is_what_its_datatype_holds():
    """As FP32 in JSON as in a binary tensor; 16 bits of either kind are read."""
    for datatype, expected in (("FP32", float(np.float32(0.1))), ("FP16", float(np.float16(0.1))), ("FP64", 0.1)):
        for is_binary in (False, True):
            column = Column(name="age", datatype=datatype, shape=[1], values=[0.1], is_binary=is_binary)
            assert read_request(*body_of([column]), ["age"]).tensors[0].listed() == [expected]
    half = Column(name="age", datatype="BF16", shape=[1], values=[-2.5], is_binary=True)
    assert read_request(*body_of([half]), ["age"]).tensors[0].listed() == [-2.5]
