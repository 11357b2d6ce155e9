"""A request of the V1 protocol, put as one of MLflow's: both have `instances` and `inputs`.

What differs: rows that are lists are taken in the signature's order, and the answer to `inputs` is called `outputs`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.registry.errors import InvalidInput
from slipway.registry.signature import Signature
from slipway.registry.text import counted
from slipway.serving.protocols.mlflow.diagnosis import why_not_json
from slipway.serving.protocols.mlflow.predictions import jsonable, to_json
from slipway.serving.table import is_of_columns

CODE = "wrong-input"
HINT = 'send {"instances": [[1.5, 2.0]]}, {"instances": [{"column": 1.5}]} or {"inputs": {"column": [1.5]}}'
ROWS, COLUMNS, PARAMS, PARAMETERS = "instances", "inputs", "params", "parameters"
SERVED = (None, "", "serving_default")
KNOWN = frozenset({ROWS, COLUMNS, PARAMS, PARAMETERS, "signature_name"})


@dataclass(frozen=True, kw_only=True, slots=True)
class V1Request:
    """A request, as the body of one for `/invocations`; `answer_key` is what the predictions are called."""

    body: bytes
    answer_key: str


def as_invocation(body: bytes, signature: Signature | None) -> V1Request:
    """Return the request of MLflow's protocol that means the same.

    Raises
    ------
    InvalidInput
        It has neither instances nor inputs, or both, or something that is not known here.
    """
    document = _document(body)
    form = _form(document)
    parameters = document.get(PARAMS, document.get(PARAMETERS))
    params = {} if parameters is None else {PARAMS: parameters}
    rows = _in_order(document[form], signature) if form == ROWS else None
    payload = {form: document[form]} if rows is None else {"dataframe_split": rows}
    content = json.dumps({**payload, **params}, separators=(",", ":")).encode()
    return V1Request(body=content, answer_key="predictions" if form == ROWS else "outputs")


def encode(answer_key: str, predictions: Any) -> bytes:
    """Return an answer: the predictions of `/invocations`."""
    return to_json({answer_key: jsonable(predictions)})


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(why_not_json(body), code=CODE, hint=HINT) from error
    if not isinstance(document, dict):
        raise InvalidInput("the body must be a JSON object", code=CODE, hint=HINT)
    return document


def _form(document: Mapping[str, Any]) -> str:
    if document.keys() - KNOWN:
        raise InvalidInput(f"the body may have the keys {', '.join(sorted(KNOWN))} only", code=CODE, hint=HINT)
    if document.get("signature_name") not in SERVED:
        raise InvalidInput("a model has one signature here: serving_default", code=CODE, hint=None)
    present = [form for form in (ROWS, COLUMNS) if form in document]
    if len(present) != 1:
        raise InvalidInput("the body must have either instances (rows) or inputs (columns)", code=CODE, hint=HINT)
    return present[0]


def _in_order(rows: Any, signature: Signature | None) -> Mapping[str, Any] | None:
    """Return rows that are lists, for columns that have names; `None` for all else, which MLflow reads as it is."""
    if signature is None or not is_of_columns(signature) or not isinstance(rows, list) or not rows:
        return None
    if not all(isinstance(row, list) for row in rows):
        return None
    names = [field.name for field in signature.inputs]
    for place, row in enumerate(rows, 1):
        if len(row) != len(names):
            words = f"row {place} of instances has {counted(len(row), 'value')}; the model takes {len(names)}"
            raise InvalidInput(f"{words}: {', '.join(names)}", code=CODE, hint=HINT)
    return {"columns": names, "data": rows}
