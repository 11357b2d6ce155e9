"""What becomes of a request for scoring, in no protocol's words: the transport makes statuses, headers and bodies."""

from typing import Any, NamedTuple

from msgspec import Struct

from slipway.registry.errors import SlipwayError


class MadeBy(NamedTuple):
    """Who made an answer; `is_recorded` is false where an alias alone put that version there, and no decision."""

    model: str
    version: int
    variant: str
    is_recorded: bool


# These are msgspec's and no dataclasses: there is one for each request.
class Predicted(Struct, frozen=True, gc=False):
    """The model answered; `payload` is what its protocol wrote of the predictions."""

    payload: bytes
    made_by: MadeBy


class Refused(Struct, frozen=True, gc=False):
    """The request cannot be answered: what it asks is wrong, or what would answer is away.

    `made_by` is `None` where no version had taken it.
    """

    error: SlipwayError
    made_by: MadeBy | None = None


class Failed(Struct, frozen=True, gc=False):
    """The model failed on this request: the log has the reason under the request's id, and callers hear no more."""

    made_by: MadeBy


Outcome = Predicted | Refused | Failed
ANSWERED, REFUSED, FAILED = "answered", "refused", "failed"
MODEL_FAILED = "model-failed"


def kind_of(outcome: Any) -> tuple[str, str | None]:
    """Return what an outcome is called, and its code; `None` for what was answered."""
    if isinstance(outcome, Predicted):
        return ANSWERED, None
    return (REFUSED, outcome.error.code) if isinstance(outcome, Refused) else (FAILED, MODEL_FAILED)
