"""The socket on which an engine listens: opened once for all its workers, and given up without resetting a client."""

import asyncio
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.registry.addresses import family_of, without_brackets
from slipway.registry.errors import Conflict

log = logging.getLogger("slipway.serve")

BACKLOG = 2048
# Workers have this long to accept what has come, between the last connection that may come and their end.
LAST_ACCEPTS_S = 0.2
SO_BINDTOIFINDEX = 62  # <asm-generic/socket.h>, which the module `socket` has not
NO_INTERFACE = 2**31 - 1


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
    accepted. So on Linux the socket is first bound to an interface that there is not: who comes is refused, and who has
    come is accepted. No right is needed for that, as a filter of packets would need one (Linux 5.7 and newer).
    """
    await asyncio.sleep(max(after_s - LAST_ACCEPTS_S, 0))
    if sys.platform == "linux":
        _refuse_more(listener)
    listener.close()


def _refuse_more(listener: socket.socket) -> None:
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
    except OSError as error:  # an older kernel, or a sandbox: then who comes in the last moment is reset
        log.info("clients that connect while the engine stops may be reset: %s", error.strerror)
