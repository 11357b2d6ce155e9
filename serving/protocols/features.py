"""The plain form of `/predict`: `{"features": …}` with one row as a list, or rows, or objects."""

import json
from collections.abc import Sequence
from typing import Any

from registry.errors import InvalidInput

EXPECTED = 'one row as a list, a list of rows, or a list of objects: {"features": [[1.5, "red"]]}'


def as_dataframe(body: bytes, columns: Sequence[str]) -> bytes:
    """Return the body as MLflow's own parsing takes it: `dataframe_split` for lists, `dataframe_records` for objects.

    Raises
    ------
    InvalidInput
        The body is no JSON object with `features`, or they are no rows.
    """
    document = _document(body)
    features = document.pop("features")
    if isinstance(features, dict):
        features = [features]
    if not isinstance(features, list) or not features:
        raise _wrong("'features' holds no rows")
    if all(isinstance(row, dict) for row in features):
        return json.dumps({"dataframe_records": features, **document}).encode()
    rows = features if all(isinstance(row, list) for row in features) else [features]
    if any(isinstance(value, list | dict) for row in rows for value in row):
        raise _wrong("'features' mixes rows and values")
    wrong = next((row for row in rows if columns and len(row) != len(columns)), None)
    if wrong is not None:
        raise _wrong(f"a row has {len(wrong)} values, and the model takes {len(columns)}: {', '.join(columns)}")
    split: dict[str, Any] = {"data": rows, **({"columns": list(columns)} if columns else {})}
    return json.dumps({"dataframe_split": split, **document}).encode()


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as error:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _wrong(f"the body is not JSON{where}") from None
    if not isinstance(document, dict) or "features" not in document:
        raise _wrong("the body has no 'features'")
    if unknown := sorted(document.keys() - {"features", "params"}):
        raise _wrong(f"the body has unknown keys besides 'features' and 'params': {', '.join(unknown)}")
    return document


def _wrong(what: str) -> InvalidInput:
    return InvalidInput(what, code="wrong-input", hint=EXPECTED)
