"""The socket of an engine, given up while clients come."""

import asyncio
import os
import socket
import subprocess
import sys

import pytest

from slipway.serving.supervision.listener import listening, stop_listening

# As uid 65532 runs in an image: without any capability.
NO_RIGHTS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
COME_LATE = """
import asyncio, socket
from slipway.serving.supervision.listener import listening, stop_listening
with listening("127.0.0.1", 0) as listener, listener.dup() as workers:
    asyncio.run(stop_listening(listener, after_s=0))
    try:
        socket.create_connection(workers.getsockname(), timeout=2)
    except ConnectionRefusedError:
        print("refused")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel resets who comes in the last moment")
def test_who_has_come_is_served_and_who_comes_later_is_refused():
    """A connection that waits when the socket is given up is accepted by a worker, and none comes behind it."""
    with listening("127.0.0.1", 0) as listener, listener.dup() as workers:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), timeout=5) as waiting, socket.socket() as late:
            asyncio.run(stop_listening(listener, after_s=0))
            late.settimeout(5)
            with pytest.raises(ConnectionRefusedError):
                late.connect(("127.0.0.1", port))
            accepted, _ = workers.accept()
            with accepted:
                accepted.sendall(b"served")
            assert waiting.recv(10) == b"served"
        workers.close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel resets who comes in the last moment")
def test_no_right_is_needed_for_it():
    """A process without any capability refuses who comes late, while workers still hold the socket."""
    words = [*NO_RIGHTS, sys.executable, "-c", COME_LATE]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "refused\n"
