"""What can go wrong, cut by what the caller can do about it.

Every error of Slipway is one of six kinds. Errors of vendors (MLflow, SQLAlchemy, boto3) are
translated into them at the doors and travel no further. How a kind becomes an exit code or an
HTTP status is decided at each edge, not here.
"""

from collections.abc import Mapping
from typing import Any

from slipway.registry.masking import masked

NOT_AUTHENTICATED = "not-authenticated"
BUSY = "busy"  # nothing was done: the same may be asked again
NOT_RECOGNISED = frozenset({NOT_AUTHENTICATED, "mlflow-unauthenticated", "http-401"})


class SlipwayError(Exception):
    """Say what was asked, what was found and what to do.

    `code` is kebab-case and stable, for programs; `message` is one line, for people; `hint` is the
    next command or step, and is always stated, if only as ``None``. No error says a password that
    stands in a URL: what vendors say of their stores becomes a message, too.
    """

    def __init__(self, message: str, *, code: str, hint: str | None) -> None:
        message = masked(message)
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint

    def to_document(self) -> dict[str, Any]:
        """Return the one shape in which programs see an error."""
        return {
            "error": {
                "kind": type(self).__name__,
                "code": self.code,
                "message": self.message,
                "hint": self.hint,
            }
        }


class InvalidInput(SlipwayError):
    """The request itself is wrong: fix it."""


class NotFound(SlipwayError):
    """What was named does not exist: name another."""


class Conflict(SlipwayError):
    """The world is not as the request assumed: read again, then decide again."""


class NotApproved(SlipwayError):
    """A rule refuses the model: fix the model, or have the rule changed."""


def is_denied(error: BaseException) -> bool:
    """Return whether somebody may not do what they asked; who was not recognised at all may well be allowed to."""
    return isinstance(error, NotApproved) and error.code not in NOT_RECOGNISED


class Unavailable(SlipwayError):
    """Something needed does not answer: wait, then retry."""


class Corrupt(SlipwayError):
    """Stored bytes are not what was recorded: stop and look."""


KINDS = {kind.__name__: kind for kind in SlipwayError.__subclasses__()}


def error_from(document: Mapping[str, Any]) -> SlipwayError:
    """Return the error that `to_document` has written.

    >>> error_from(NotFound("no model 'm'", code="unknown-model", hint=None).to_document())
    NotFound("no model 'm'")

    Raises
    ------
    ValueError
        The document is none of an error.
    """
    try:
        said = document["error"]
        return KINDS[said["kind"]](said["message"], code=said["code"], hint=said["hint"])
    except (KeyError, TypeError) as error:
        raise ValueError("no document of an error") from error
