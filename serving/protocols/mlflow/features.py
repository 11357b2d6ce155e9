"""The body of `/predict`, `{"features": …}`, put as one of MLflow's protocol: the form is ours, the types MLflow's."""

from collections.abc import Mapping, Sequence
from typing import Any

from slipway.registry.errors import InvalidInput
from slipway.registry.signature import Signature
from slipway.registry.text import counted
from slipway.serving.table import is_of_columns

CODE = "wrong-input"
HINT = 'send {"features": [1.5, 2.0]} for one row, [[…], […]] for rows in the signature\'s order, or [{"column": 1.5}]'


def as_invocation(document: Any, signature: Signature | None) -> dict[str, Any]:
    """Return the request for `/invocations`; `InvalidInput` where the body has not the form.

    A list of values is one row, a list of lists are rows, an object is one row, a list of objects are rows. Without a
    signature of named columns they are passed on as `inputs`.
    """
    if not isinstance(document, dict) or "features" not in document:
        raise InvalidInput("the body must be a JSON object with the key features", code=CODE, hint=HINT)
    if document.keys() - {"features", "params"}:
        raise InvalidInput("the body may have the keys features and params only", code=CODE, hint=HINT)
    params = {"params": document["params"]} if "params" in document else {}
    features = document["features"]
    if signature is None or not is_of_columns(signature):
        return {"inputs": features, **params}
    rows = _rows(features)
    if isinstance(rows[0], dict):
        return {"dataframe_records": rows, **params}
    names = [field.name for field in signature.inputs]
    _require_length(rows, names)
    return {"dataframe_split": {"columns": names, "data": rows}, **params}


def _rows(features: Any) -> Sequence[Any]:
    """Return a list of lists or a list of objects."""
    if isinstance(features, Mapping):
        return [features]
    if not isinstance(features, list) or not features:
        raise InvalidInput("features must be a row or a list of rows, and not empty", code=CODE, hint=HINT)
    kinds = {dict if isinstance(each, dict) else list if isinstance(each, list) else None for each in features}
    if len(kinds) > 1:
        raise InvalidInput("features mixes values, lists and objects", code=CODE, hint=HINT)
    return [features] if kinds == {None} else features


def _require_length(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> None:
    for i, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise InvalidInput(
                f"row {i} of features has {counted(len(row), 'value')}; "
                f"the model takes {len(names)}: {', '.join(names)}",
                code=CODE,
                hint=HINT,
            )
