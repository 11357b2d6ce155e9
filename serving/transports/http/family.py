"""What a family of URLs is: all that begins with one word, answered by one protocol and in its shape of errors."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from slipway.serving.transports.http.answers import JSON_TYPE, Answer


class Gone(Exception):
    """The client went away before its request was whole: there is nobody to answer."""


class Call(NamedTuple):
    """A request below the first word of its family; `read` returns its body, and may refuse it."""

    method: str
    words: tuple[str, ...]
    headers: Mapping[bytes, bytes]
    request_id: str
    read: Callable[[], Awaitable[bytes]]


Family = Callable[[Call], Awaitable[Answer]]


def document(content: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(status, json.dumps(content).encode())


def with_flat_error(answer: Answer) -> Answer:
    """Return an answer whose error is a text, as clients of these protocols read it; the rest stands beside it."""
    if answer.error_code is None:
        return answer
    told = json.loads(answer.body)["error"]
    words = f"{told['message']} ({told['hint']})" if told["hint"] else told["message"]
    flat = {"error": words, **{name: told[name] for name in ("kind", "code", "hint", "request_id")}}
    return Answer(answer.status, json.dumps(flat).encode(), answer.made_by, JSON_TYPE, answer.error_code)
