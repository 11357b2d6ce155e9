"""The command health: what a container engine asks, of an engine that is ready, busy with its start, or not there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from click.testing import CliRunner, Result

from slipway.registry.errors import Unavailable
from slipway.serving.local.health_commands import health
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


def asked(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(health, words, env=environ)


def test_an_engine_that_is_ready_is_healthy():
    """Also one that listens on all addresses, whose port the environment names."""
    with answering(200) as port:
        assert asked("--port", str(port)).output == "ready\n"
        named = {"SLIPWAY_SERVING__PORT": str(port), "SLIPWAY_SERVING__HOST": "0.0.0.0"}
        assert asked(**named).output == "ready\n"


def test_an_engine_that_starts_is_not_healthy_yet():
    """Its status is told."""
    with answering(503) as port:
        error = asked("--port", str(port)).exception
    assert isinstance(error, Unavailable)
    assert "is not ready: 503" in error.message


def test_where_no_engine_is_nothing_is_healthy():
    """Nobody listens there."""
    error = asked("--port", str(free_port())).exception
    assert isinstance(error, Unavailable)
    assert "ConnectionRefused" in error.message


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_a_port_is_a_port(port: str):
    """What is none is a usage error."""
    assert asked("--port", port).exit_code == 2
