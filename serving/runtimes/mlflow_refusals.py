"""What becomes of an error that a model raised: the caller's mistake, or the model's own failure.

MLflow's scoring server answers a `MlflowException` with the status of its code, so that models refuse requests by it;
all else that a model raises is its own failure, but for requests without rows, which hardly any model takes. A model's
own words are told, as far as they are short. MLflow's own repeat what was sent: of them, only types and the names of
fields that the model's type hints declare are told.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, get_args

import numpy as np
import pandas as pd
import pydantic
from mlflow.exceptions import MlflowException, RestException

from slipway.registry.errors import Conflict, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable
from slipway.serving.runtimes.compiled.matrix_runner import no_rows

CODE = "model-refused"
MOST_LETTERS = 300
MOST_CAUSES = 5
KINDS: Mapping[int, type[SlipwayError]] = {
    400: InvalidInput,
    401: NotApproved,
    403: NotApproved,
    404: NotFound,
    409: Conflict,
    429: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
ENFORCEMENT = "SCHEMA_ENFORCEMENT_FAILED"
# An error that is no MlflowException, raised while a request was compared with the hints: 500 by MLflow, for base64
# that is none and times that are none.
NOT_BY_HINT = "Failed to validate the input data against the type hint"
HINT = re.compile(r"type hint `([^`]*)`")
OF_TYPE = re.compile(
    r"Expected (?:type )?(?:str|int|float|bool|list|dict|bytes|datetime), but got "
    r"(?:str|int|float|bool|list|dict|NoneType)\b"
)
OF_FIELD = re.compile(r"(?:^|\\n|\n)([\w.]+)(?:\\n|\n) +[^\n]*?\[type=(\w+)")

Answer = TypeVar("Answer")


def asked(ask: Callable[[], Answer], given: Any, hint: Any = None) -> Answer:
    """Return what a model answers to what it is given; `hint` is the type that its `predict` declares, if any.

    Raises
    ------
    SlipwayError
        The model, or MLflow's code for it, refuses the request.
    Exception
        The model fails: whatever it raises.
    """
    try:
        return ask()
    except SlipwayError:
        raise
    except Exception as error:  # whatever the model raises: passed on where it is no refusal
        refused = _refusal(error, hint) or (no_rows() if has_no_rows(given) else None)
        if refused is None:
            raise
        raise refused from error


def has_no_rows(given: Any) -> bool:
    """Return whether a model's input is empty.

    >>> has_no_rows([]), has_no_rows({"a": np.zeros(0)}), has_no_rows(0), has_no_rows(pd.DataFrame({"a": [1]}))
    (True, True, False, False)
    """
    if isinstance(given, dict):
        return bool(given) and all(map(has_no_rows, given.values()))
    return isinstance(given, pd.DataFrame | pd.Series | np.ndarray | list) and np.ndim(given) > 0 and len(given) == 0


def _refusal(error: Exception, hint: Any) -> SlipwayError | None:
    if not isinstance(error, MlflowException) or isinstance(error, RestException):  # of a server that the model asks
        return None
    if error.error_class == ENFORCEMENT:
        # The error around it holds the whole request.
        return InvalidInput(_shortened(str(error.__context__)), code="signature-mismatch", hint=None)
    is_mlflows = _raised_by_mlflow(error)
    status = 400 if is_mlflows and NOT_BY_HINT in error.message else error.get_http_status_code()  # type: ignore[no-untyped-call]
    kind = KINDS.get(status)
    if kind is None:
        return None
    said = _harmless(error.message, hint) if is_mlflows else _shortened(error.message)
    return kind(f"the model refuses the request{f': {said}' if said else ''}", code=CODE, hint=None)


def _raised_by_mlflow(error: Exception) -> bool:
    """Return whether it was MLflow's own code that raised an error, and not the model's."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    name: str = place.tb_frame.f_globals.get("__name__", "") if place else ""
    return name.partition(".")[0] == "mlflow"


def _harmless(said: str, hint: Any) -> str:
    """Return what MLflow's words say of types and of declared fields."""
    declared = HINT.search(said)
    fields = frozenset(_fields(hint))
    wrong = [
        f"field '{place}' ({kind})"
        for place, kind in OF_FIELD.findall(said)
        if all(part.isdigit() or part in fields for part in place.split("."))
    ]
    causes = [*([f"its input is of type {declared[1]}"] if declared else []), *OF_TYPE.findall(said), *wrong]
    return _shortened("; ".join(dict.fromkeys(causes[:MOST_CAUSES])))


def _fields(hint: Any) -> Iterator[str]:
    """Yield the names of the fields in a type hint: those of pydantic's models, however deep."""
    if isinstance(hint, type) and issubclass(hint, pydantic.BaseModel):
        for name, field in hint.model_fields.items():
            yield field.alias or name
            yield from _fields(field.annotation)
    for part in get_args(hint):
        yield from _fields(part)


def _shortened(said: str) -> str:
    words = " ".join(said.split())
    return words if len(words) <= MOST_LETTERS else f"{words[:MOST_LETTERS]} …"
