"""The sockets that gRPC opened: they are asked for a way to end that gRPC itself does not have.

Its server, told to stop, cancels calls whose clients have not heard yet that it does. So before, nothing more is
accepted, and connections are waited for until they have come of age and their clients were told in peace.
"""

import contextlib
import logging
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from slipway.serving.last_connections import refuse_more

log = logging.getLogger("slipway.serve")
DESCRIPTORS = Path("/dev/fd")


def stop_accepting(port: int) -> None:
    """Have the sockets of this process that listen on a port take no more connections."""
    for each in _sockets_at(port):
        with each:
            if _is_listening(each) and not refuse_more(each):
                try:
                    each.shutdown(socket.SHUT_RD)
                except OSError as error:
                    log.warning("gRPC takes calls until it ends: %s", error.strerror)


def n_connections(port: int) -> int:
    """Return how many connections of this process came in at a port."""
    count = 0
    for each in _sockets_at(port):
        with each, contextlib.suppress(OSError):
            each.getpeername()
            count += 1
    return count


def _is_listening(each: socket.socket) -> bool:
    return bool(each.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _sockets_at(port: int) -> Iterator[socket.socket]:
    """Yield a handle of each socket at a port, to be closed; the socket itself stays open."""
    for name in os.listdir(DESCRIPTORS):
        with contextlib.suppress(OSError):  # one that was closed meanwhile
            if not stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                continue
            handle = socket.socket(fileno=os.dup(int(name)))
            if handle.family in (socket.AF_INET, socket.AF_INET6) and handle.getsockname()[1] == port:
                yield handle
            else:
                handle.close()
