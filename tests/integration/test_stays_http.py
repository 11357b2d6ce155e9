"""A tracking server's connections: what offers another protocol is the last request, and its body is none."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn

from slipway.registry.stays_http import StaysHttp
from tests.servers.http_worker import answers_in, request, sent

ASKED: list[str] = []


async def says_where(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the path, and note it."""
    ASKED.append(scope["path"])
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of an application as `mlflow server` runs it: uvicorn's own protocol, with our middleware."""
    ASKED.clear()
    config = uvicorn.Config(StaysHttp(says_where), http="httptools", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize("wanted", ["h2c", "websocket", "nonsense"])
def test_the_body_of_who_asks_for_another_protocol_is_no_request(port: int, wanted: str):
    """Httptools leaves it out, and would read it as the next request: behind a proxy, that of another caller."""
    asking = request(request(b"", "/smuggled"), "/asked", "Connection: Upgrade, HTTP2-Settings", f"Upgrade: {wanted}")
    head, _, body = asking.partition(b"\r\n\r\n")
    for parts in ((asking,), (head + b"\r\n\r\n" + body[:9], body[9:])):
        try:
            received = sent(port, *parts)
        except OSError:
            continue  # the refusal was lost: the connection ended with bytes in it that nobody read
        (only,) = answers_in(received)
        assert only.startswith(b"HTTP/1.1 400 ")
        assert b"speak HTTP/1.1 alone" in only
    assert ASKED == []


def test_who_asks_for_another_protocol_without_a_body_is_answered(port: int):
    """Java's client does with its first request; the connection ends with it."""
    asking = b"GET /asked HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    received = sent(port, asking)
    assert received.endswith(b"/asked")
    assert b"connection: close" in received
    assert ASKED == ["/asked"]
