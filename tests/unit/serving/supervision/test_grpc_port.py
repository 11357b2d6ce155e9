"""The port of gRPC: held for an engine's workers, refused where it is another's, or where nothing speaks gRPC."""

import socket
import subprocess
import sys

import pytest

from slipway.registry.errors import Conflict
from slipway.serving.supervision.listener import holding


def test_workers_may_listen_on_a_port_that_is_held():
    """Each by a socket of its own, while nobody connects to the one that holds it."""
    with holding("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        with socket.socket() as one, socket.socket() as other:
            for each in (one, other):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                each.bind(("127.0.0.1", port))
                each.listen()
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                pass


def test_a_port_is_held_for_one_engine():
    """Two that shared it would answer each other's callers."""
    with holding("127.0.0.1", 0) as held, pytest.raises(Conflict) as caught:
        holding("127.0.0.1", held.getsockname()[1]).__enter__()
    assert "--grpc-port" in caught.value.hint


def test_a_port_where_somebody_listens_is_refused():
    """Also where that one would share it."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(Conflict):
            holding("127.0.0.1", other.getsockname()[1]).__enter__()


@pytest.mark.parametrize("module", ["grpc", "grpc_health", "grpc_reflection"])
def test_what_is_not_installed_is_named(module: str):
    """With what installs it, before anything is served."""
    words = "'slipway', 'serve', 'm@production', '--port', '0', '--grpc-port', '0'"
    blocked = f"import sys; sys.modules[{module!r}] = None; sys.argv = [{words}]"
    done = run(f"{blocked}; from slipway.command_line import main; main()")
    assert done.returncode == 1
    assert f"--grpc-port needs packages that are not installed: {module}" in done.stderr
    assert "pip install 'slipway-ml[grpc]'" in done.stderr


def test_who_starts_workers_has_not_imported_grpc():
    """Its library does not survive a fork, and an engine that is not asked for it needs none."""
    modules = "slipway.serving.supervision.serve_commands, slipway.serving.supervision.worker"
    found = "[each for each in sys.modules if each.startswith(('grpc', 'google.protobuf'))]"
    done = run(f"import sys, {modules}; assert not {found}")
    assert done.returncode == 0, done.stderr


def run(code: str) -> "subprocess.CompletedProcess[str]":
    """Run code in a process of its own."""
    return subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False, timeout=120)
