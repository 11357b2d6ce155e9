"""The connections of MLflow's server stay HTTP/1.1, whatever a request offers to go over to.

httptools (0.9), by which uvicorn reads, leaves out the body of a request that has `Upgrade`, and would read it as the
next request. Behind a proxy that shares its connections among callers, that next request, with the head of somebody
else's behind it, would be whatever the first caller wrote. So nothing is read after such a request: it is the last one.
An engine, whose connections are our own, reads such requests to their end (`serving/transports/http/plain_http.py`).
"""

import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from slipway.registry.errors import InvalidInput

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ANNOUNCING = (b"content-length", b"transfer-encoding")
NO_BODY = InvalidInput(
    "the request offers to go over to another protocol (Upgrade), and its body cannot be read",
    code="no-other-protocol",
    hint="speak HTTP/1.1 alone: in Java, HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)",
)


class StaysHttp:
    """An ASGI application whose connections end with a request that offers another protocol."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; what has a body, which is lost, is refused."""
        if scope["type"] != "http" or not _offers(scope):
            await self._app(scope, receive, send)
            return

        async def last(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(name, value) for name, value in message.get("headers", ()) if name.lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        if _has_body(scope["headers"]):
            await _refuse(last)
        else:
            await self._app(scope, receive, last)


def _offers(scope: Scope) -> bool:
    return scope["method"] == "CONNECT" or any(name == b"upgrade" for name, _ in scope["headers"])


def _has_body(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name in ANNOUNCING and value.strip() != b"0" for name, value in headers)


async def _refuse(send: Send) -> None:
    body = json.dumps(NO_BODY.to_document()).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
