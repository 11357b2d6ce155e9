"""What HTTP says to requests that never come to the engine, in the one shape of errors."""

import json

from slipway.registry.errors import InvalidInput
from slipway.serving.transports.http.answers import Answer, refusal
from slipway.serving.transports.telling import ENGINE_FAILED, why_engine_failed


def too_large(limit: int) -> InvalidInput:
    """Return what to say to a body beyond the limit."""
    return InvalidInput(
        f"the body is larger than {limit} bytes",
        code="body-too-large",
        hint="send fewer rows at once, as Parquet, or start the engine with a larger --max-body-mb",
    )


def head_too_large(limit: int) -> InvalidInput:
    """Return what to say to a URL and headers beyond the limit."""
    return InvalidInput(
        f"the URL and the headers are larger than {limit} bytes",
        code="head-too-large",
        hint="rows are sent in the body of a POST",
    )


def no_http(reason: str) -> InvalidInput:
    """Return what to say to bytes that are no request; `reason` is the parser's, and repeats nothing that was sent."""
    return InvalidInput(
        f"what was sent is no request of HTTP/1.1: {reason}",
        code="no-http",
        hint="speak http, not https; in URLs write what is not ASCII as %XX of UTF-8",
    )


def no_host() -> InvalidInput:
    """Return what to say to a request of HTTP/1.1 that does not say once for which host it is (RFC 9112, 3.2)."""
    return InvalidInput("the request needs one header Host", code="no-host", hint="every client of HTTP/1.1 sends it")


def no_proxy() -> InvalidInput:
    """Return what to say to CONNECT: what would follow it through a tunnel is no request of HTTP."""
    return InvalidInput("CONNECT is for proxies", code="no-proxy", hint="POST /models/NAME/invocations")


def not_in_time(seconds: float) -> InvalidInput:
    """Return what to say when the rest of a request does not come."""
    return InvalidInput(
        f"the rest of the request did not come within {seconds:g} s",
        code="not-in-time",
        hint="send it anew; serving: {idle_s: …} waits longer",
    )


def wrong_method(method: str, allowed: tuple[str, ...], request_id: str) -> Answer:
    """Return the answer to a method that a path does not have; it lists those that it has."""
    error = InvalidInput(
        f"{method} is not allowed here; use {' or '.join(allowed)}", code="method-not-allowed", hint=None
    )
    return refusal(error, request_id, f"allow: {', '.join(allowed)}\r\n".encode())


def engine_failed(request_id: str) -> Answer:
    """Return the answer when the engine itself is at fault: its id leads to the log, and nothing else is sent."""
    error = {"kind": "EngineFailed", "code": ENGINE_FAILED, "message": why_engine_failed(request_id), "hint": None}
    return Answer(500, json.dumps({"error": {**error, "request_id": request_id}}).encode(), error_code=ENGINE_FAILED)
