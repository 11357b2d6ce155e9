"""A model that refuses a request is no model that failed: MLflow's scoring server says whose fault it was."""

import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow.pyfunc
import pandas as pd
import pydantic
import pytest
from mlflow.exceptions import ERROR_CODE_TO_HTTP_STATUS, MlflowException, RestException
from mlflow.models import ModelSignature, infer_signature
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression

from tests.servers.side_by_side import SideBySide, side_by_side

# A model's process knows nothing of tests: the classes are stored themselves, not their names.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
SECRET = "s3cret"
STATUS_OF = {**ERROR_CODE_TO_HTTP_STATUS, "RESOURCE_EXHAUSTED": 503, "REQUEST_LIMIT_EXCEEDED": 503}
FAILS = 500
OF_A_SERVER, OF_ITS_OWN = -1, -2


class Refusing(mlflow.pyfunc.PythonModel):
    """Raises what the request says, of MLflow's code and in words of its own."""

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> list[int]:
        code = params["code"]
        if code == OF_A_SERVER:
            raise RestException({"error_code": "PERMISSION_DENIED", "message": "of a server that the model asks"})
        if code == OF_ITS_OWN:
            raise ValueError("a fault of its own")
        raise MlflowException(f"q has no such feature {'x' * 1000}", error_code=code)


class Part(pydantic.BaseModel):
    """A part of a message, whose field has another name in JSON."""

    text: str = pydantic.Field(alias="content")


class Message(pydantic.BaseModel):
    """What a model may say that it takes."""

    role: str
    parts: list[Part] = []


class Texts(mlflow.pyfunc.PythonModel):
    """Takes texts."""

    def predict(self, model_input: list[str]) -> list[str]:
        return [each.upper() for each in model_input]


class Times(mlflow.pyfunc.PythonModel):
    """Takes times, which JSON has as text."""

    def predict(self, model_input: list[datetime.datetime]) -> list[int]:
        return [each.year for each in model_input]


class Blobs(mlflow.pyfunc.PythonModel):
    """Takes bytes, which JSON has as base64."""

    def predict(self, model_input: list[bytes]) -> list[int]:
        return [len(each) for each in model_input]


class Messages(mlflow.pyfunc.PythonModel):
    """Takes pydantic's models."""

    def predict(self, model_input: list[Message]) -> list[str]:
        return [each.role for each in model_input]


class Counts(mlflow.pyfunc.PythonModel):
    """Takes mappings of whole numbers."""

    def predict(self, model_input: list[dict[str, int]]) -> list[int]:
        return [sum(each.values()) for each in model_input]


class Rows(mlflow.pyfunc.PythonModel):
    """Answers requests without rows, too."""

    def predict(self, context: Any, model_input: pd.DataFrame) -> list[float]:
        return [float(each) for each in model_input["a"]]


def saved(folder: Path, model: Any, **more: Any) -> Path:
    """Store a model of somebody's own."""
    mlflow.pyfunc.save_model(str(folder), python_model=model, pip_requirements=[], **more)
    return folder


REFUSING = ModelSignature(inputs=Schema([ColSpec("string", "q")]), params=ParamSchema([ParamSpec("code", "long", 0)]))


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SideBySide]:
    """Return a model of somebody's own that refuses, in a process of its own."""
    place = tmp_path_factory.mktemp("refusing")
    with side_by_side(saved(place / "model", Refusing(), signature=REFUSING)) as both:
        assert both.loaded.runner.report.kind == "isolated"
        yield both


@pytest.mark.parametrize("code", sorted(ERROR_CODE_TO_HTTP_STATUS))
def test_a_model_says_by_mlflows_codes_whose_fault_it_was(refusing: SideBySide, code: str):
    """Its own words are told, as far as they are short, and nothing of the request; what it fails on is ours to log."""
    body = json.dumps({"dataframe_records": [{"q": SECRET}], "params": {"code": ErrorCode.Value(code)}}).encode()
    theirs, ours = refusing.theirs(body), refusing.ours(body)
    expected = STATUS_OF[code] if STATUS_OF[code] in (400, 401, 403, 404, 409, 503, 504) else FAILS
    assert theirs.status == ERROR_CODE_TO_HTTP_STATUS[code]
    assert ours.status == {401: 403, 504: 503}.get(expected, expected)
    said = ours.document["error"]
    assert SECRET not in str(said)
    if ours.status == FAILS:
        assert said["code"] == "model-failed"
    else:
        assert said["code"] == "model-refused"
        assert said["message"].startswith("the model refuses the request: q has no such feature xxx")
        assert len(said["message"]) < 400


@pytest.mark.parametrize("code", [OF_A_SERVER, OF_ITS_OWN])
def test_what_goes_wrong_inside_a_model_is_its_failure(refusing: SideBySide, code: int):
    """A server that the model asks refuses the model, not the caller; other errors are faults of its own."""
    body = json.dumps({"dataframe_records": [{"q": SECRET}], "params": {"code": code}}).encode()
    assert refusing.ours(body).document["error"]["code"] == "model-failed"


HINTED = {
    Texts: ([["a", "b"], []], [[5], 5, [None], [SECRET, 31415926]], "its input is of type list[str]"),
    Times: ([["2026-01-01", "2026-01-01T10:00:00"]], [[SECRET], [5]], "its input is of type"),
    Blobs: ([["eHl6"], ["eHl6\n"]], [[5], ["abcde"]], "its input is of type"),
    Messages: (
        [[{"role": "user"}], [{"role": "user", "parts": [{"content": "x"}]}]],
        [[{}], [{"role": 5}], [{"role": SECRET, "parts": [{SECRET: 1}]}], [SECRET], [{"role": "u", SECRET: 31415926}]],
        "its input is of type list[Message]",
    ),
    Counts: ([[{"a": 1}]], [[{"a": SECRET}], [{SECRET: "x"}], [5]], "its input is of type list[dict[str, int]]"),
}


@pytest.mark.parametrize(("kind", "shipped"), [*((kind, False) for kind in HINTED), (Messages, True)])
def test_type_hints_are_read_and_refused_as_mlflow_does(kind: type, shipped: bool, tmp_path: Path):
    """What MLflow takes has the same answer here; what it refuses is a caller's mistake, told without what was sent."""
    taken, refused, words = HINTED[kind]
    (tmp_path / "shipped.py").write_text("")
    more = {"code_paths": [str(tmp_path / "shipped.py")]} if shipped else {}
    with side_by_side(saved(tmp_path / "model", kind(), **more)) as both:
        for given in taken:
            body = json.dumps({"inputs": given}).encode()
            assert both.theirs(body).status == 200
            assert both.ours(body) == both.theirs(body)
        for given in refused:
            body = json.dumps({"inputs": given}).encode()
            theirs, ours = both.theirs(body), both.ours(body)
            assert (ours.status == 200) == (theirs.status == 200)
            if ours.status != 200:
                assert (ours.status, ours.document["error"]["code"]) == (400, "model-refused")
                assert words in ours.document["error"]["message"] or given == 5
                assert SECRET not in str(ours.document)
                assert "31415926" not in str(ours.document)


def test_a_refusal_by_hint_names_the_field(tmp_path: Path):
    """Fields that the hint declares are named, by their names in JSON, with pydantic's word for what is wrong."""
    with side_by_side(saved(tmp_path / "model", Messages())) as both:
        refused = both.ours(json.dumps({"inputs": [{"role": "u", "parts": [{"content": 5}]}]}).encode())
        assert "field 'parts.0.content' (string_type)" in refused.document["error"]["message"]


EMPTY = [
    (b'{"dataframe_split": {"columns": ["a"], "data": []}}', "application/json"),
    (b'{"dataframe_records": []}', "application/json"),
    (b'{"instances": []}', "application/json"),
    (b'{"inputs": []}', "application/json"),
    (b'{"inputs": {"a": []}}', "application/json"),
    (b"a\n", "text/csv"),
    (pd.DataFrame({"a": pd.Series([], dtype="float64")}).to_parquet(), "application/vnd.apache.parquet"),
]


@pytest.mark.parametrize("accelerate", [True, False])
def test_a_request_without_rows_is_refused_by_who_needs_them(accelerate: bool, tmp_path: Path):
    """scikit-learn's estimators take no empty table, compiled or not: 400 as by MLflow, in every form."""
    frame = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(frame, [0, 0, 1, 1])
    signature = infer_signature(frame, model.predict(frame))
    mlflow.sklearn.save_model(model, tmp_path / "model", signature=signature, input_example=frame, pip_requirements=[])
    with side_by_side(tmp_path / "model", accelerate=accelerate) as both:
        assert both.loaded.runner.report.kind == ("compiled" if accelerate else "native")
        for body, kind in EMPTY:
            assert (both.theirs(body, kind).status, both.ours(body, kind).status) == (400, 400), body
        assert both.ours(*EMPTY[0]).document["error"]["code"] == "no-rows"


def test_an_estimator_that_needs_no_rows_is_given_none(tmp_path: Path):
    """A constant is answered as often as asked; what is faster refuses, and is not taken for it."""
    frame = pd.DataFrame({"a": [0.0, 1.0], "b": ["x", "y"]})
    model = DummyRegressor().fit(frame, [1.0, 2.0])
    mlflow.sklearn.save_model(
        model, tmp_path / "model", signature=infer_signature(frame, model.predict(frame)), pip_requirements=[]
    )
    with side_by_side(tmp_path / "model") as both:
        assert both.loaded.runner.report.kind == "native"
        assert "requests without rows" in both.loaded.runner.report.reason
        body = b'{"dataframe_split": {"columns": ["a", "b"], "data": []}}'
        assert (both.theirs(body).document, both.ours(body).document) == ({"predictions": []}, {"predictions": []})


@pytest.mark.parametrize("shipped", [False, True])
def test_a_request_without_rows_is_answered_by_who_can(shipped: bool, tmp_path: Path):
    """A model of somebody's own that answers no rows with none does so here."""
    (tmp_path / "shipped.py").write_text("")
    more = {"code_paths": [str(tmp_path / "shipped.py")]} if shipped else {}
    signature = ModelSignature(inputs=Schema([ColSpec("double", "a")]))
    with side_by_side(saved(tmp_path / "model", Rows(), signature=signature, **more)) as both:
        for body, kind in EMPTY:
            theirs, ours = both.theirs(body, kind), both.ours(body, kind)
            assert (ours.status, ours.predictions) == (theirs.status, theirs.predictions)
