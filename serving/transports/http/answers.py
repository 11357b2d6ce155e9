"""From an outcome to an answer over HTTP: a status, a body, who made it; and the one shape that errors have."""

import json
from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from slipway.registry.errors import Conflict, Corrupt, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable
from slipway.serving.engine.outcome import MODEL_FAILED, Failed, MadeBy, Outcome, Predicted
from slipway.serving.transports.telling import MOST_MAKERS, told_of, why_model_failed

# The edge's table: how a kind of error becomes an HTTP status. The codes below are finer than their kind.
STATUS_OF_KIND: Mapping[type[SlipwayError], int] = {
    InvalidInput: 400,
    NotFound: 404,
    Conflict: 409,
    NotApproved: 403,
    Unavailable: 503,
    Corrupt: 500,
}
STATUS_OF_CODE: Mapping[str, int] = {
    "body-too-large": 413,
    "head-too-large": 431,
    "not-in-time": 408,
    "unpacks-too-large": 413,
    "wrong-content-type": 415,
    "method-not-allowed": 405,
    "prediction-timeout": 504,
}
JSON_TYPE = b"application/json"


# Not a dataclass: msgspec makes this one in a tenth of the time, and there is one for each request.
class Answer(Struct, frozen=True, gc=False):
    """A finished answer. `made_by` are the header lines that name model, version and variant; empty where none did."""

    status: int
    body: bytes
    made_by: bytes = b""
    content_type: bytes = JSON_TYPE
    error_code: str | None = None


def answer_to(outcome: Outcome, request_id: str) -> Answer:
    """Return what is sent for an outcome."""
    if isinstance(outcome, Predicted):
        return Answer(200, outcome.payload, header_lines(outcome.made_by))
    if isinstance(outcome, Failed):
        return model_failed(request_id, header_lines(outcome.made_by))
    return refusal(outcome.error, request_id, header_lines(outcome.made_by) if outcome.made_by else b"")


@lru_cache(MOST_MAKERS)
def header_lines(made_by: MadeBy) -> bytes:
    """Return the header lines that say who made an answer."""
    return b"".join(f"{name}: {value}\r\n".encode() for name, value in told_of(made_by).items())


def refusal(error: SlipwayError, request_id: str, made_by: bytes = b"") -> Answer:
    """Return the answer to a request that cannot be served: the error's document, and the request's id."""
    document = error.to_document()
    document["error"]["request_id"] = request_id
    status = STATUS_OF_CODE.get(error.code) or STATUS_OF_KIND[type(error)]
    return Answer(status, json.dumps(document).encode(), made_by, error_code=error.code)


def model_failed(request_id: str, made_by: bytes) -> Answer:
    """Return the answer when the model itself failed: its id leads to the log, and nothing else is sent."""
    error = {
        "kind": "ModelFailed",
        "code": MODEL_FAILED,
        "message": why_model_failed(request_id),
        "hint": None,
        "request_id": request_id,
    }
    return Answer(500, json.dumps({"error": error}).encode(), made_by, error_code=MODEL_FAILED)
