"""From an error to a status of gRPC, in the words that REST has for it."""

from collections.abc import Mapping
from urllib.parse import quote

import grpc
from msgspec import Struct

from slipway.registry.errors import Conflict, Corrupt, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable
from slipway.serving.engine.outcome import MODEL_FAILED
from slipway.serving.transports.telling import ENGINE_FAILED, why_engine_failed, why_model_failed

Code = grpc.StatusCode
# The edge's table: how a kind of error becomes a status. The codes below are finer than their kind.
STATUS_OF_KIND: Mapping[type[SlipwayError], grpc.StatusCode] = {
    InvalidInput: Code.INVALID_ARGUMENT,
    NotFound: Code.NOT_FOUND,
    Conflict: Code.ABORTED,
    NotApproved: Code.PERMISSION_DENIED,
    Unavailable: Code.UNAVAILABLE,
    Corrupt: Code.DATA_LOSS,
}
STATUS_OF_CODE: Mapping[str, grpc.StatusCode] = {
    "unpacks-too-large": Code.RESOURCE_EXHAUSTED,
    "model-busy": Code.RESOURCE_EXHAUSTED,
    "slow-lane-full": Code.RESOURCE_EXHAUSTED,
    "prediction-timeout": Code.DEADLINE_EXCEEDED,
    "deadline-exceeded": Code.DEADLINE_EXCEEDED,
    "no-such-call": Code.UNIMPLEMENTED,
}
# Statuses travel in metadata, of which clients take 8 KiB; what is not ASCII becomes three letters for each byte.
LONGEST_WORDS = 4096
CODE = "x-slipway-code"


class CallStatus(Struct, frozen=True, gc=False):
    """How a call ends that has no answer; `error_code` is what programs may go by."""

    code: grpc.StatusCode
    words: str
    error_code: str


def status_of(error: SlipwayError) -> CallStatus:
    """Return the status of an error: its message, and the hint behind it."""
    words = f"{error.message} ({error.hint})" if error.hint else error.message
    code = STATUS_OF_CODE.get(error.code) or STATUS_OF_KIND[type(error)]
    return CallStatus(code, _bounded(words), error.code)


def model_failed(request_id: str) -> CallStatus:
    """Return the status where the model itself failed."""
    return CallStatus(Code.INTERNAL, why_model_failed(request_id), MODEL_FAILED)


def engine_failed(request_id: str) -> CallStatus:
    """Return the status where the engine itself is at fault."""
    return CallStatus(Code.INTERNAL, why_engine_failed(request_id), ENGINE_FAILED)


def _bounded(words: str) -> str:
    """Return words that fit into metadata, by whatever letters.

    >>> len(_bounded("x" * 5000)), len(_bounded("ß" * 5000)), _bounded("short")
    (4096, 682, 'short')
    """
    words = words.encode(errors="replace").decode()[:LONGEST_WORDS]
    while (size := len(quote(words, safe=" "))) > LONGEST_WORDS and not words.isascii():
        words = words[: max(len(words) * LONGEST_WORDS // size, 1)]
    return words
