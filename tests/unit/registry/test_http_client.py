"""What a server sends that is no answer is an error to its caller, never a traceback."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from slipway.registry.decisions.http_decisions import HttpDecisions
from slipway.registry.engines.http_heartbeats import HttpHeartbeats
from slipway.registry.errors import SlipwayError, Unavailable
from slipway.registry.http_client import SlipwayServer
from slipway.registry.ledger.http_history import HttpHistory
from slipway.registry.policy.http_policy import policies_of
from slipway.registry.version import parse_ref

BROKEN = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    b"HTTP/1.1 500 Oh\r\nContent-Length: 100\r\n\r\n{",
    b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 twohundred OK\r\n\r\n",
    b"",
]
PAGE = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"status":"maintenance"}'


def decisions(server: SlipwayServer) -> HttpDecisions:
    """Return what decides at a server, for somebody without a policy of their own."""
    return HttpDecisions(server, actor="ann", policies=lambda: None)


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


@pytest.mark.parametrize(
    "port", [b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"status":"maintenance"}'], indirect=True
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda server: HttpHistory(server).head("default/1/m"),
        lambda server: HttpHistory(server).records("default/1/m"),
        lambda server: HttpHistory(server).anchors("default/1/m"),
        lambda server: HttpHistory(server).identity_of("m"),
        lambda server: HttpHeartbeats(server).all(),
        lambda server: HttpDecisions(server, actor="ann", policies=lambda: None).status(),
        lambda server: HttpDecisions(server, actor="ann", policies=lambda: None).archive(
            parse_ref("m/1"), "x", dry_run=True
        ),
        policies_of,
    ],
)
def test_a_page_of_somebody_elses_is_said_to_be_one(port: int, ask: Callable[[SlipwayServer], object]):
    """A proxy may answer in JSON for a server that is away."""
    with pytest.raises(Unavailable, match=r"none of the answers of Slipway's API"):
        ask(SlipwayServer(f"http://127.0.0.1:{port}", {}))
