"""What a server sends that is no answer is an error to its caller, never a traceback."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from slipway.registry import http_client
from slipway.registry.decisions.http_decisions import HttpDecisions
from slipway.registry.engines.http_heartbeats import HttpHeartbeats
from slipway.registry.errors import BUSY, SlipwayError, Unavailable
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


@contextmanager
def answering(answers: list[tuple[int, dict]]) -> Iterator[int]:
    """Answer one request after the other with a status and a document, as long as there are any; give the port."""

    def answer() -> None:
        for status, document in answers:
            body = json.dumps(document).encode()
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)
        assert not thread.is_alive(), "it was not asked as often as it would have answered"


TOO_BUSY = (503, Unavailable("not now", code=BUSY, hint="again in a minute").to_document())


def test_a_server_that_is_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch):
    """Of twenty who have files judged at once, each gets its turn; nothing was done for whom it had none."""
    monkeypatch.setattr(http_client, "ASKED_AGAIN_AFTER_S", (0.01, 0.02))
    with answering([TOO_BUSY, TOO_BUSY, (200, {"seq": 7})]) as port:
        assert SlipwayServer(f"http://127.0.0.1:{port}", {}).post("/verdicts", {"a": 1}) == {"seq": 7}


def test_a_server_that_stays_busy_is_given_up(monkeypatch: pytest.MonkeyPatch):
    """After the time that one answer may take."""
    monkeypatch.setattr(http_client, "ASKED_AGAIN_AFTER_S", (0.3, 0.3))
    with answering([TOO_BUSY, TOO_BUSY]) as port, pytest.raises(Unavailable, match="not now"):
        SlipwayServer(f"http://127.0.0.1:{port}", {"MLFLOW_HTTP_REQUEST_TIMEOUT": "0.5"}).post("/verdicts", {})


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
