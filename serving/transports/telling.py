"""What every transport says beside an answer: who made it, or whose fault it is that there is none."""

from collections.abc import Mapping
from functools import lru_cache

from slipway.serving.engine.outcome import MadeBy

ENGINE_FAILED = "engine-failed"
MOST_MAKERS = 1024


@lru_cache(MOST_MAKERS)
def told_of(made_by: MadeBy) -> Mapping[str, str]:
    """Return name → value of the headers that say who made an answer, in ASCII."""
    told = {
        "x-slipway-model": made_by.model,
        "x-slipway-version": str(made_by.version),
        "x-slipway-variant": made_by.variant,
        **({} if made_by.is_recorded else {"x-slipway-recorded": "no"}),
    }
    return {name: _for_a_header(value) for name, value in told.items()}


def _for_a_header(text: str) -> str:
    """Return a text as a header may hold it: a model's name may have other letters, and end the line.

    >>> print(_for_a_header("größe\\r\\n"))
    gr\\xf6\\xdfe\\r\\n
    """
    return "".join(each if " " <= each <= "~" else ascii(each)[1:-1] for each in text)


def why_model_failed(request_id: str) -> str:
    """Return what is said when the model itself failed: the id leads to the log, and nothing else is sent."""
    return f"the model failed on this request; the engine's log has the reason under request {request_id}"


def why_engine_failed(request_id: str) -> str:
    """Return what is said when the engine itself is at fault: the id leads to the log, and nothing else is sent."""
    return f"the engine failed on this request; its log has the reason under request {request_id}"
