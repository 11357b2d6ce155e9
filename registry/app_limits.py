"""How much the API reads of one request, before anything of it is parsed."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from registry.errors import InvalidInput

MAX_BODY_BYTES = 16 * 2**20  # a manifest of 100,000 files

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class BoundedBody:
    """An ASGI application that reads bodies whole, and answers 413 to those that are too large."""

    def __init__(self, app: Callable[..., Awaitable[None]], *, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._app, self._max_bytes = app, max_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, if that fits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await self._read(scope, receive)
        if body is None:
            await self._refusal()(scope, receive, send)
            return
        left = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return left.pop() if left else await receive()

        await self._app(scope, again, send)

    async def _read(self, scope: Message, receive: Receive) -> bytes | None:
        """Return the body; `None` as soon as it is known to be too large."""
        said = dict(scope["headers"]).get(b"content-length", b"")
        if said.isdigit() and (len(said) > len(str(self._max_bytes)) or int(said) > self._max_bytes):
            return None
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._max_bytes:
                return None
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                return bytes(body)

    def _refusal(self) -> JSONResponse:
        limit = f"{self._max_bytes // 2**20} MiB"
        error = InvalidInput(f"the request is larger than {limit}", code="request-too-large", hint="send less of it")
        return JSONResponse(error.to_document(), 413)
