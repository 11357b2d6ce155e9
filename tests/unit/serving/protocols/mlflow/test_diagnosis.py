"""How refusals are told: the field, what it takes, and never what was sent."""

import json

import pandas as pd
import pytest
from mlflow.models import Model
from mlflow.types import ParamSpec

from slipway.registry.errors import InvalidInput
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.slow_lane.mlflow_parsing import described, judge
from tests.generators.scoring_requests import Case, case

SECRET = "s3cret"
PERSON = case([("age", "double"), ("n", "long"), ("name", "string?")], ParamSpec("top_k", "long", 3))


def refusal(body: object, of: Case = PERSON, kind: BodyKind = BodyKind.JSON) -> InvalidInput:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(InvalidInput) as raised:
        judge(of.stored, content, kind)
    assert SECRET not in str(raised.value.to_document())
    return raised.value


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"inputs": "s3cret', "the body is not JSON: see line 1, column 12"),
        (b'{"inputs": "\xff"}', "the body is not UTF-8 text: see byte 12"),
        (b"[" * 100_000, "the body is nested too deeply"),
        (
            ["s3cret"],
            "the body must be a JSON object with exactly one of dataframe_split, dataframe_records, instances, inputs",
        ),
        (
            {"s3cret": 1},
            "the body must be a JSON object with exactly one of dataframe_split, dataframe_records, instances, inputs; "
            "it has none of them",
        ),
        (
            {"inputs": [], "instances": []},
            "the body must be a JSON object with exactly one of dataframe_split, dataframe_records, instances, inputs; "
            "it has instances and inputs",
        ),
        ({"dataframe_split": {"columns": ["age", "s3cret"], "data": [[1, 2]]}}, "missing column 'n'"),
        ({"dataframe_split": [SECRET]}, "dataframe_split must be an object with columns and data"),
        ({"dataframe_split": {"data": [], SECRET: 1}}, "dataframe_split takes columns, index and data only"),
        (
            {"dataframe_split": {"columns": ["age", "age", "n"], "data": [[1, 2, 3]]}},
            "dataframe_split.columns names a column twice",
        ),
        (
            {"dataframe_split": {"columns": ["age", "n"], "data": [[1, 2], [1, 2, SECRET]]}},
            "row 2 of dataframe_split.data has 3 values for 2 columns",
        ),
        (
            {"dataframe_split": {"columns": ["age", "n"], "data": [[SECRET]]}},
            "row 1 of dataframe_split.data has 1 value for 2 columns",
        ),
        ({"dataframe_records": {SECRET: 1}}, "dataframe_records must be a list of rows"),
        (
            {"dataframe_records": [{"age": 1, "n": 2}, SECRET]},
            "row 2 of dataframe_records must be an object of column and value",
        ),
        ({"dataframe_records": [{SECRET: 1}]}, "missing columns 'age', 'n'"),
        (
            {"dataframe_records": [{"age": 1, "n": 2}, {"age": SECRET, "n": 2}]},
            "column 'age' takes a number (double); row 2 has text that is no number",
        ),
        (
            {"dataframe_records": [{"age": 1, "n": None}]},
            "column 'n' takes a whole number of 64 bits (long); row 1 has null",
        ),
        ({"instances": [{"age": [SECRET], "n": 1}]}, "column 'age' takes a number (double); row 1 has a list"),
        ({"instances": [{"age": 1, "n": 1}, {"age": 1}]}, "row 2 has no value for 'n'"),
        ({"inputs": {"age": [1, 2], "n": [1]}}, "the columns have different numbers of values"),
        (
            {"inputs": {"age": [1], "n": [2**64]}},
            "column 'n' takes a whole number of 64 bits (long); row 1 has a number out of range",
        ),
        ({"inputs": [[SECRET, 1]]}, "missing columns 'age', 'n'"),
        ({"inputs": [{"age": 1, "n": 2}], "params": {"top_k": SECRET}}, "wrong parameters: 'top_k' takes long"),
        ({"inputs": [{"age": 1, "n": 2}], "params": [SECRET]}, "wrong parameters: params must be an object"),
        (
            {"inputs": [{"age": 1, "n": 2}], "params": {"method": [SECRET]}},
            "the parameter 'method' takes the name of a method",
        ),
    ],
)
def test_a_refusal_names_the_cause(body: object, expected: str):
    """Each cause has its sentence."""
    assert refusal(body).message == expected


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (
            BodyKind.CSV,
            b"age,n\ns3cret,1\n",
            "column 'age' takes a number (double); row 1 has text that is no number",
        ),
        (BodyKind.CSV, b"age,s3cret\n1,1\n", "missing column 'n'"),
        (BodyKind.CSV, b"", "the body is not a file of this type with a header of column names"),
        (BodyKind.PARQUET, b"s3cret", "the body is not a file of this type with a header of column names"),
        (
            BodyKind.PARQUET,
            pd.DataFrame({"age": [1.0], "n": [1.5], "s3cret": ["s3cret"]}).to_parquet(),
            "column 'n' takes a whole number of 64 bits (long); some rows have something else",
        ),
    ],
)
def test_a_refused_file_has_its_cause_named_too(kind: BodyKind, body: bytes, expected: str):
    """Files are told of like JSON."""
    assert refusal(body, kind=kind).message == expected


def test_the_hint_says_what_the_model_takes():
    """Not all of a wide signature, but how much more there is."""
    wide = case([(f"c{i}", "double") for i in range(20)])
    assert refusal({"inputs": []}).hint == "the model takes age (double), n (long), name (string, optional)"
    assert refusal({"inputs": []}, wide).hint.endswith("c11 (double) and 8 more")


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ([1], "row 1 of features has 1 value; the model takes 3: age, n, name"),
        ([], "features must be a row or a list of rows, and not empty"),
        (SECRET, "features must be a row or a list of rows, and not empty"),
        ([[1, 2, "x"], {"age": 1}], "features mixes values, lists and objects"),
        ([[1, 2, "x"], [1, 2]], "row 2 of features has 2 values; the model takes 3: age, n, name"),
        ([SECRET, 2, "x"], "column 'age' takes a number (double); row 1 has text that is no number"),
    ],
)
def test_wrong_features_are_told_likewise(features: object, expected: str):
    """`/predict` has its own form, and the same sentences."""
    with pytest.raises(InvalidInput) as raised:
        judge(PERSON.stored, json.dumps({"features": features}).encode(), BodyKind.FEATURES)
    assert raised.value.message == expected
    assert SECRET not in str(raised.value.to_document())


def test_a_body_of_predict_has_no_other_keys():
    """A misspelt key is not passed over."""
    for body, expected in (
        (b'{"rows": []}', "the key features"),
        (b'{"features": [1], "z": 1}', "features and params only"),
    ):
        with pytest.raises(InvalidInput, match=expected):
            judge(PERSON.stored, body, BodyKind.FEATURES)


def test_features_of_a_model_without_a_signature_are_its_inputs():
    """Where there are no columns, the model is given what stands in `features`."""
    unsigned = described(Model(), None)
    judged = judge(unsigned, b'{"features": [[1.5], [2]]}', BodyKind.FEATURES)
    assert judged.rows.read().tolist() == [[1.5], [2.0]]


DATED = case([("a", "double"), ("when", "datetime"), ("blob", "binary"), ("n", "integer")])
FITTING = {"a": 1.0, "when": "2026-01-01", "blob": "eHl6", "n": 1}
ZONED, TOO_LARGE, NOT_ASCII = "2026-01-01T10:00:00+02:00", "1" * 30, "s3cret ä"


def forms(column: str, value: object) -> list[dict[str, object]]:
    """Return two rows with a value in every form of a request."""
    row = {**FITTING, column: value}
    columns = {name: [each, each] for name, each in row.items()}
    return [
        {"dataframe_split": {"columns": list(row), "data": [list(row.values())] * 2}},
        {"dataframe_records": [row, row]},
        {"instances": [row, row]},
        {"inputs": columns},
        {"inputs": row},
    ]


@pytest.mark.parametrize("value", [ZONED, "tomorrow s3cret", [1], "9999999-01-01"])
def test_a_date_that_is_refused_has_its_column_named(value: object):
    """Whatever MLflow says of it, in each form in which it refuses it: often it names a value, and no column."""
    told = [refusal(body, DATED).message for body in forms("when", value) if is_refused(body)]
    assert told
    assert all(message.startswith("column 'when' takes a date and time without a zone") for message in told), told


@pytest.mark.parametrize(("column", "value"), [("blob", "abc"), ("blob", NOT_ASCII), ("n", TOO_LARGE), ("blob", [1])])
def test_bytes_and_numbers_that_are_refused_have_their_column_named(column: str, value: object):
    """Base64 that is none, letters that are no bytes, numbers of too many digits."""
    told = [refusal(body, DATED).message for body in forms(column, value) if is_refused(body)]
    assert told
    assert all(message.startswith(f"column '{column}' takes") for message in told), told


@pytest.mark.parametrize(
    ("content", "kind", "column"),
    [
        (b"a,when,blob,n\n1,2026-01-01,x,1\n", BodyKind.CSV, "when"),
        (pd.DataFrame([FITTING]).assign(when=pd.Timestamp(ZONED)).to_parquet(), BodyKind.PARQUET, "when"),
        (pd.DataFrame([FITTING]).assign(n=1.5, when=pd.Timestamp(0)).to_parquet(), BodyKind.PARQUET, "n"),
    ],
)
def test_a_file_that_is_refused_has_its_column_named(content: bytes, kind: BodyKind, column: str):
    """Dates in CSV, zones in Parquet, a type that is another."""
    assert refusal(content, DATED, kind).message.startswith(f"column '{column}' takes")


@pytest.mark.parametrize("content", [b"ok,n\n7s3cret,1\n", b"ok,n\ntrue,1.5\n"])
def test_csv_that_pandas_cannot_read_by_type_has_its_column_named(content: bytes):
    """Its error names a value at most."""
    column = "n" if b"true" in content else "ok"
    assert refusal(content, case([("ok", "boolean"), ("n", "long")]), BodyKind.CSV).message.startswith(
        f"column '{column}' takes"
    )


def test_a_large_request_is_not_read_again_for_the_reason():
    """Who sends what is refused should not keep others waiting."""
    rows = [{**FITTING, "when": "tomorrow"}] * 20_000
    assert refusal({"inputs": rows}, DATED).message == "the request does not fit the model's signature"


def is_refused(body: object) -> bool:
    """Return whether MLflow refuses a request to the dated model: not every form judges every value."""
    try:
        judge(DATED.stored, json.dumps(body).encode(), BodyKind.JSON)
    except InvalidInput:
        return True
    return False
