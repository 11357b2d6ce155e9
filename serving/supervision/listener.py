"""The socket on which an engine listens: opened once for all its workers, and given up without resetting a client."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from slipway.registry.addresses import family_of, without_brackets
from slipway.registry.errors import Conflict
from slipway.serving.last_connections import refuse_more

BACKLOG = 2048
# Workers have this long to accept what has come, between the last connection that may come and their end.
LAST_ACCEPTS_S = 0.2


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
        _bind(listener, bare, port, option="--port")
        listener.listen(BACKLOG)
        listener.set_inheritable(True)
        yield listener


@contextmanager
def holding(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that holds a port for workers which open sockets of their own there, and never listens itself.

    The kernel parts connections among theirs.

    Raises
    ------
    Conflict
        The port cannot be had, or somebody listens there: sharing it is for the workers of one engine.
    """
    bare = without_brackets(host)
    with socket.socket(family_of(bare)) as alone, socket.socket(family_of(bare)) as held:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind(alone, bare, port, option="--grpc-port")
        found = alone.getsockname()[1]
        alone.close()
        _bind(held, bare, found, option="--grpc-port")
        held.set_inheritable(True)
        yield held


def _bind(held: socket.socket, host: str, port: int, *, option: str) -> None:
    try:
        held.bind((host, port))
    except OSError as error:
        raise Conflict(
            f"port {port} on {host} cannot be used: {error.strerror}",
            code="port-taken",
            hint=f"stop what listens there, or choose another: {option}",
        ) from error


async def stop_listening(listener: socket.socket, *, after_s: float) -> None:
    """Let no connection come any more from a moment before `after_s` on; workers accept those that have come."""
    await asyncio.sleep(max(after_s - LAST_ACCEPTS_S, 0))
    refuse_more(listener)
    listener.close()
