"""`Upgrade`: who offers to go over to another protocol is answered as if they had not, and smuggles nothing."""

import time

import numpy as np
import pytest

from slipway.serving.target import Target
from tests.doubles.serving_stand_ins import PLAIN, Adding, engine_with, loaded
from tests.servers.http_worker import answers_in, chunked, listening, request, sent

ID, LAST = "X-Request-Id: mine", "Connection: close"
PATHS = ("/invocations", "/models/cancer/predict", "/admin/refresh", "/models/nobody/invocations", "/nothing")


def offer(wanted: str = "h2c", *more: str) -> tuple[str, ...]:
    """Return the headers of an offer, as Java's client and curl make it."""
    settings = "HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"
    return (f"Connection: {', '.join(('Upgrade', 'HTTP2-Settings', *more))}", f"Upgrade: {wanted}", settings)


def undated(received: bytes) -> list[bytes]:
    """Return answers without what differs from second to second."""
    lines = received.split(b"\r\n")
    return [line for line in lines if not line.startswith((b"date: ", b"connection: "))]


@pytest.mark.parametrize("wanted", ["h2c", "websocket", "nonsense"])
@pytest.mark.parametrize("path", PATHS)
def test_an_offer_changes_no_answer(wanted: str, path: str):
    """On every route, with bodies of both kinds, whole, in two parts and byte by byte."""
    with listening(engine_with(loaded())[0]) as (port, _, _):
        for written in (request, chunked):
            plain = undated(sent(port, written(PLAIN, path, ID, LAST)))
            asking = written(PLAIN, path, ID, *offer(wanted, "close"))
            head = asking.index(b"\r\n\r\n") + 4
            for parts in ((asking,), (asking[:head], asking[head:]), tuple(bytes([each]) for each in asking)):
                assert undated(sent(port, *parts)) == plain


def test_a_get_that_offers_is_answered_and_the_connection_goes_on():
    """Java's client makes an offer with each request until somebody takes it."""
    asking = "\r\n".join(["GET /live HTTP/1.1", "Host: x", *offer(), "", ""]).encode()
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = answers_in(sent(port, asking * 2 + request(PLAIN, "/invocations", LAST)))
    assert [each.partition(b"\r\n\r\n")[2] for each in received] == [b'{"live": true}'] * 2 + [b'{"predictions":[7]}']


def test_offers_in_a_pipeline_are_answered_in_their_order():
    """A thousand in one write, behind a slow one, mixed with requests that make none."""
    slow = loaded(lambda: time.sleep(0.2) or np.array(["slow"]), one_row_s=1.0, target=Target("slow", "production"))
    engine, _ = engine_with(loaded(runner=Adding()), slow)
    asked = [request(PLAIN, "/models/slow/invocations", *offer())]
    for number in range(500):
        body = PLAIN.replace(b"[1.0,2.0]", b"[%d,1]" % number)
        asked += [
            request(body, "/models/cancer/invocations", *offer()),
            chunked(body, "/models/cancer/invocations"),
        ]
    asked += [request(PLAIN, "/models/cancer/invocations", LAST)]
    with listening(engine) as (port, _, _):
        received = answers_in(sent(port, b"".join(asked)))
    bodies = [each.partition(b"\r\n\r\n")[2] for each in received]
    sums = [b'{"predictions":[%d.0]}' % (number + 1) for number in range(500) for _ in range(2)]
    assert bodies == [b'{"predictions":["slow"]}', *sums, b'{"predictions":[3.0]}']


@pytest.mark.parametrize("wanted", ["h2c", "websocket", "nonsense"])
@pytest.mark.parametrize("path", ["/invocations", "/models/nobody/invocations"])
def test_the_body_of_an_offer_is_no_request(wanted: str, path: str):
    """Httptools leaves it out, and would read it as the next request: behind a proxy, that of another caller."""
    inner = request(PLAIN, "/invocations", "X-Request-Id: smuggled")
    for asking in (request(inner, path, *offer(wanted)), chunked(inner, path, *offer(wanted))):
        head, _, body = asking.partition(b"\r\n\r\n")
        for parts in ((asking,), (head + b"\r\n\r\n", body), (head + b"\r\n\r\n" + body[:9], body[9:])):
            with listening(engine_with(loaded())[0]) as (port, _, _):
                received = sent(port, *parts, request(PLAIN, "/invocations", "X-Request-Id: next", LAST))
            first, second = answers_in(received)
            assert b"smuggled" not in first
            assert b"x-request-id: next\r\n" in second
            assert second.endswith(b'{"predictions":[7]}')


@pytest.mark.parametrize(
    "framing",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 60"),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: chunked, gzip",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ],
)
@pytest.mark.parametrize("headers", [(), offer()])
def test_a_body_whose_end_can_be_read_in_two_ways_is_refused(framing: tuple[str, ...], headers: tuple[str, ...]):
    """With an offer as without: by the same parser, from the same headers."""
    head = "\r\n".join(["POST /invocations HTTP/1.1", "Host: x", *headers, *framing, "", ""]).encode()
    inner = request(PLAIN, "/invocations", "X-Request-Id: smuggled")
    with listening(engine_with(loaded())[0]) as (port, _, _):
        received = sent(port, head + b"0\r\n\r\n" + inner)
    (only,) = answers_in(received)
    assert only.startswith(b"HTTP/1.1 400 ")
    assert b'"no-http"' in only


def test_what_comes_after_a_body_in_chunks_changes_nothing():
    """Trailers are no headers: no offer, no media type, no id and no length."""
    trailers = [*offer(), "Content-Type: text/csv", "X-Request-Id: other", "Expect: 100-continue"]
    asking = chunked(PLAIN, "/invocations", ID).removesuffix(b"\r\n") + "\r\n".join([*trailers, "", ""]).encode()
    with listening(engine_with(loaded())[0]) as (port, _, _):
        first, second = answers_in(sent(port, asking + request(PLAIN, "/invocations", LAST)))
    assert b"x-request-id: mine\r\n" in first
    assert first.endswith(b'{"predictions":[7]}')
    assert second.endswith(b'{"predictions":[7]}')


def test_nobody_gets_a_tunnel():
    """What follows CONNECT is no request: it is refused, and nothing after it is read."""
    asking = b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n" + request(PLAIN, "/invocations", "X-Request-Id: smuggled")
    with listening(engine_with(loaded())[0]) as (port, _, _):
        (only,) = answers_in(sent(port, asking))
    assert only.startswith(b"HTTP/1.1 400 ")
    assert b'"no-proxy"' in only
