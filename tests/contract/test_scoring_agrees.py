"""One protocol, three readers: the fast decoder, the slow lane's parsing, and MLflow's own scoring server agree."""

import io
import logging
import os
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import invocations

from registry.errors import InvalidInput
from serving.mlflow_parsing import Judged, judge, judge_features
from serving.protocols.content_type import ContentType, content_type
from serving.protocols.decoding import Plain, compile_decoder
from serving.protocols.frames import table_of
from serving.protocols.parquet import compile_parquet_decoder
from serving.table import Table
from tests.scoring_requests import Case, Dice, any_body, any_case, any_features, any_parquet, case

# A long run: SLIPWAY_EXAMPLES=20000 python -m pytest tests/contract/test_scoring_agrees.py
EXAMPLES = int(os.environ.get("SLIPWAY_EXAMPLES", "200"))
SEEDS = st.integers(0, 2**63).map(Dice)
pytestmark = pytest.mark.filterwarnings("ignore")
thoroughly = settings(max_examples=EXAMPLES, deadline=None)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> None:
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


@thoroughly
@given(SEEDS)
def test_what_the_decoder_accepts_the_lane_reads_alike(dice: Dice):
    """A request that takes the fast path gives the table that MLflow's own code would have given."""
    model = any_case(dice)
    body = any_body(dice, model)
    plain = compile_decoder(model.signature).decode(body)
    event("plain" if plain else "not plain")
    note(f"{model.signature.inputs} {body!r}")
    if plain:
        same(plain, judge(model.stored, body, ContentType.JSON))


@thoroughly
@given(SEEDS)
def test_features_are_read_alike(dice: Dice):
    """The same holds for the plain form `/predict`."""
    model = any_case(dice)
    body = any_features(dice, model)
    plain = compile_decoder(model.signature).decode_features(body)
    event("plain" if plain else "not plain")
    note(f"{model.signature.inputs} {body!r}")
    if plain:
        same(plain, judge_features(model.stored, body))


@thoroughly
@given(SEEDS)
def test_parquet_is_read_alike(dice: Dice):
    """The same holds for Parquet files, and the lane refuses those that MLflow refuses."""
    model = any_case(dice)
    body = any_parquet(dice, model)
    plain = compile_parquet_decoder(model.signature).decode(body)
    theirs, ours = of_mlflow(model, body, ContentType.PARQUET), of_lane(model, body, ContentType.PARQUET)
    event("plain" if plain else "accepted" if ours else "refused")
    note(f"{model.signature.inputs} {pq.read_table(io.BytesIO(body)).schema if ours else ''}")
    assert (theirs is None) == (ours is None)
    if plain:
        same(plain, ours)


@thoroughly
@given(SEEDS)
def test_the_lane_accepts_what_mlflow_accepts(dice: Dice):
    """The lane refuses exactly what MLflow's scoring server refuses, and else hands on what it would hand on."""
    model = any_case(dice)
    body = any_body(dice, model)
    theirs, ours = of_mlflow(model, body), of_lane(model, body)
    event("accepted" if theirs else "refused")
    note(f"{model.signature.inputs} {body!r}")
    assert (theirs is None) == (ours is None)
    if theirs and ours:
        frame, params = theirs
        assert_same_table(ours.table, table_of(frame, model.signature))
        assert list(frame.columns) == [f.name for f in model.signature.inputs if f.name in frame.columns]
        assert ours.params == params


@pytest.mark.parametrize(
    "header",
    [
        "application/json",
        "application/json; charset=UTF-8",
        " text/csv ;charset=utf-8",
        "application/vnd.apache.parquet",
        "application/json;",
        "application/json; charset",
        "application/json; charset=latin-1",
        "application/json; format=pandas-split",
        "application/json; charset=utf-8; charset=latin-1",
        "Application/JSON",
        "application/json; Charset=utf-8",
        "text/plain",
        "*/*",
        "",
    ],
)
def test_content_types_are_read_alike(header: str):
    """The headers that we refuse are those that MLflow's server answers with 415."""
    model, _ = case([("a", "double")]).model()
    try:
        is_theirs = invocations(b"a\n1\n", header, model, None).status != 415
    except Exception:
        is_theirs = True
    try:
        is_ours = content_type(header.encode()) is not None
    except InvalidInput:
        is_ours = False
    assert is_ours == is_theirs


def of_mlflow(case: Case, body: bytes, content_type: ContentType = ContentType.JSON) -> tuple[Any, Any] | None:
    """Return what MLflow's scoring server gives its model; `None` where it refuses."""
    model, recorder = case.model()
    try:
        invocations(body, content_type.value, model, case.metadata.get_input_schema())
    except Exception:
        return None
    return recorder.given[0]


def of_lane(case: Case, body: bytes, content_type: ContentType = ContentType.JSON) -> Judged | None:
    """Return what the lane makes of the request; `None` where it refuses."""
    try:
        return judge(case.stored, body, content_type)
    except InvalidInput:
        return None


def same(plain: Plain, judged: Judged) -> None:
    """Fail unless both read the request alike."""
    assert_same_table(plain.table, judged.table)
    assert (plain.params, plain.method) == (judged.params, judged.method)
    assert not judged.is_unwrapped


def assert_same_table(one: Table, other: Table | None) -> None:
    """Fail unless both hold the same values of the same types, the sign of zero and the kind of missing included."""
    assert other is not None
    assert one.numbers.dtype == other.numbers.dtype == np.float64
    assert one.numbers.shape == other.numbers.shape
    assert one.numbers.tobytes() == other.numbers.tobytes() or same_floats(one.numbers, other.numbers)
    assert list(one.others) == list(other.others)
    for name, array in one.others.items():
        assert (array.dtype, array.shape) == (other.others[name].dtype, other.others[name].shape)
        assert [value_of(v) for v in array] == [value_of(v) for v in other.others[name]]


def same_floats(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether floats are equal, with NaN equal to NaN and 0 different from -0."""
    signs = np.isnan(one) | (np.signbit(one) == np.signbit(other))
    return bool(np.array_equal(one, other, equal_nan=True) and signs.all())


def value_of(value: object) -> tuple[str, str]:
    """Return a value's type and text; numpy's texts are texts."""
    kind = "str" if isinstance(value, str) else type(value).__name__
    return kind, str(value) if isinstance(value, str) else repr(value)
