"""What starts processes for `slipway up` on this machine: ports of both families, and the signals that stop it."""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.registry.errors import Conflict
from slipway.serving.local.processes import ProcessLauncher
from slipway.serving.stop_signals import stop_signals


@pytest.fixture(params=["127.0.0.1", "::1"])
def taken(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Return a host and a port on which somebody listens."""
    with socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield request.param, listener.getsockname()[1]


def test_a_port_is_examined_on_the_host_that_is_meant(tmp_path: Path, taken: tuple[str, int]):
    """Of IPv4 and of IPv6, also where that is written in brackets."""
    host, port = taken
    launcher = ProcessLauncher(tmp_path)
    with pytest.raises(Conflict, match="cannot be used"):
        launcher.require_free(host, port)
    launcher.require_free("[::1]" if host == "127.0.0.1" else "127.0.0.1", port)


def test_a_closed_terminal_stops_who_was_not_told_to_outlive_it(tmp_path: Path):
    """`nohup` has SIGHUP ignored from the start, and it stays so."""
    signals = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with ProcessLauncher(tmp_path) as launcher:
            signal.raise_signal(signal.SIGHUP)
            assert not launcher.stop_asked(within_s=0)
            signal.raise_signal(signal.SIGTERM)
            assert launcher.stop_asked(within_s=0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        assert signal.SIGHUP in stop_signals()
        with ProcessLauncher(tmp_path) as launcher:
            signal.raise_signal(signal.SIGHUP)
            assert launcher.stop_asked(within_s=0)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
