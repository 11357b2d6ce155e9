"""Why MLflow refused a request, in words that name the field and what it takes, and never what was sent.

MLflow has decided when this is asked; what is found here is the likeliest cause. Names of columns and types come from
the signature, so that nothing of the request is repeated.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from slipway.registry.signature import Field, Signature
from slipway.registry.text import counted

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
ONE_FORM = f"the body must be a JSON object with exactly one of {', '.join(FORMS)}"
TAKES: Mapping[str, str] = {
    "double": "a number (double)",
    "float": "a number (float)",
    "integer": "a whole number of 32 bits (integer)",
    "long": "a whole number of 64 bits (long)",
    "boolean": "true or false (boolean)",
    "string": "text (string)",
    "datetime": "a date and time without a zone (datetime)",
    "binary": "bytes as base64 text (binary)",
}
BITS: Mapping[str, int] = {"integer": 31, "long": 63}
# Sentences of MLflow's that hold shapes and types only.
HARMLESS = (
    re.compile(r"Shape of input \([\d, ]*\) does not match expected shape \([-\d, ]*\)"),
    re.compile(r"dtype of input [\w<>|\[\]]+ does not match expected dtype [\w<>|\[\]]+"),
)
MOST_NAMED = 12
LEFT_OUT = object()

Rows = Sequence[Mapping[Any, Any]]
# Asks which column is refused, by its name, where nothing else tells.
Blame = Callable[[], str | None]


def why_not_json(body: bytes) -> str:
    """Return what keeps a body from being a request in JSON, by its place alone."""
    try:
        json.loads(body)
    except UnicodeDecodeError as error:
        return f"the body is not UTF-8 text: see byte {error.start}"
    except json.JSONDecodeError as error:
        return f"the body is not JSON: see line {error.lineno}, column {error.colno}"
    except RecursionError:
        return "the body is nested too deeply"
    except ValueError:
        return "the body has a number of too many digits"
    return ONE_FORM


def why_refused(document: Mapping[str, Any], signature: Signature | None, said: str, blame: Blame) -> str:
    """Return why a JSON request was refused; `said` is MLflow's own message."""
    present = [form for form in FORMS if form in document]
    if len(present) != 1:
        return f"{ONE_FORM}; it has {' and '.join(present) or 'none of them'}"
    if signature is None:
        return f"{present[0]} cannot be read as a table or an array"
    rows = _rows(present[0], document[present[0]])
    if isinstance(rows, str):
        return rows
    return _why_rows(rows, signature, said, blame)


def why_table_refused(rows: Rows, signature: Signature | None, said: str, blame: Blame) -> str:
    """Return why rows of a Parquet or CSV file were refused."""
    return _why_rows(rows, signature, said, blame) if signature else "the file cannot be read as a table"


def why_csv_refused(rows: Rows, signature: Signature | None, said: str, blame: Blame) -> str:
    """Return why rows of a CSV file were refused: no pandas reads a date by its type, so that MLflow takes none."""
    header = rows[0].keys() if rows else ()
    dates = [field.name for field in (signature.inputs if signature else ()) if field.type == "datetime"]
    if found := [name for name in dates if name in header]:
        return f"column '{found[0]}' takes a date and time, which MLflow reads from no CSV: send JSON or Parquet"
    return why_table_refused(rows, signature, said, blame)


def taken(signature: Signature | None) -> str | None:
    """Return what the model takes, for a hint."""
    if signature is None:
        return None
    named = [f"{f.name} ({_word(f)}{'' if f.required else ', optional'})" for f in signature.inputs[:MOST_NAMED]]
    more = len(signature.inputs) - len(named)
    return f"the model takes {', '.join(named)}{f' and {more} more' if more else ''}"


def _why_rows(rows: Rows, signature: Signature, said: str, blame: Blame) -> str:
    found = next(_causes(rows, signature), None) or _from_mlflow(said, signature)
    return found or _of_column(blame(), signature) or "the request does not fit the model's signature"


def _of_column(name: str | None, signature: Signature) -> str | None:
    return next((_has_something_else(field) for field in signature.inputs if field.name == name), None)


def _has_something_else(field: Field) -> str:
    return f"column '{field.name}' takes {TAKES.get(field.type, _word(field))}; some rows have something else"


def _causes(rows: Rows, signature: Signature) -> Iterator[str]:
    if not signature.has_names or any(field.shape for field in signature.inputs):
        return
    there = {name for row in rows for name in row}
    missing = [field.name for field in signature.inputs if field.required and field.name not in there]
    if missing:
        yield f"missing {'column' if len(missing) == 1 else 'columns'} {_listed(missing)}"
    for field in signature.inputs:
        yield from _unfit_values(rows, field)
    for i, row in enumerate(rows, 1):
        if lacking := [field.name for field in signature.inputs if field.required and field.name not in row]:
            yield f"row {i} has no value for {_listed(lacking)}"


def _unfit_values(rows: Rows, field: Field) -> Iterator[str]:
    for i, row in enumerate(rows, 1):
        found = unfit(row.get(field.name, LEFT_OUT), field.type)
        if found:
            yield f"column '{field.name}' takes {TAKES[field.type]}; row {i} has {found}"


def unfit(value: Any, kind: str) -> str | None:
    """Return what a value is, where a column of this type takes none such.

    >>> unfit("12 years", "double"), unfit(None, "long"), unfit(1.5, "double")
    ('text that is no number', 'null', None)
    """
    if value is LEFT_OUT or kind not in TAKES:
        return None
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if kind in BITS:
        return _unfit_whole(value, kind)
    if kind in ("double", "float") and isinstance(value, str):
        return None if _reads(float, value) else "text that is no number"
    if kind == "binary" and not isinstance(value, str | bytes):
        return "no text"
    return None


def _unfit_whole(value: Any, kind: str) -> str | None:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "null" if value is None else "a number that is not finite"
    if isinstance(value, str):
        return None if _reads(int, value) else "text that is no whole number"
    return None if -(2 ** BITS[kind]) <= value < 2 ** BITS[kind] else "a number out of range"


def _reads(kind: type[int] | type[float], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _from_mlflow(said: str, signature: Signature) -> str | None:
    """Return what MLflow's message says of a field of the signature, or of shapes."""
    for field in signature.inputs:
        about = (
            f"convert column {field.name} to type '",
            f"types for column {field.name}. Can not",
            f"column '{field.name}'",
        )
        if any(words in said for words in about):
            return _has_something_else(field)
    return next((match[0] for words in HARMLESS if (match := words.search(said))), None)


def _rows(form: str, payload: Any) -> Rows | str:
    """Return the rows as column → value, as far as they have names; or what is wrong with the form."""
    if form == "dataframe_split":
        return _split_rows(payload)
    if isinstance(payload, dict) and form != "dataframe_records":
        return _column_rows(payload)
    if not isinstance(payload, list):
        return f"{form} must be a list of rows{'' if form == 'dataframe_records' else ' or an object of columns'}"
    wrong = next((i for i, row in enumerate(payload, 1) if not isinstance(row, dict)), None)
    if wrong and form == "dataframe_records":
        return f"row {wrong} of dataframe_records must be an object of column and value"
    return [row for row in payload if isinstance(row, dict)]


def _split_rows(payload: Any) -> Rows | str:
    if not isinstance(payload, dict) or "data" not in payload:
        return "dataframe_split must be an object with columns and data"
    if payload.keys() - {"columns", "index", "data"}:
        return "dataframe_split takes columns, index and data only"
    names, data = payload.get("columns"), payload["data"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "dataframe_split.columns must be a list of names"
    if len(set(names)) != len(names):
        return "dataframe_split.columns names a column twice"
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data):
        return "dataframe_split.data must be a list of rows, each a list of values"
    longer = next((i for i, row in enumerate(data, 1) if len(row) > len(names)), None)
    widest = max((len(row) for row in data), default=len(names))
    if longer or widest < len(names):
        number = longer or 1
        values, columns = counted(len(data[number - 1]), "value"), counted(len(names), "column")
        return f"row {number} of dataframe_split.data has {values} for {columns}"
    return [dict(zip(names, row, strict=False)) for row in data] or [dict.fromkeys(names, LEFT_OUT)]


def _column_rows(payload: Mapping[str, Any]) -> Rows | str:
    lengths = {len(values) for values in payload.values() if isinstance(values, list)}
    if not lengths:
        return [payload]
    if len(lengths) > 1:
        return "the columns have different numbers of values"
    n_rows = lengths.pop()
    columns = {name: values if isinstance(values, list) else [values] * n_rows for name, values in payload.items()}
    return [{name: values[i] for name, values in columns.items()} for i in range(n_rows)] or [
        dict.fromkeys(payload, LEFT_OUT)
    ]


def _word(field: Field) -> str:
    if field.shape is not None:
        return f"tensor of {field.type}, shape {field.shape}"
    return field.type if field.type in TAKES else "nested"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(f"'{name}'" for name in names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
