"""A client that sends at a fixed rate, whatever the server does, and keeps what came back."""

import asyncio
import time
from dataclasses import dataclass

HEAD = "POST /invocations HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request: when it was due and answered (monotonic, seconds), and what was answered."""

    due: float
    received: float
    status: int
    version: int
    body: bytes


async def send_paced(port: int, body: bytes, *, rate: float, count: int, connections: int = 16) -> list[Sent]:
    """Send `count` requests, `rate` a second over some connections; a late answer delays only its own connection.

    Latency counts from when a request was due, not from when its connection was free.
    """
    start = time.monotonic() + 0.1
    found: list[Sent] = []
    await asyncio.gather(
        *(
            _connection(port, body, [start + i / rate for i in range(first, count, connections)], found)
            for first in range(connections)
        )
    )
    return found


async def _connection(port: int, body: bytes, due: list[float], found: list[Sent]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    message = HEAD.format(length=len(body)).encode() + body
    for moment in due:
        await asyncio.sleep(moment - time.monotonic())
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        answer = await reader.readexactly(int(headers["content-length"]))
        version = int(headers["x-slipway-version"])
        found.append(Sent(moment, time.monotonic(), int(status.split()[1]), version, answer))
    writer.close()
