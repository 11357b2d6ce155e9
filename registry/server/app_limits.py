"""How much the API reads of one request, before anything of it is parsed."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from fastapi.responses import JSONResponse

from slipway.registry.errors import InvalidInput

MAX_BODY_BYTES = 16 * 2**20  # a manifest of 100,000 files
READ_ON_TIMES = 8

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
        body = await self._read(receive)
        if body is None:
            await self._refusal()(scope, receive, send)
            return
        left = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            return left.pop() if left else await receive()

        await self._app(scope, again, send)

    async def _read(self, receive: Receive) -> bytes | None:
        """Return the body; `None` for one that is too large, which is not kept.

        It is read on for a while all the same: whoever is still sending would see a broken connection, and no answer.
        """
        body, size_bytes = bytearray(), 0
        while True:
            message = await receive()
            chunk = message.get("body", b"")
            size_bytes += len(chunk)
            if size_bytes <= self._max_bytes:
                body += chunk
            ended = message["type"] == "http.disconnect" or not message.get("more_body")
            if ended or size_bytes > READ_ON_TIMES * self._max_bytes:
                return bytes(body) if size_bytes <= self._max_bytes else None

    def _refusal(self) -> JSONResponse:
        limit = f"{self._max_bytes // 2**20} MiB"
        error = InvalidInput(f"the request is larger than {limit}", code="request-too-large", hint="send less of it")
        return JSONResponse(error.to_document(), 413)
