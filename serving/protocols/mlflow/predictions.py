"""What a model predicted, as the JSON that answers `/invocations` and `/predict`.

The same JSON as MLflow's scoring server writes, once it is read again, with one difference: NaN and the infinities
become `null`, since strict parsers refuse MLflow's tokens for them (docs/decisions/0005). What JSON has no form for
raises `TypeError`, as there: the model's fault, not the caller's. `Decimal`, on which MLflow fails, is a number.
"""

import base64
import datetime
import json
import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np

_encode = msgspec.json.Encoder().encode
PLAIN = frozenset({str, int, float, bool, type(None)})
# Kinds of arrays whose `tolist()` is plain: booleans, integers, floats, texts.
PLAIN_KINDS = frozenset("biufU")


def encode(predictions: Any) -> bytes:
    """Return `{"predictions": …}`.

    >>> encode(np.array([[0.25, np.nan]])), encode(["setosa"])
    (b'{"predictions":[[0.25,null]]}', b'{"predictions":["setosa"]}')
    """
    return to_json({"predictions": jsonable(predictions)})


def encode_unwrapped(predictions: Any) -> bytes:
    """Return the predictions alone, as MLflow answers requests in formats for language models."""
    return to_json(jsonable(predictions))


def jsonable(predictions: Any) -> Any:
    """Return predictions as JSON's own types: lists, dictionaries, texts, numbers; frames and series as records."""
    if isinstance(predictions, np.ndarray):
        values = predictions.tolist()
        return values if predictions.dtype.kind in PLAIN_KINDS else _plain(values)
    return _plain(_records(predictions))


def _records(predictions: Any) -> Any:
    """Return a frame or series as records; a worker that never loaded pandas has none."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return predictions
    if isinstance(predictions, pandas.Series):
        predictions = pandas.DataFrame(predictions)
    return predictions.to_dict(orient="records") if isinstance(predictions, pandas.DataFrame) else predictions


def _plain(value: Any) -> Any:
    """Return a value as `json.dumps` with MLflow's `NumpyEncoder` understands it."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, list | tuple):
        return list(value) if set(map(type, value)) <= PLAIN else [_plain(each) for each in value]
    if isinstance(value, dict):
        return {_key(key): _plain(each) for key, each in value.items()}
    return _scalar(value)


def _scalar(value: Any) -> Any:
    """Return what is neither a list nor a dictionary, in the order in which Python's encoder and MLflow's ask."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float | Decimal):
        return float(value)
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    pydantic = sys.modules.get("pydantic")
    if pydantic is not None and isinstance(value, pydantic.BaseModel):
        return _plain(value.model_dump())
    raise TypeError(f"predictions of type {type(value).__name__} have no form in JSON")


def _key(key: Any) -> str:
    """Return a dictionary's key as Python's encoder writes it."""
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, float):
        return json.dumps(float(key))
    if key is None or isinstance(key, int):
        return json.dumps(key)
    raise TypeError(f"a key of type {type(key).__name__} has no form in JSON")


def to_json(value: Any) -> bytes:
    """Return a value of JSON's own types as JSON; msgspec writes what is not finite as null.

    Integers beyond 64 bits and halves of surrogate pairs are for Python's encoder.
    """
    try:
        return _encode(value)
    except (OverflowError, UnicodeEncodeError):
        return json.dumps(_finite(value), separators=(",", ":")).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
