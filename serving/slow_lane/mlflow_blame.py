"""Which column MLflow refuses, where neither its message nor the values themselves tell: MLflow is asked again.

It is asked about fewer and fewer columns of the same request, so that a thousand columns cost ten more readings.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from mlflow.types import Schema

# A larger request is not read again: who sends what is refused should not keep others waiting for the reason.
MOST_BYTES = 2**20


def refused_column(schema: Schema | None, size_bytes: int, read: Callable[[Schema], Any]) -> str | None:
    """Return the first column that MLflow refuses alone; `read` reads and enforces the request by a part of the schema.

    `None` where each is accepted alone, for large requests, and for inputs without names.
    """
    if schema is None or not schema.has_input_names() or schema.is_tensor_spec() or size_bytes > MOST_BYTES:
        return None
    specs: Sequence[Any] = schema.inputs
    while len(specs) > 1:
        half = len(specs) // 2
        specs = specs[:half] if _is_refused(specs[:half], read) else specs[half:]
    name: str = specs[0].name
    return name if _is_refused(specs, read) else None


def with_columns(document: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return a request in JSON with a schema's columns alone, where they lie by their names."""
    names = set(schema.input_names())
    return {form: _with(payload, names) for form, payload in document.items() if form != "params"}


def _with(payload: Any, names: AbstractSet[Any]) -> Any:
    if isinstance(payload, list):
        return [_with(row, names) if isinstance(row, dict) else row for row in payload]
    if not isinstance(payload, dict) or names.isdisjoint(payload):
        return payload
    return {name: value for name, value in payload.items() if name in names}


def _is_refused(specs: Sequence[Any], read: Callable[[Schema], Any]) -> bool:
    try:
        read(Schema(list(specs)))
    except Exception:  # MLflow refuses by whatever it raises
        return True
    return False
