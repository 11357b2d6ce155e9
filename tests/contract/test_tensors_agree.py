"""A request over tensors means what the same rows mean in MLflow's protocol: MLflow's scoring server is the truth.

By one tensor for each column or one matrix of all, in JSON or as bytes: the compiled mapping, wherever it takes a
request, and the slow lane, for all, give a model what MLflow's server gives it, or refuse what it refuses.
"""

import logging
import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.content_type import JSON, BodyKind
from slipway.serving.protocols.oip.mapping import TensorMapping
from slipway.serving.protocols.oip.messages import FIELD_OF, read_message
from slipway.serving.protocols.oip.request import Asked, read_request
from slipway.serving.runtimes.understood import Understood
from tests.contract.test_scoring_agrees import all_agree, of_lane, of_mlflow, told
from tests.generators.scoring_requests import Case, Dice, any_case, any_tensors
from tests.generators.tensor_requests import Column, any_arrays, any_columns, any_matrix, body_of, message_of

# A long run, of other requests each time: SLIPWAY_EXAMPLES=20000 python -m pytest tests/contract/test_tensors_agree.py
EXAMPLES = int(os.environ.get("SLIPWAY_EXAMPLES", "200"))
SEEDS = st.integers(0, 2**63)
pytestmark = pytest.mark.filterwarnings("ignore")
thoroughly = settings(max_examples=EXAMPLES, deadline=None, derandomize="SLIPWAY_EXAMPLES" not in os.environ)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> None:
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


@thoroughly
@given(SEEDS)
def test_a_tensor_for_each_column_means_those_rows(seed: int):
    """In any order and datatype, optional ones left out, with missing values where JSON has them."""
    dice = Dice(seed)
    model = any_case(dice)
    columns, body = any_columns(dice, model)
    require_same(model, columns, body)


@thoroughly
@given(SEEDS)
def test_a_matrix_means_those_rows(seed: int):
    """Its columns are the signature's, in their order."""
    dice = Dice(seed)
    model = any_case(dice)
    columns, body = any_matrix(dice, model, TensorMapping(model.signature).matrix.name)
    require_same(model, columns, body)


@thoroughly
@given(SEEDS)
def test_tensors_of_a_signature_are_those_arrays(seed: int):
    """With names and without."""
    dice = Dice(seed)
    model = any_tensors(dice)
    mapping = TensorMapping(model.signature)
    columns, body = any_arrays(dice, model, [each.name for each in mapping.specs])
    asked = read(mapping, columns)
    theirs = of_mlflow(model, body, JSON)
    all_agree(model, theirs, of_lane(model, mapping.document(asked), BodyKind.JSON), mapping.plain(asked))
    if (arrays := mapping.arrays(asked)) is not None:
        event("as they are")
        assert theirs is not None
        assert told(given_to(model, arrays)) == told(theirs[0])


@thoroughly
@given(SEEDS)
def test_messages_mean_what_bytes_and_json_do(seed: int):
    """Raw tensors are those of bytes, typed ones of JSON with texts as bytes: by the tests above, MLflow's rows."""
    dice = Dice(seed)
    model = any_case(dice)
    columns, _ = any_columns(dice, model)
    mapping = TensorMapping(model.signature)
    binary = [replace(each, is_binary=True) for each in columns]
    typed = [replace(each, is_binary=each.datatype == "BYTES") for each in columns]
    has_missing = any(value is None for each in columns for value in each.values)
    if not has_missing:
        require_same_asked(mapping, read_message(message_of(binary, is_raw=True), mapping.names), binary)
    if not has_missing and all(each.datatype in FIELD_OF for each in columns):
        event("typed")
        require_same_asked(mapping, read_message(message_of(typed, is_raw=False), mapping.names), typed)


def require_same_asked(mapping: TensorMapping, asked: Asked, columns: list[Column]) -> None:
    """Fail unless a message is understood as the same tensors are over REST, also as a request of MLflow's."""
    expected = read(mapping, columns)
    assert told(mapping.plain(asked)) == told(mapping.plain(expected))
    assert mapping.document(asked) == mapping.document(expected)


def require_same(model: Case, columns: list[Column], body: bytes) -> None:
    """Fail unless tensors are understood as a body is by MLflow."""
    note(f"{model.signature} {columns} {body!r}")
    mapping = TensorMapping(model.signature)
    asked = read(mapping, columns)
    judged = of_lane(model, mapping.document(asked), BodyKind.JSON)
    all_agree(model, of_mlflow(model, body, JSON), judged, plain_of(mapping, asked))


def plain_of(mapping: TensorMapping, asked: Asked) -> Understood | None:
    """Return what the compiled mapping makes of a request."""
    plain = mapping.plain(asked)
    event("plain" if plain else "for the lane")
    return plain


def read(mapping: TensorMapping, columns: list[Column]) -> Asked:
    """Return the request that these tensors are."""
    body, json_bytes = body_of(columns)
    try:
        return read_request(body, json_bytes, mapping.names)
    except InvalidInput as refusal:
        raise AssertionError(refusal.message) from refusal


def given_to(model: Case, arrays: Any) -> Any:
    """Return what a model is given when `PyFuncModel` predicts for arrays."""
    theirs, recorder = model.model()
    theirs.predict(arrays)
    return recorder.given[0][0]
