"""The Open Inference Protocol on real connections: routes, versions, compression and errors."""

import gzip
import json
import shlex
import shutil
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipway.registry.errors import InvalidInput
from slipway.serving.target import Target
from tests.conftest import missing
from tests.doubles.serving_stand_ins import Adding, engine_with, loaded
from tests.generators.tensor_requests import Column, body_of
from tests.servers.http_worker import LIMIT, ask, listening

PAGE = Path(__file__).parent.parent.parent / "docs" / "protocols.md"
A = Column(name="a", datatype="FP64", shape=[2], values=[1.0, 3.0], is_binary=False)
B = Column(name="b", datatype="FP64", shape=[2], values=[2.0, 4.0], is_binary=False)
BODY = body_of([A, B])[0]
INFER = "/v2/models/cancer/infer"


def said(port: int, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
    """Return status, document and headers."""
    status, found, content = ask(port, "GET" if body is None else "POST", path, body, **headers)
    return status, json.loads(content), found


def test_an_answer_says_what_was_asked_and_who_made_it():
    """The id comes back, the model and its version are named in the body and in the headers."""
    with listening(engine_with(loaded(runner=Adding()))[0]) as (port, _, _):
        status, told, headers = said(port, INFER, json.dumps({**json.loads(BODY), "id": "mine"}).encode())
    assert status == 200
    assert told == {
        "model_name": "cancer",
        "model_version": "1",
        "id": "mine",
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [2], "data": [3.0, 7.0]}],
    }
    assert (headers["x-slipway-model"], headers["x-slipway-version"]) == ("cancer", "1")


def test_columns_a_matrix_and_bytes_are_answered_alike():
    """Also where only some outputs are to be bytes."""
    matrix = Column(name="input-0", datatype="FP32", shape=[2, 2], values=[1, 2, 3, 4], is_binary=True)
    bodies = [body_of([A, B]), body_of([matrix])]
    wants = {"outputs": [{"name": "predict", "parameters": {"binary_data": True}}]}
    with listening(engine_with(loaded(runner=Adding()))[0]) as (port, _, _):
        for body, size in bodies:
            length = {"Inference_Header_Content_Length": str(size)} if size else {}
            assert said(port, INFER, body, **length)[1]["outputs"][0]["data"] == [3.0, 7.0]
        body, _ = body_of([A, B], **wants)
        _, headers, content = ask(port, "POST", INFER, body)
    size = int(headers["inference-header-content-length"])
    assert headers["content-type"] == "application/octet-stream"
    assert json.loads(content[:size])["outputs"][0]["parameters"] == {"binary_data_size": 16}
    assert np.frombuffer(content[size:], "<f8").tolist() == [3.0, 7.0]


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", lambda b: zlib.compress(b)[2:-4])],
)
def test_bodies_are_compressed_both_ways(encoding: str, pack: Any):
    """A small answer is not worth it."""
    many = Column(name="input-0", datatype="FP64", shape=[500, 2], values=[0.5] * 1000, is_binary=False)
    unpack = gzip.decompress if encoding == "gzip" else zlib.decompress
    with listening(engine_with(loaded(runner=Adding()))[0]) as (port, _, _):
        packed = {"Content_Encoding": encoding, "Accept_Encoding": encoding}
        _, headers, content = ask(port, "POST", INFER, pack(body_of([many])[0]), **packed)
        _, small, _ = ask(port, "POST", INFER, BODY, Accept_Encoding=encoding)
        _, unwanted, _ = ask(port, "POST", INFER, body_of([many])[0], Accept_Encoding=f"{encoding};q=0")
    assert headers["content-encoding"] == encoding
    assert json.loads(unpack(content))["outputs"][0]["data"] == [1.0] * 500
    assert "content-encoding" not in small
    assert "content-encoding" not in unwanted


@pytest.mark.parametrize(
    ("status", "code", "body", "headers"),
    [
        (400, "wrong-input", b"{", {}),
        (400, "wrong-input", BODY, {"Content_Encoding": "gzip"}),
        (400, "wrong-input", gzip.compress(BODY, mtime=0)[:-9], {"Content_Encoding": "gzip"}),
        (400, "wrong-input", gzip.compress(BODY, mtime=0) + b"s3cret", {"Content_Encoding": "gzip"}),
        (415, "wrong-content-type", BODY, {"Content_Encoding": "br"}),
        (413, "unpacks-too-large", gzip.compress(b" " * (LIMIT + 1), mtime=0), {"Content_Encoding": "gzip"}),
        (413, "body-too-large", b" " * (LIMIT + 1), {}),
        (400, "wrong-input", BODY, {"Inference_Header_Content_Length": "-1"}),
        (400, "wrong-input", BODY, {"Inference_Header_Content_Length": "99999999999"}),
        (400, "wrong-tensor", BODY.replace(b"FP64", b"FP65"), {}),
        (400, "wrong-input", body_of([A, B], outputs=[{"name": "s3cret"}])[0], {}),
        (400, "unknown-method", body_of([A, B], parameters={"method": "predict_proba"})[0], {}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_are_a_text_with_ours_beside_it(status: int, code: str, body: bytes, headers: dict[str, str]):
    """As clients of this protocol read them, and never an echo."""
    with listening(engine_with(loaded(runner=Adding()))[0]) as (port, _, _):
        found, told, _ = said(port, INFER, body, **headers)
    assert (found, told["code"]) == (status, code)
    assert isinstance(told["error"], str)
    assert "s3cret" not in json.dumps(told)
    assert set(told) == {"error", "kind", "code", "hint", "request_id"}


def test_a_model_that_fails_and_a_lane_that_refuses_are_told_so():
    """500 without a word of the model's; 400 with the lane's."""
    engine, lane = engine_with(loaded(runner=Adding()))
    negative = Column(name="a", datatype="FP64", shape=[2], values=[-1.0, 3.0], is_binary=False)
    lane.refuses = InvalidInput("column 'a' takes a number", code="wrong-input", hint=None)
    text = Column(name="a", datatype="BYTES", shape=[2], values=["x", "y"], is_binary=False)
    with listening(engine) as (port, _, _):
        assert said(port, INFER, body_of([negative, B])[0])[:2][0] == 500
        status, told, _ = said(port, INFER, body_of([text, B])[0])
    assert (status, told["error"]) == (400, "column 'a' takes a number")
    assert json.loads(lane.asked[0][0])["dataframe_split"]["data"] == [["x", 2.0], ["y", 4.0]]


def test_a_fault_of_the_engine_is_a_text_too(caplog: pytest.LogCaptureFixture):
    """Triton's client fails on an error that is none; the log has the reason."""
    version = loaded()
    version.decoders = {}
    with listening(engine_with(version)[0]) as (port, _, _):
        status, told, _ = said(port, "/v2/models/cancer")
    assert (status, told["code"]) == (500, "engine-failed")
    assert isinstance(told["error"], str)
    assert told["request_id"] in caplog.text


def test_a_version_that_serves_answers_and_no_other():
    """In a stage, or as a variant; those that do are named. What was replaced, and is kept warm, answers nobody."""
    staging = Target("cancer", "staging")
    versions = [
        loaded(number=1, runner=Adding()),
        loaded(number=2, runner=Adding()),
        loaded(number=3, runner=Adding(), variant="candidate"),
        loaded(number=4, runner=Adding(), target=staging),
    ]
    with listening(engine_with(*versions)[0]) as (port, _, _):
        for number in "234":
            status, told, headers = said(port, f"/v2/models/cancer/versions/{number}/infer", BODY)
            assert (status, told["model_version"], headers["x-slipway-version"]) == (200, number, number)
            assert said(port, f"/v2/models/cancer/versions/{number}/ready")[0] == 200
        for gone in "19":
            for path in ("", "/ready", "/config"):
                assert said(port, f"/v2/models/cancer/versions/{gone}{path}")[0] == 404
            status, told, _ = said(port, f"/v2/models/cancer/versions/{gone}/infer", BODY)
            assert (status, told["code"]) == (404, "unknown-version")
        assert said(port, INFER, BODY)[1]["model_version"] == "2"
        assert said(port, "/v2/models/cancer@staging/infer", BODY)[1]["model_version"] == "4"
        assert said(port, "/v2/models/cancer@staging/versions/2/infer", BODY)[0] == 404
        assert said(port, "/v2/models/cancer")[1]["versions"] == ["2", "3", "4"]
    for words in ("2 (production, stable)", "3 (production, candidate)", "4 (staging, stable)"):
        assert words in told["error"]


def test_metadata_and_configuration_name_the_tensors():
    """In the protocol's form, and in Triton's."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        _, told, headers = said(port, "/v2/models/cancer")
        _, config, _ = said(port, "/v2/models/cancer/versions/1/config")
        server = said(port, "/v2")[1]
    assert told["inputs"] == [{"name": name, "datatype": "FP64", "shape": [-1, 1]} for name in "ab"]
    assert told["parameters"]["matrix"] == {"name": "input-0", "datatype": "FP64", "shape": [-1, 2]}
    assert (told["platform"], told["versions"]) == ("mlflow_pyfunc", ["1"])
    assert config["input"] == [{"name": name, "data_type": "TYPE_FP64", "dims": [1]} for name in "ab"]
    assert (server["name"], headers["x-slipway-version"]) == ("slipway", "1")


def test_health_follows_the_engine():
    """Alive always; ready when it serves; a model when it has a version."""
    engine, _ = engine_with(loaded())
    engine.expect(Target("empty", "production"))
    with listening(engine) as (port, door, _):
        assert said(port, "/v2/health/live")[:2] == (200, {"live": True})
        assert said(port, "/v2/health/ready")[0] == 503
        assert said(port, "/v2/models/cancer/ready")[:2] == (200, {"name": "cancer", "ready": True})
        assert said(port, "/v2/models/empty/ready")[0] == 503
        assert said(port, "/v2/models/empty")[0] == 503
        engine.was_ready()
        assert said(port, "/v2/health/ready")[:2] == (200, {"ready": True})
        index = said(port, "/v2/repository/index", b"")[1]
        door.is_draining = True
        assert said(port, "/v2/health/ready")[0] == 503
    assert [(each["name"], each["version"], each["state"]) for each in index] == [
        ("cancer@production", "1", "READY"),
        ("empty@production", "", "UNAVAILABLE"),
    ]


def test_every_curl_on_the_page_is_answered():
    """As it stands in docs/protocols.md, for a model of two columns."""
    lines = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    curl ")]
    assert len(lines) > 6
    if shutil.which("curl") is None:
        missing("curl is not installed (Debian: apt-get install curl): the page of protocols is NOT tested")
    with listening(engine_with(loaded(runner=Adding()))[0]) as (port, _, _):
        for line in lines:
            words = shlex.split(line.replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
            done = subprocess.run(
                [*words, "--silent", "--fail-with-body"], check=False, capture_output=True, timeout=30
            )
            assert done.returncode == 0, (line, done.stdout)


@pytest.mark.parametrize("verb", ["load", "unload"])
def test_no_client_loads_or_unloads(verb: str):
    """The registry says what serves."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        status, told, _ = said(port, f"/v2/repository/models/cancer/{verb}", b"{}")
    assert (status, told["code"]) == (403, "follows-the-registry")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", INFER, 405),
        ("POST", "/v2", 405),
        ("GET", "/v2/nothing", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/cancer/versions", 404),
        ("GET", "/v2/models/cancer/versions/1/nothing", 404),
        ("GET", "/v2/models/cancer/stats", 404),
    ],
)
def test_other_paths_are_told_so(method: str, path: str, status: int):
    """In the protocol's shape of errors."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        found, _, content = ask(port, method, path)
    assert found == status
    assert isinstance(json.loads(content)["error"], str)
