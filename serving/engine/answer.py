"""What the engine answers: a status, a body, and who made it; and the one shape that errors have."""

import json
from collections.abc import Mapping

from msgspec import Struct

from slipway.registry.errors import Conflict, Corrupt, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable

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
    "unpacks-too-large": 413,
    "wrong-content-type": 415,
    "method-not-allowed": 405,
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


def refusal(error: SlipwayError, request_id: str, made_by: bytes = b"") -> Answer:
    """Return the answer to a request that cannot be served: the error's document, and the request's id."""
    document = error.to_document()
    document["error"]["request_id"] = request_id
    status = STATUS_OF_CODE.get(error.code) or STATUS_OF_KIND[type(error)]
    return Answer(status, json.dumps(document).encode(), made_by, error_code=error.code)


def model_failed(request_id: str, made_by: bytes) -> Answer:
    """Return the answer when the model itself failed: its id leads to the log, and nothing else is sent."""
    message = f"the model failed on this request; the engine's log has the reason under request {request_id}"
    error = {"kind": "ModelFailed", "code": "model-failed", "message": message, "hint": None, "request_id": request_id}
    return Answer(500, json.dumps({"error": error}).encode(), made_by, error_code="model-failed")
