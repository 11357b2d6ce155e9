"""The HTTP side of a worker for tests, in a thread, and requests to it as bytes."""

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from slipway.serving.engine.metrics import Snapshot
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.transports.http.app import app_of
from slipway.serving.transports.http.connections import protocol_of
from slipway.serving.transports.http.door import Door
from slipway.serving.transports.http.families import families_of
from tests.doubles.serving_stand_ins import EngineWithLane

LIMIT = 100_000
JSON = {"Content-Type": "application/json"}
HEADERS = ("Host: x", "Content-Type: application/json")
CHUNKED = "\r\n".join(["POST /invocations HTTP/1.1", *HEADERS, "Transfer-Encoding: chunked"]).encode() + b"\r\n\r\n"


@contextmanager
def listening(engine: EngineWithLane) -> Iterator[tuple[int, Door, uvicorn.Server]]:
    """Serve an engine on a free port, in a thread."""

    async def refresh() -> Any:
        return {"models": []}

    async def metrics() -> Snapshot:
        return engine.snapshot()

    protocols = protocols_of(engine.lane)
    door = Door(engine=engine, protocols=protocols, max_body_bytes=LIMIT, refresh=refresh, metrics=metrics)
    door.families = families_of(door, engine.lane)
    config = uvicorn.Config(
        app_of(door), http=protocol_of(door), lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield listener.getsockname()[1], door, server
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive(), "it does not end"


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict, bytes]:
    """Send one request, and return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {**JSON, **{k.replace("_", "-"): v for k, v in headers.items()}})
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found


def raw(port: int, sent: bytes, *, until: int) -> bytes:
    """Send bytes, and return what comes back until so many answers are whole or the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while received.count(b"predictions") + received.count(b'"error"') < until:
            part = connection.recv(65536)
            if not part:
                break
            received += part
        return received


def request(body: bytes, path: str = "/invocations", *more: str) -> bytes:
    """Return a request as bytes."""
    lines = [f"POST {path} HTTP/1.1", *HEADERS, f"Content-Length: {len(body)}", *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(body: bytes, path: str = "/invocations", *more: str) -> bytes:
    """Return a request as bytes, its body in two chunks."""
    lines = [f"POST {path} HTTP/1.1", *HEADERS, "Transfer-Encoding: chunked", *more]
    parts = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:5], body[5:]))
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + parts + b"0\r\n\r\n"


def sent(port: int, *parts: bytes) -> bytes:
    """Send bytes in parts, each of which arrives alone, and return all that comes until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
            time.sleep(0.02 if len(parts) < 10 else 0)
        return rest_of(connection)


def answers_in(received: bytes) -> list[bytes]:
    """Return the answers that stand one after the other in what was received."""
    found = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        found.append(head + b"\r\n\r\n" + rest[:size])
        received = rest[size:]
    return found


def rest_of(connection: socket.socket) -> bytes:
    """Return all that comes until the connection ends; one that is reset fails the test."""
    received = b""
    while part := connection.recv(65536):
        received += part
    return received
