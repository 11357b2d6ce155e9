"""What goes between the slow lane and its process, and the process as its client sees it.

Both ends are ours and of one version, so that values travel pickled: each as its length and itself. The process says
one `Reply` when it is ready, and then one for each `LaneRequest`.
"""

import asyncio
import os
import pickle
import socket
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.runtimes.understood import Understood

LENGTH = struct.Struct("!Q")
READ_AHEAD_BYTES = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneRequest:
    """What the lane's process is asked: how a model, by its folder, understands a body."""

    folder: Path
    body: bytes
    kind: BodyKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What it answers: what was asked, or the document of an error to raise; neither when it says that it is ready."""

    understood: Understood | None = None
    error: dict[str, Any] | None = None


class LaneProcess:
    """The process, and the socket to it."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, program: Sequence[str]) -> "LaneProcess":
        """Start the program with two more words: the number of its end of the socket, and that of this process."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [*program, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=READ_AHEAD_BYTES)
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        """Return the number of the process."""
        return self._process.pid

    async def send(self, request: LaneRequest) -> None:
        """Put a request to the process."""
        self._writer.writelines(frame(request))
        await self._writer.drain()

    async def receive(self) -> Reply:
        """Return what the process says next; EOFError or OSError where it is gone."""
        (size_bytes,) = LENGTH.unpack(await self._reader.readexactly(LENGTH.size))
        reply: Reply = pickle.loads(await self._reader.readexactly(size_bytes))
        return reply

    def stop(self) -> None:
        """Kill the process."""
        self._writer.transport.abort()
        self._process.kill()
        self._process.wait()


def frame(value: LaneRequest | Reply) -> tuple[bytes, bytes]:
    """Return a value as it goes through the socket: its length, and itself."""
    content = pickle.dumps(value, protocol=5)
    return LENGTH.pack(len(content)), content
