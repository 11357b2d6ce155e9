"""The command health: what a container engine asks, of an engine that is ready, busy with its start, or not there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from slipway.command_line import run
from tests.servers.processes import free_port


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Answer `/ready` with a status, on a port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/ready" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def test_an_engine_that_is_ready_is_healthy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Also one that listens on all addresses, whose port the environment names."""
    with answering(200) as port:
        assert run(["health", "--port", str(port)]) == 0
        assert capsys.readouterr().out == "ready\n"
        monkeypatch.setenv("SLIPWAY_SERVING__PORT", str(port))
        monkeypatch.setenv("SLIPWAY_SERVING__HOST", "0.0.0.0")
        assert run(["health"]) == 0
        assert capsys.readouterr().out == "ready\n"


def test_an_engine_that_starts_is_not_healthy_yet(capsys: pytest.CaptureFixture[str]):
    """Its status is told."""
    with answering(503) as port:
        assert run(["health", "--port", str(port)]) == 1
    assert "is not ready: 503" in capsys.readouterr().err


def test_where_no_engine_is_nothing_is_healthy(capsys: pytest.CaptureFixture[str]):
    """Nobody listens there."""
    assert run(["health", "--port", str(free_port())]) == 1
    assert "ConnectionRefused" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_is_a_port(port: str):
    """What is none is a usage error."""
    assert run(["health", "--port", port]) == 2
