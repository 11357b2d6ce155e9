"""The socket on which an engine listens: opened once for all its workers, and given up without resetting a client."""

import asyncio
import ctypes
import logging
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.registry.addresses import family_of, without_brackets
from slipway.registry.errors import Conflict

log = logging.getLogger("slipway.serve")

BACKLOG = 2048
# Workers have this long to accept what has come, between the last connection that may come and their end.
LAST_ACCEPTS_S = 0.2
SO_ATTACH_FILTER = 26
TAKE_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # a program of one instruction: return 0, of each packet no byte


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that listens; every worker accepts from it, so none of its connections is lost with a worker.

    Raises
    ------
    Conflict
        The address cannot be listened on.
    """
    bare = without_brackets(host)
    with socket.socket(family_of(bare)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((bare, port))
        except OSError as error:
            raise Conflict(
                f"port {port} on {host} cannot be used: {error.strerror}",
                code="port-taken",
                hint="stop what listens there, or choose another: --port",
            ) from error
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
        yield listener


async def stop_listening(listener: socket.socket, *, after_s: float) -> None:
    """Let no connection come any more from a moment before `after_s` on; workers accept those that have come.

    The kernel resets what it holds for a socket that is closed: clients who were connected already, and were never
    accepted. So on Linux the socket first takes no packet any more, which a client does not notice: it asks again a
    second later, and is refused.
    """
    await asyncio.sleep(max(after_s - LAST_ACCEPTS_S, 0))
    if sys.platform == "linux":
        _take_nothing(listener)
    listener.close()


def _take_nothing(listener: socket.socket) -> None:
    program = ctypes.create_string_buffer(TAKE_NOTHING)
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))
    except OSError as error:  # a sandbox may have no filters: then who comes in the last moment is reset
        log.warning("clients that connect while the engine stops may be reset: %s", error.strerror)
