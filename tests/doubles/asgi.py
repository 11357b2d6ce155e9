"""A request to an application in this process, as a server would make it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.servers.guarded import Answer


def ask(app: Any, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
    """Send a request and return what came back; a body that is no text is JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
    split = urlsplit(path)
    given = {"host": "localhost", "content-type": "application/json", **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(split.path),
        "raw_path": split.path.encode(),
        "root_path": "",
        "query_string": split.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }
    sent: list[dict[str, Any]] = []
    received = [{"type": "http.request", "body": content, "more_body": False}]

    async def receive() -> dict[str, Any]:
        return received.pop(0) if received else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    text = b"".join(message.get("body", b"") for message in sent).decode()
    return Answer(sent[0]["status"], text, dict(sent[0]["headers"]).get(b"cache-control", b"").decode())
