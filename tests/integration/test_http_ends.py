"""How connections end: who sends or waits is never cut, who stopped is told so, and nobody is reset."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import uvicorn

from slipway.serving.target import Target
from slipway.serving.transports.http.connections import close_idle
from tests.doubles.serving_stand_ins import PLAIN, TARGET, engine_with, loaded
from tests.servers.http_worker import LIMIT, answers_in, chunked, listening, request, rest_of

SLOW = Target("slow", "production")
IDLE_S = 0.3
WAYS = ("short", "behind another")


def slow_engine(seconds: float = 0.4):
    """Return an engine with a quick model and a slow one."""
    slow = loaded(lambda: time.sleep(seconds) or np.array(["slow"]), one_row_s=1.0, target=SLOW)
    return engine_with(loaded(), slow)[0]


def asking(port: int) -> socket.socket:
    """Return a connection."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def in_loop(server: uvicorn.Server, call: Callable[[], object]) -> None:
    """Have the server's event loop call something, and wait until it has."""
    done = threading.Event()
    loop = server.servers[0].get_loop()
    loop.call_soon_threadsafe(lambda: (call(), done.set()))
    assert done.wait(10)


@contextlib.contextmanager
def sweeping(server: uvicorn.Server) -> Iterator[None]:
    """Sweep all the time."""
    loop = server.servers[0].get_loop()

    async def sweep() -> None:
        while True:
            close_idle(server.server_state.connections, now=loop.time(), after_s=IDLE_S)
            await asyncio.sleep(0.02)

    task = asyncio.run_coroutine_threadsafe(sweep(), loop)
    yield
    task.cancel()


def wait_for_answer(server: uvicorn.Server) -> None:
    """Wait until a request is under way."""
    while all(each.cycle is None for each in server.server_state.connections):
        time.sleep(0.01)


def path_of(way: str) -> tuple[bytes, str]:
    """Return what is asked before, so that uvicorn's cycle takes the next request, and a path for that."""
    before = request(PLAIN, "/models/slow/invocations") if way == "behind another" else b""
    return before, "/models/cancer/invocations"


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_upload_lives_as_long_as_bytes_come(way: str):
    """Head and body, for several times as long as an idle connection may last."""
    before, path = path_of(way)
    with listening(slow_engine(0.2)) as (port, _, server), sweeping(server), asking(port) as connection:
        connection.sendall(before)
        upload = request(PLAIN, path, "Connection: close")
        for start in range(0, len(upload), 9):
            connection.sendall(upload[start : start + 9])
            time.sleep(IDLE_S / 5)
        assert answers_in(rest_of(connection))[-1].endswith(b'{"predictions":[7]}')


@pytest.mark.parametrize("part", ["head", "body"])
@pytest.mark.parametrize("way", WAYS)
def test_an_upload_that_stops_is_told_so_and_not_scored(way: str, part: str):
    """408 in the one shape, after the answer to what came before; the model is not asked."""
    before, path = path_of(way)
    engine = slow_engine(0.2)
    upload = chunked(PLAIN, path)
    with listening(engine) as (port, _, server), sweeping(server), asking(port) as connection:
        connection.sendall(before + (upload[:40] if part == "head" else upload.removesuffix(b"0\r\n\r\n")))
        *earlier, last = answers_in(rest_of(connection))
    assert len(earlier) == bool(before)
    assert last.startswith(b"HTTP/1.1 408 ")
    assert json.loads(last.partition(b"\r\n\r\n")[2])["error"]["code"] == "not-in-time"
    assert engine.placements[TARGET].stable.tallies["invocations"].requests == 0


def test_a_client_that_goes_away_with_half_a_request_is_not_scored():
    """Half a body is none, on every way."""
    engine = slow_engine(0.2)
    for way in WAYS:
        before, path = path_of(way)
        with listening(engine) as (port, _, server):
            with asking(port) as connection:
                connection.sendall(before + chunked(PLAIN, path).removesuffix(b"0\r\n\r\n"))
                time.sleep(0.3)
            while server.server_state.connections:
                time.sleep(0.01)
    assert engine.placements[TARGET].stable.tallies["invocations"].requests == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_request_that_is_predicted_is_never_cut(way: str):
    """However long it takes, and the connection has its whole time again afterwards."""
    path = "/models/slow/invocations"
    times = 2 if way == "behind another" else 1
    with listening(slow_engine(IDLE_S * 3)) as (port, _, server), sweeping(server), asking(port) as connection:
        connection.sendall(request(PLAIN, path) * times)
        received = b""
        while received.count(b'["slow"]') < times:
            received += connection.recv(65536)
        time.sleep(IDLE_S / 2)
        connection.sendall(request(PLAIN, "/models/cancer/invocations"))
        assert connection.recv(65536).endswith(b'{"predictions":[7]}')
        assert rest_of(connection) == b"", "it is idle now"


def test_idle_connections_end():
    """Whether anything was asked on them or not, by one sweep."""
    with listening(slow_engine()) as (port, _, server), sweeping(server):
        for asked in (b"", b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n", request(PLAIN, "/models/cancer/invocations")):
            with asking(port) as connection:
                connection.sendall(asked)
                before = time.monotonic()
                assert len(answers_in(rest_of(connection))) == bool(asked)
                assert IDLE_S <= time.monotonic() - before < 5


def test_what_comes_while_an_idle_connection_ends_is_no_reset():
    """The client reads an end, and asks again elsewhere."""
    with listening(slow_engine()) as (port, _, server), asking(port) as connection:
        while not server.server_state.connections:
            time.sleep(0.01)
        (ours,) = server.server_state.connections
        in_loop(server, lambda: ours.time_out(IDLE_S))
        connection.sendall(request(PLAIN, "/models/cancer/invocations"))
        assert rest_of(connection) == b""


def test_what_is_wrong_is_refused_after_the_answers_to_what_was_right():
    """Also where those take their time."""
    for path in ("/models/slow/invocations", "/models/cancer/invocations", "/live"):
        for wrong in (b"\x16\x03 nonsense\r\n\r\n", b"GET /live HTTP/1.1\r\n\r\n", chunked(b"x")[:-9] + b"zz\r\n"):
            with listening(slow_engine()) as (port, _, _), asking(port) as connection:
                connection.sendall(request(PLAIN, path) * 2 + wrong)
                statuses = [each.split()[1] for each in answers_in(rest_of(connection))]
                assert statuses == [b"405" if path == "/live" else b"200"] * 2 + [b"400"]


def test_a_shutdown_answers_what_is_under_way_and_ends_the_rest():
    """Predicted, half sent, and arrived but not read: answered, with the end announced. Idle: ended."""
    with contextlib.ExitStack() as stack:
        port, _, server = stack.enter_context(listening(slow_engine(1.0)))
        predicted, half, idle, unused = (stack.enter_context(asking(port)) for _ in range(4))
        upload = request(PLAIN, "/models/cancer/invocations")
        idle.sendall(upload)
        assert b"predictions" in idle.recv(65536)
        predicted.sendall(request(PLAIN, "/models/slow/invocations"))
        half.sendall(upload[:-5])
        wait_for_answer(server)
        time.sleep(0.1)
        server.should_exit = True
        assert rest_of(idle) == rest_of(unused) == b""
        half.sendall(upload[-5:])
        for connection in (half, predicted):
            (answer,) = answers_in(rest_of(connection))
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close\r\n" in answer


def test_what_arrived_before_a_shutdown_is_answered():
    """Though nothing had read it yet."""
    with listening(slow_engine()) as (port, _, server), asking(port) as connection:
        connection.sendall(request(PLAIN, "/models/cancer/invocations"))
        assert b"predictions" in connection.recv(65536)
        (ours,) = server.server_state.connections

        def arrives_then_ends() -> None:
            connection.sendall(request(PLAIN, "/models/cancer/invocations"))
            time.sleep(0.05)
            ours.shutdown()

        in_loop(server, arrives_then_ends)
        (answer,) = answers_in(rest_of(connection))
    assert answer.endswith(b'{"predictions":[7]}')
    assert b"connection: close\r\n" in answer


def test_while_draining_every_way_announces_the_end():
    """So that clients go elsewhere before the worker stops: scoring, other routes, and what was under way already."""
    asked = (request(PLAIN, "/models/cancer/invocations"), b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n")
    with listening(slow_engine()) as (port, door, server):
        with asking(port) as under_way:
            under_way.sendall(request(PLAIN, "/models/slow/invocations"))
            wait_for_answer(server)
            door.is_draining = True
            assert b"connection: close\r\n" in rest_of(under_way)
        for each in asked:
            with asking(port) as connection:
                connection.sendall(each * 2)
                (answer,) = answers_in(rest_of(connection))
                assert b"connection: close\r\n" in answer


def test_a_client_that_says_close_and_sends_a_large_body_reads_the_answer():
    """As `urllib` does, which says it with every request."""
    with listening(slow_engine()) as (port, _, _):
        for path, expected in (("/nothing", 404), ("/live", 405), ("/models/cancer/invocations", 413)):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("POST", path, b"x" * 50 * LIMIT, {"Connection": "close"})
            response = connection.getresponse()
            assert (response.status, bool(json.loads(response.read())["error"])) == (expected, True)
            connection.close()
