"""One protocol, three readers: the fast decoder, the slow lane's parsing, and MLflow's own scoring server agree.

MLflow's scoring server gives its model a frame, an array or a dictionary, or refuses: that is the truth here. The lane
accepts exactly what it accepts, and hands on the same rows; the decoder, wherever it takes a request, makes the same of
it.
"""

import logging
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st
from mlflow.pyfunc.scoring_server import invocations

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.content_type import CSV, JSON, PARQUET, BodyKind
from slipway.serving.protocols.mlflow.decoding import compile_decoder
from slipway.serving.protocols.mlflow.forms import INVOCATIONS
from slipway.serving.protocols.mlflow.parquet import compile_parquet_decoder
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.understood import Understood
from slipway.serving.slow_lane.mlflow_parsing import judge
from slipway.serving.table import Table, is_of_columns
from tests.generators.probe import told
from tests.generators.scoring_requests import (
    MARKS,
    Case,
    Dice,
    any_body,
    any_case,
    any_csv,
    any_features,
    any_model,
    any_parquet,
    case,
)

# A long run, of other requests each time: SLIPWAY_EXAMPLES=20000 python -m pytest tests/contract/test_scoring_agrees.py
EXAMPLES = int(os.environ.get("SLIPWAY_EXAMPLES", "300"))
SEEDS = st.integers(0, 2**63)
pytestmark = pytest.mark.filterwarnings("ignore")
thoroughly = settings(max_examples=EXAMPLES, deadline=None, derandomize="SLIPWAY_EXAMPLES" not in os.environ)


@pytest.fixture(autouse=True, scope="module")
def quiet() -> None:
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)


@thoroughly
@given(SEEDS)
def test_json_is_read_alike(seed: int):
    """Requests of every shape, to models with columns, with tensors and without a signature."""
    dice = Dice(seed)
    model = any_model(dice)
    body = any_body(dice, model)
    note(f"{model.signature} {body!r}")
    theirs = of_mlflow(model, body, JSON)
    decoder = compile_decoder(model.signature)
    all_agree(model, theirs, of_lane(model, body, BodyKind.JSON), decoder.decode(body) if decoder else None)


@thoroughly
@given(SEEDS)
def test_features_are_read_alike(seed: int):
    """The plain form `/predict` means a request of MLflow's: what that becomes, these become; others are refused."""
    dice = Dice(seed)
    model = any_model(dice)
    body, meant = any_features(dice, model)
    note(f"{model.signature} {body!r} {meant!r}")
    theirs = of_mlflow(model, meant, JSON) if meant else None
    decoder = compile_decoder(model.signature)
    all_agree(
        model, theirs, of_lane(model, body, BodyKind.FEATURES), decoder.decode_features(body) if decoder else None
    )


@thoroughly
@given(SEEDS)
def test_csv_is_read_alike(seed: int):
    """CSV files are for the lane alone."""
    dice = Dice(seed)
    model = any_model(dice)
    body = any_csv(dice, model)
    note(f"{model.signature} {body!r}")
    all_agree(model, of_mlflow(model, body, CSV), of_lane(model, body, BodyKind.CSV), None)


@thoroughly
@given(SEEDS)
def test_parquet_is_read_alike(seed: int):
    """Parquet files have a fast path of their own, in the lane."""
    dice = Dice(seed)
    model = any_case(dice)
    body = any_parquet(dice, model)
    decoder = compile_parquet_decoder(model.signature)
    theirs = of_mlflow(model, body, PARQUET)
    all_agree(model, theirs, of_lane(model, body, BodyKind.PARQUET), decoder.decode(body) if decoder else None)


@thoroughly
@given(SEEDS, st.sampled_from(BodyKind))
def test_no_refusal_repeats_what_was_sent(seed: int, kind: BodyKind):
    """Marks in values and keys of wrong requests never come back: not in the message, the code or the hint."""
    dice = Dice(seed, is_marked=True)
    model = any_case(dice) if kind is BodyKind.PARQUET else any_model(dice)
    body = {
        BodyKind.JSON: lambda: any_body(dice, model),
        BodyKind.FEATURES: lambda: any_features(dice, model)[0],
        BodyKind.CSV: lambda: any_csv(dice, model),
        BodyKind.PARQUET: lambda: any_parquet(dice, model),
    }[kind]()
    note(f"{model.signature} {body!r}")
    try:
        judge(model.stored, body, kind)
    except InvalidInput as refusal:
        event("refused")
        told = str(refusal.to_document())
        assert not any(mark in told for mark in MARKS), told


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
        is_ours = INVOCATIONS.kind(header.encode()) is not None
    except InvalidInput:
        is_ours = False
    assert is_ours == is_theirs


def of_mlflow(case: Case, body: bytes, content_type: str) -> tuple[Any, Any] | None:
    """Return what MLflow's scoring server gives its model; `None` where it refuses."""
    model, recorder = case.model()
    try:
        invocations(body, content_type, model, case.metadata.get_input_schema())
    except Exception:
        return None
    return recorder.given[0]


def of_lane(case: Case, body: bytes, kind: BodyKind) -> Understood | None:
    """Return what the lane makes of the request; `None` where it refuses."""
    try:
        return judge(case.stored, body, kind)
    except InvalidInput:
        return None


def all_agree(case: Case, theirs: tuple[Any, Any] | None, judged: Understood | None, plain: Understood | None) -> None:
    """Fail unless lane and decoder give a model what MLflow gave it; the decoder may leave a request to the lane."""
    event("plain" if plain else "accepted" if judged else "refused")
    assert (theirs is None) == (judged is None)
    if theirs is None or judged is None:
        assert plain is None
        return
    given, params = theirs
    assert judged.params == params
    if case.signature is None or not is_of_columns(case.signature):
        assert told(handed_on(case, judged)) == told(given)
        return
    columns = Columns.of(case.fields)
    assert told(columns.frame(judged.rows)) == told(given)
    if plain:
        assert told(columns.frame(plain.rows)) == told(given)
        assert_same_table(plain.rows, judged.rows)
        assert (plain.params, plain.method) == (judged.params, judged.method)
        assert judged.form is None


def handed_on(case: Case, judged: Understood) -> Any:
    """Return what a model is given when `PyFuncModel` predicts what the lane hands on."""
    model, recorder = case.model()
    model.predict(judged.rows.read(), judged.params)
    return recorder.given[0][0]


def assert_same_table(one: Table, other: Table | None) -> None:
    """Fail unless both hold the same values of the same types, the sign of zero and the kind of missing included."""
    assert other is not None
    assert one.numbers.dtype == other.numbers.dtype == np.float64
    assert one.numbers.shape == other.numbers.shape
    assert one.numbers.tobytes() == other.numbers.tobytes() or same_floats(one.numbers, other.numbers)
    assert list(one.others) == list(other.others)
    assert one.absent == other.absent
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
