"""A request of the V1 protocol means what the same rows mean in MLflow's: MLflow's scoring server is the truth."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from slipway.serving.protocols.mlflow.content_type import JSON, BodyKind
from slipway.serving.protocols.mlflow.decoding import compile_decoder
from slipway.serving.protocols.v1.requests import as_invocation
from tests.contract.test_scoring_agrees import all_agree, of_lane, of_mlflow
from tests.generators.scoring_requests import Case, Dice, any_case
from tests.generators.tensor_requests import any_columns

pytestmark = pytest.mark.filterwarnings("ignore")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 2**63))
def test_rows_and_columns_mean_those_of_mlflow(seed: int):
    """Rows as lists are those of `dataframe_split` in the signature's order; objects and columns are MLflow's own."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    dice = Dice(seed)
    model = any_case(dice)
    split = json.loads(any_columns(dice, model)[1])["dataframe_split"]
    names, rows = split["columns"], split["data"]
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    columns = {name: [row[name] for row in objects] for name in names}
    require_same(model, {"instances": objects}, {"instances": objects}, "predictions")
    require_same(model, {"inputs": columns}, {"inputs": columns}, "outputs")
    if len(names) == len(model.fields):
        ordered = [field.name for field in model.fields]
        lists = [[row[name] for name in ordered] for row in objects]
        require_same(
            model, {"instances": lists}, {"dataframe_split": {"columns": ordered, "data": lists}}, "predictions"
        )


def require_same(model: Case, sent: Any, meant: Any, answer_key: str) -> None:
    """Fail unless a request means what the other means to MLflow."""
    note(f"{model.signature} {sent}")
    asked = as_invocation(json.dumps(sent).encode(), model.signature)
    assert asked.answer_key == answer_key
    theirs = of_mlflow(model, json.dumps(meant).encode(), JSON)
    decoder = compile_decoder(model.signature)
    all_agree(model, theirs, of_lane(model, asked.body, BodyKind.JSON), decoder.decode(asked.body) if decoder else None)
