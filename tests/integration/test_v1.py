"""The V1 protocol on real connections: rows, columns, versions, and what is told of a model."""

import json
from typing import Any

import pytest

from tests.doubles.serving_stand_ins import Adding, engine_with, loaded
from tests.servers.http_worker import ask, listening

PREDICT = "/v1/models/cancer:predict"


def said(port: int, path: str, content: Any = None) -> tuple[int, Any, dict[str, str]]:
    """Return status, document and headers."""
    body = None if content is None else json.dumps(content).encode()
    status, headers, answer = ask(port, "GET" if body is None else "POST", path, body)
    return status, json.loads(answer), headers


def test_rows_and_columns_are_answered_in_their_words():
    """`instances` as lists or objects have `predictions`, `inputs` has `outputs`; who made it is in the headers."""
    candidate = loaded(number=1, runner=Adding(), variant="candidate")
    with listening(engine_with(loaded(number=2, runner=Adding()), candidate)[0]) as (port, _, _):
        assert said(port, PREDICT, {"instances": [[1, 2], [3.0, 4]]})[1] == {"predictions": [3.0, 7.0]}
        assert said(port, PREDICT, {"instances": [{"b": 2, "a": 1}]})[1] == {"predictions": [3.0]}
        told = {"inputs": {"a": [1, 3], "b": [2, 4]}, "signature_name": "serving_default"}
        assert said(port, PREDICT, told)[1] == {"outputs": [3.0, 7.0]}
        for number in "12":
            path = f"/v1/models/cancer/versions/{number}{':predict'}"
            assert said(port, path, {"instances": [[1, 2]]})[2]["x-slipway-version"] == number


def test_a_models_state_is_told_in_both_forms():
    """TensorFlow Serving's and KServe's."""
    with listening(engine_with(loaded(number=2), loaded(number=1, variant="candidate"))[0]) as (port, _, _):
        assert said(port, "/")[1] == {"status": "alive"}
        assert said(port, "/v1/models")[1] == {"models": ["cancer"]}
        status, told, _ = said(port, "/v1/models/cancer")
        one = said(port, "/v1/models/cancer/versions/1")[1]
    assert (status, told["name"], told["ready"]) == (200, "cancer", True)
    assert [each["version"] for each in told["model_version_status"]] == ["2", "1"]
    assert [(each["version"], each["state"]) for each in one["model_version_status"]] == [("1", "AVAILABLE")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "either instances (rows) or inputs (columns)"),
        ({"instances": [], "inputs": []}, "either instances (rows) or inputs (columns)"),
        ({"instances": [[1]]}, "row 1 of instances has 1 value; the model takes 2: a, b"),
        ({"instances": [[1, 2]], "s3cret": 1}, "may have the keys"),
        ({"instances": [[1, 2]], "signature_name": "s3cret"}, "one signature"),
        (["s3cret"], "must be a JSON object"),
    ],
)
def test_what_is_no_request_is_told_so(content: Any, words: str):
    """400, as a text, and no echo."""
    with listening(engine_with(loaded(runner=Adding()))[0]) as (port, _, _):
        status, told, _ = said(port, PREDICT, content)
    assert status == 400
    assert words in told["error"]
    assert "s3cret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PREDICT, 405),
        ("POST", "/v1/models/cancer", 405),
        ("GET", "/v1/models/nobody", 404),
        ("GET", "/v1/models/cancer/versions/9", 404),
        ("GET", "/v1/models/cancer/metadata", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/models:predict", 404),
    ],
)
def test_other_paths_are_told_so(method: str, path: str, status: int):
    """In the protocol's shape of errors."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        found, _, content = ask(port, method, path)
    assert found == status
    assert isinstance(json.loads(content)["error"], str)
