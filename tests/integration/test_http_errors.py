"""Whatever is wrong with a request of HTTP, its answer is one document of one shape, and every client can read it."""

import json
from typing import Any

import pytest

from slipway.serving.transports.http.plain_http import MAX_HEAD_BYTES
from tests.doubles.serving_stand_ins import PLAIN, EngineWithLane, engine_with, loaded
from tests.servers.http_worker import CHUNKED, LIMIT, answers_in, ask, listening, request, sent

LONG = "x" * (2 * MAX_HEAD_BYTES)
WRONG = {
    "another protocol": (b"\x16\x03\x01 nonsense\r\n\r\n", 400, "no-http"),
    "http/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "no-http"),
    "no method": (b"FOO /invocations HTTP/1.1\r\nHost: x\r\n\r\n", 400, "no-http"),
    "no version": (b"GET /live HTTP/9.9\r\nHost: x\r\n\r\n", 400, "no-http"),
    "letters of their own": ("GET /models/größe HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 400, "no-http"),
    "no URL": (b"GET live:x HTTP/1.1\r\nHost: x\r\n\r\n", 400, "no-http"),
    "a space in a name": (b"GET /live HTTP/1.1\r\nHost : x\r\n\r\n", 400, "no-http"),
    "a folded header": (b"GET /live HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, "no-http"),
    "a bad chunk": (CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", 400, "no-http"),
    "a bad chunk elsewhere": (CHUNKED.replace(b"/invocations", b"/nothing") + b"zz\r\nabc\r\n", 400, "no-http"),
    "a bad length": (request(b"x").replace(b"Length: 1", b"Length: -1"), 400, "no-http"),
    "a huge length": (request(b"x").replace(b"Length: 1", b"Length: 1" + b"0" * 17), 413, "body-too-large"),
    "no host": (request(PLAIN).replace(b"Host: x\r\n", b""), 400, "no-host"),
    "no host elsewhere": (b"GET /live HTTP/1.1\r\n\r\n", 400, "no-host"),
    "two hosts": (request(PLAIN, "/invocations", "Host: y"), 400, "no-host"),
    "a long header": (request(PLAIN, "/invocations", f"X-Long: {LONG}"), 431, "head-too-large"),
    "many headers": (request(PLAIN, "/invocations", *["A: b"] * MAX_HEAD_BYTES), 431, "head-too-large"),
    "a long URL": (f"GET /{LONG} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), 431, "head-too-large"),
}


def only_error(received: bytes) -> tuple[int, dict, dict]:
    """Return status, headers and error of what must be one answer."""
    (answer,) = answers_in(received)
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), json.loads(body)["error"]


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_read_is_refused_in_one_shape(what: str):
    """With an id, and the connection ends in peace, however much was sent."""
    asking, status, code = WRONG[what]
    with listening(engine_with(loaded())[0]) as (port, _, _):
        found, headers, error = only_error(sent(port, asking))
        assert ask(port, "POST", "/invocations", PLAIN)[0] == 200
    assert (found, error["code"]) == (status, code)
    assert set(error) == {"kind", "code", "message", "hint", "request_id"}
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"] == error["request_id"]


def test_a_refusal_carries_the_callers_id():
    """Also where the rest of the request cannot be read."""
    asking = CHUNKED.removesuffix(b"\r\n") + b"X-Request-Id: mine\r\n\r\nzz\r\n"
    with listening(engine_with(loaded())[0]) as (port, _, _):
        assert only_error(sent(port, asking))[1]["x-request-id"] == "mine"


def test_a_head_may_be_long():
    """Up to its bound, in one piece or in many."""
    asking = request(PLAIN, "/invocations", f"X-Long: {'x' * (MAX_HEAD_BYTES - 1000)}", "Connection: close")
    with listening(engine_with(loaded())[0]) as (port, _, _):
        for parts in ((asking,), tuple(asking[start : start + 9000] for start in range(0, len(asking), 9000))):
            assert sent(port, *parts).endswith(b'{"predictions":[7]}')


def test_many_requests_in_one_write_are_no_long_head():
    """However the kernel cuts them."""
    asking = request(PLAIN) * 2000 + request(PLAIN, "/invocations", "Connection: close")
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = sent(port, asking)
    assert received.count(b'{"predictions":[7]}') == 2001


def test_a_client_that_sends_all_of_a_body_reads_its_refusal():
    """Also when it is forty times as large as it may be, and is not read."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        for method, path, expected in (("POST", "/invocations", 413), ("POST", "/nothing", 404), ("PUT", "/live", 405)):
            status, _, body = ask(port, method, path, b"x" * 40 * LIMIT)
            assert status == expected, path
            assert json.loads(body)["error"]["code"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/invocations", "POST"),
        ("HEAD", "/models/cancer/invocations", "POST"),
        ("DELETE", "/models/cancer/predict/", "POST"),
        ("GET", "/admin/refresh", "POST"),
        ("POST", "/models", "GET, HEAD"),
        ("PUT", "/models/cancer", "GET, HEAD"),
        ("OPTIONS", "/metrics", "GET, HEAD"),
        ("PURGE", "/live", "GET, HEAD"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_told_which_it_has(method: str, path: str, allowed: str):
    """405 and `Allow`."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        status, headers, body = ask(port, method, path)
    assert (status, headers["allow"]) == (405, allowed)
    assert b"method-not-allowed" in body or method == "HEAD"


@pytest.mark.parametrize("path", ["/live", "/models", "/models/cancer", "/models/nobody", "/nothing"])
def test_head_is_answered_as_get_without_the_body(path: str):
    """Status and headers are the same, and the next request on the connection is read as one."""
    asking = f"HEAD {path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n".encode()
    last = asking.replace(b"HEAD", b"GET").removesuffix(b"\r\n") + b"Connection: close\r\n\r\n"
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = sent(port, asking + last)
    head, _, rest = received.partition(b"\r\n\r\n")
    with_body = answers_in(rest)[0].partition(b"\r\n\r\n")[0]
    assert [each for each in with_body.split(b"\r\n") if each != b"connection: close"] == head.split(b"\r\n")


def test_who_asks_for_leave_gets_it_or_the_refusal():
    """`Expect: 100-continue`: a body that is refused is not asked for; it may not come, so the connection ends."""
    leave = ("Expect: 100-continue", "Connection: keep-alive")
    large = request(b"", "/invocations", *leave).replace(b"Length: 0", b"Length: %d" % (LIMIT + 1))
    unknown = request(b"", "/nothing", *leave).replace(b"Length: 0", b"Length: 9")
    with listening(engine_with(loaded())[0]) as (port, _, _):
        for asking, expected in ((large, 413), (unknown, 404)):
            status, headers, _ = only_error(sent(port, asking))
            assert (status, headers["connection"]) == (expected, "close")
        received = sent(port, request(PLAIN, "/invocations", *leave, "Connection: close"))
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


def test_what_was_never_foreseen_is_500_in_the_same_shape():
    """Its id leads to the log; nobody waits for ever, on the short way and behind another request."""

    class Faulty(EngineWithLane):
        def score_now(self, requests: object) -> Any:
            raise RuntimeError("secret")

        async def score(self, request: object) -> Any:
            raise RuntimeError("secret")

    engine, _ = engine_with(loaded())
    engine.__class__ = Faulty
    with listening(engine) as (port, _, _):
        received = sent(port, request(PLAIN) * 2 + request(PLAIN, "/invocations", "Connection: close"))
    answers = answers_in(received)
    assert [each.split()[1] for each in answers] == [b"500"] * 3
    assert all(b'"engine-failed"' in each and b"secret" not in each for each in answers)


def test_answers_of_both_ways_have_the_same_headers():
    """Also the date, which every answer has to have (RFC 9110, 6.6.1)."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        short, other = answers_in(sent(port, request(PLAIN) + request(PLAIN, "/invocations", "Connection: close")))
    names = [
        [line.partition(b":")[0] for line in each.partition(b"\r\n\r\n")[0].split(b"\r\n")] for each in (short, other)
    ]
    assert sorted({*names[0], b"connection"}) == sorted(names[1])


def test_a_client_of_http_1_0_is_told_whether_the_connection_goes_on():
    """It waits for the end of the connection else."""
    old = request(PLAIN, "/invocations", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    with listening(engine_with(loaded())[0]) as (port, _, _):
        first, second = answers_in(sent(port, old, old.replace(b"Connection: keep-alive\r\n", b"")))
    assert b"connection: keep-alive\r\n" in first
    assert b"connection: close\r\n" in second
