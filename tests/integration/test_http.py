"""The HTTP side of a worker on real connections: both ways of answering, and what clients do that they should not."""

import json
import socket
from contextlib import ExitStack

import numpy as np
import pytest

from slipway.serving.target import Target
from tests.doubles.serving_stand_ins import PLAIN, TARGET, Adding, engine_with, loaded
from tests.servers.http_worker import CHUNKED, LIMIT, ask, listening, raw, request

ODD = b'{"odd":1}'
PATHS = ("/invocations", "/models/cancer/invocations", "/models/cancer@production/invocations")


@pytest.mark.parametrize("body", [PLAIN, ODD])
@pytest.mark.parametrize("path", PATHS)
def test_an_answer_says_who_made_it(body: bytes, path: str):
    """Model, version, variant and the request's id, on the short way and on the other."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        status, headers, answer = ask(port, "POST", path, body, X_Request_Id="mine-1")
    assert (status, answer) == (200, b'{"predictions":[7]}')
    assert headers["x-request-id"] == "mine-1"
    assert [headers[f"x-slipway-{what}"] for what in ("model", "version", "variant")] == ["cancer", "1", "stable"]


def test_a_name_is_decoded_once_however_it_is_asked():
    """What is written `%2540` is the `%40` of another model's name, and no `@`."""
    coded = loaded(number=2, target=Target("cancer%40production", "production"))
    with listening(engine_with(loaded(), coded)[0]) as (port, _, _):
        for method, path in (("GET", ""), ("POST", "/invocations")):
            for name, version in (("cancer%40production", 1), ("cancer%2540production", 2)):
                _, headers, answer = ask(port, method, f"/models/{name}{path}", PLAIN if path else None)
                said = json.loads(answer)["version"] if method == "GET" else headers["x-slipway-version"]
                assert int(said) == version, (method, name)


def test_a_request_without_an_id_or_with_a_bad_one_gets_ours():
    """Each its own."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        given = [ask(port, "POST", "/invocations", PLAIN, **extra)[1]["x-request-id"] for extra in ({}, {})]
        given.append(ask(port, "POST", "/invocations", PLAIN, X_Request_Id="x" * 200)[1]["x-request-id"])
    assert len(set(given)) == 3
    assert all(len(each) < 40 for each in given)


def test_pipelined_requests_are_answered_in_their_order():
    """Quick, slow and unknown ones mixed on one connection."""
    slow = loaded(lambda: np.array(["slow"]), one_row_s=1.0, target=Target("slow", "production"))
    engine, _ = engine_with(loaded(lambda: np.array(["quick"])), slow)
    sent = b"".join(
        [
            request(PLAIN, "/models/slow/invocations"),
            request(PLAIN, "/models/cancer/invocations"),
            request(ODD, "/models/cancer/invocations"),
            request(PLAIN, "/models/nobody/invocations"),
            request(PLAIN, "/models/slow/predict"),
            request(PLAIN, "/models/cancer/invocations"),
        ]
    )
    with listening(engine) as (port, _, _):
        received = raw(port, sent, until=6)
    bodies = [line for line in received.split(b"\r\n") if line.startswith(b"{")]
    found = [each.split(b"HTTP/1.1")[0] for each in bodies]
    assert [b"slow" in found[0], b"quick" in found[1], b"quick" in found[2]] == [True] * 3
    assert [b"unknown-model" in found[3], b"slow" in found[4], b"quick" in found[5]] == [True] * 3


def test_bodies_in_chunks_and_in_parts_are_put_together():
    """Also when the headers come byte by byte, and when the client asks for leave to go on."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (PLAIN[:5], PLAIN[5:])) + b"0\r\n\r\n"
    with listening(engine_with(loaded())[0]) as (port, _, _):
        assert b'{"predictions":[7]}' in raw(port, CHUNKED + chunks, until=1)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            for byte in request(PLAIN, "/invocations", "Expect: 100-continue"):
                connection.sendall(bytes([byte]))
            received = b""
            while b"predictions" not in received:
                received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize("how", ["announced", "chunked"])
def test_a_body_beyond_the_limit_is_413_and_the_connection_ends(how: str):
    """Before the whole of it is read."""
    if how == "announced":
        sent = request(b"x", "/invocations").replace(b"Content-Length: 1", b"Content-Length: %d" % (LIMIT + 1))
    else:
        sent = CHUNKED + b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n0\r\n\r\n"
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = raw(port, sent, until=1)
        assert ask(port, "POST", "/invocations", PLAIN)[0] == 200
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"body-too-large" in received
    assert b"connection: close" in received


def test_wrong_paths_and_methods_say_what_there_is():
    """404 names the models, 405 the method."""
    engine, _ = engine_with(loaded(), loaded(target=Target("iris", "staging")))
    with listening(engine) as (port, _, _):
        expected = {
            ("POST", "/models/cancr/invocations"): (404, "there are: cancer@production, iris@staging"),
            ("POST", "/invocations"): (404, "serves 2 models; name one of: cancer@production, iris@staging"),
            ("GET", "/nothing"): (404, "nothing is at '/nothing'"),
            ("GET", "/models/iris/invocations"): (405, "use POST"),
            ("POST", "/metrics"): (405, "use GET or HEAD"),
        }
        for (method, path), (status, words) in expected.items():
            found = ask(port, method, path, b"{}" if method == "POST" else None)
            assert found[0] == status, path
            error = json.loads(found[2])["error"]
            assert words in error["message"]
            assert error["request_id"] == found[1]["x-request-id"]


def test_health_readiness_version_models_and_metrics():
    """What MLflow's clients, Kubernetes, people and Prometheus look at."""
    engine, _ = engine_with(loaded())
    with listening(engine) as (port, door, _):
        assert ask(port, "GET", "/ping")[::2] == (200, b"\n")
        assert json.loads(ask(port, "GET", "/ready")[2])["models"][0]["runner"]["kind"] == "compiled"
        assert ask(port, "GET", "/version")[2].decode().startswith("3.")
        assert json.loads(ask(port, "GET", "/models/cancer")[2])["version"] == 1
        ask(port, "POST", "/invocations", PLAIN)
        assert b"slipway_requests_total" in ask(port, "GET", "/metrics")[2]
        assert ask(port, "POST", "/admin/refresh")[0] == 200
        assert [ask(port, "GET", f"/models/{name}/ready")[0] for name in ("cancer", "nobody")] == [200, 404]
        engine.take_out(TARGET, "stable")
        assert [ask(port, "GET", path)[0] for path in ("/ping", "/ready", "/live")] == [200, 200, 200]
        assert ask(port, "GET", "/models/cancer/ready")[0] == 503
        status, _, answer = ask(port, "POST", "/invocations", PLAIN)
        assert (status, json.loads(answer)["error"]["code"]) == (503, "nothing-in-place")
        door.is_draining = True
        assert ask(port, "GET", "/ready")[0] == 503


def test_while_draining_answers_end_their_connections():
    """So that clients go elsewhere before the worker stops."""
    with listening(engine_with(loaded())[0]) as (port, door, _):
        door.is_draining = True
        received = raw(port, request(PLAIN) + request(PLAIN), until=2)
    assert received.count(b"predictions") == 1
    assert b"connection: close" in received


def test_many_connections_at_once_get_each_its_own():
    """Answers, request ids and order, with a request that is not plain among them."""
    engine, _ = engine_with(loaded(runner=Adding()))
    with listening(engine) as (port, _, _), ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(40)
        ]
        for turn in range(3):
            for place, connection in enumerate(connections):
                body = PLAIN.replace(b"[1.0,2.0]", b"[%d,%d]" % (place, turn))
                connection.sendall(request(body, "/invocations", f"X-Request-Id: {place}-{turn}"))
            for place, connection in enumerate(connections):
                head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
                assert json.loads(body) == {"predictions": [place + turn]}
                assert b"x-request-id: %d-%d\r\n" % (place, turn) in head + b"\r\n"


def test_garbage_after_a_request_is_refused_after_its_answer():
    """The first was asked well."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = raw(port, request(PLAIN) + b"\x16\x03 nonsense\r\n\r\n", until=2)
    assert received.index(b'{"predictions":[7]}') < received.index(b"HTTP/1.1 400")


def test_garbage_is_400_and_others_go_on():
    """A client that does not speak HTTP ends its own connection only."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        assert raw(port, b"\x16\x03\x01 nonsense\r\n\r\n", until=1).startswith(b"HTTP/1.1 400 ")
        assert ask(port, "POST", "/invocations", PLAIN)[0] == 200
