"""The socket of an engine, given up while clients come."""

import asyncio
import socket
import sys

import pytest

from slipway.serving.supervision.listener import listening, stop_listening


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel resets who comes in the last moment")
def test_who_has_come_is_served_and_who_comes_later_is_refused():
    """A connection that waits when the socket is given up is accepted by a worker, and none comes behind it."""
    with listening("127.0.0.1", 0) as listener, listener.dup() as workers:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as waiting, socket.socket() as late:
            asyncio.run(stop_listening(listener, after_s=0))
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect(("127.0.0.1", port))
            accepted, _ = workers.accept()
            with accepted:
                accepted.sendall(b"served")
            assert waiting.recv(10) == b"served"
        workers.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
