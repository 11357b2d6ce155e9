"""The HTTP side of a worker on real connections: both ways of answering, and what clients do that they should not."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import uvicorn

from slipway.serving.engine.metrics import Snapshot
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.target import Target
from slipway.serving.transports.http.app import app_of
from slipway.serving.transports.http.connections import close_idle, protocol_of
from slipway.serving.transports.http.door import Door
from tests.doubles.serving_stand_ins import PLAIN, TARGET, Adding, EngineWithLane, engine_with, loaded

ODD = b'{"odd":1}'
LIMIT = 100_000
JSON = {"Content-Type": "application/json"}
HEADERS = ("Host: x", "Content-Type: application/json")
CHUNKED = "\r\n".join(["POST /invocations HTTP/1.1", *HEADERS, "Transfer-Encoding: chunked"]).encode() + b"\r\n\r\n"
PATHS = ("/invocations", "/models/cancer/invocations", "/models/cancer@production/invocations")


@contextmanager
def listening(engine: EngineWithLane) -> Iterator[tuple[int, Door, uvicorn.Server]]:
    """Serve an engine on a free port, in a thread."""

    async def refresh() -> Any:
        return {"models": []}

    async def metrics() -> Snapshot:
        return engine.snapshot()

    door = Door(
        engine=engine, protocols=protocols_of(engine.lane), max_body_bytes=LIMIT, refresh=refresh, metrics=metrics
    )
    config = uvicorn.Config(
        app_of(door), http=protocol_of(door), lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1], door, server
        finally:
            server.should_exit = True
            thread.join(10)


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
    """Send one request, and return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}})
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found


def raw(port: int, sent: bytes, *, until: int) -> bytes:
    """Send bytes, and return what comes back until so many answers are whole or the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while received.count(b"predictions") + received.count(b'"error"') < until:
            part = connection.recv(65536)
            if not part:
                break
            received += part
        return received


def request(body: bytes, path: str = "/invocations", *more: str) -> bytes:
    """Return a request as bytes."""
    lines = [f"POST {path} HTTP/1.1", *HEADERS, f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


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


@pytest.mark.parametrize("wanted", ["h2c", "websocket", "nonsense"])
@pytest.mark.parametrize("path", ["/invocations", "/models/nobody/invocations"])
def test_the_body_of_who_asks_for_another_protocol_is_no_request(wanted: str, path: str):
    """Httptools leaves it out, and would read it as the next request: behind a proxy, that of another caller."""
    inner = request(PLAIN, "/invocations", "X-Request-Id: smuggled")
    asking = request(inner, path, "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {wanted}")
    head, _, body = asking.partition(b"\r\n\r\n")
    for sent in ((asking,), (head + b"\r\n\r\n", body), (head + b"\r\n\r\n" + body[:9], body[9:])):
        with (
            listening(engine_with(loaded())[0]) as (port, _, _),
            socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        ):
            connection.sendall(sent[0])
            time.sleep(0.05)
            with suppress(OSError):
                for part in sent[1:]:
                    connection.sendall(part)
            received = b""
            with suppress(OSError):
                while more := connection.recv(65536):
                    received += more
        assert received.startswith(b"HTTP/1.1 400 ")
        assert received.count(b"content-length:") == 1
        assert b"speak HTTP/1.1 alone" in received
        assert b"smuggled" not in received


def test_who_asks_for_another_protocol_without_a_body_is_answered():
    """Java's client does with its first request; the connection ends with it."""
    asking = b"GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = raw(port, asking + request(PLAIN), until=1)
    assert received.startswith(b"HTTP/1.1 200 ")
    assert received.count(b"content-length:") == 1
    assert b"connection: close" in received


def test_garbage_is_400_and_others_go_on():
    """A client that does not speak HTTP ends its own connection only."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        assert raw(port, b"\x16\x03\x01 nonsense\r\n\r\n", until=1).startswith(b"HTTP/1.1 400 ")
        assert ask(port, "POST", "/invocations", PLAIN)[0] == 200


def test_idle_connections_are_closed_and_busy_ones_are_not():
    """One sweep over all, by the time of the last answer."""
    slow = loaded(lambda: time.sleep(0.5) or np.array([1]), one_row_s=1.0)
    with (
        listening(engine_with(slow)[0]) as (port, _, server),
        socket.create_connection(("127.0.0.1", port), timeout=10) as idle,
        socket.create_connection(("127.0.0.1", port), timeout=10) as busy,
    ):
        busy.sendall(request(PLAIN))
        while sum(each.cycle is not None for each in server.server_state.connections) < 1:
            time.sleep(0.01)
        loop = next(iter(server.server_state.connections)).loop
        loop.call_soon_threadsafe(
            lambda: close_idle(server.server_state.connections, now=loop.time() + 100, after_s=50)
        )
        assert idle.recv(1) == b""
        assert b"200 OK" in busy.recv(65536)
