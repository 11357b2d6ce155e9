"""What a server sends that is no answer is an error to its caller, never a traceback."""

import socket
import threading
from collections.abc import Iterator

import pytest

from slipway.registry.errors import SlipwayError, Unavailable
from slipway.registry.http_client import SlipwayServer

BROKEN = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 twohundred OK\r\n\r\n",
    b"",
]


@pytest.fixture(params=BROKEN)
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Return where somebody answers one request with something that breaks off."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(request.param)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def test_an_answer_that_breaks_off_is_said(port: int):
    """By whatever it breaks off."""
    with pytest.raises(SlipwayError) as raised:
        SlipwayServer(f"http://127.0.0.1:{port}", {}).get("/status")
    assert isinstance(raised.value, Unavailable) or raised.value.code == "refused"
