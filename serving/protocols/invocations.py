"""The answer of MLflow's scoring protocol: `{"predictions": …}`.

As MLflow writes it, but in strict JSON: NaN and the infinities, which JSON has no word for, become `null`.
"""

import datetime
import decimal
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

_encode = msgspec.json.Encoder().encode


def encode_predictions(predictions: Any) -> bytes:
    """Return the body of an answer.

    Raises
    ------
    TypeError
        The model returned something that has no form in JSON.
    """
    if isinstance(predictions, np.ndarray) and predictions.dtype.kind in "biufU":
        return b'{"predictions":%b}' % _encode(predictions.tolist())
    return b'{"predictions":%b}' % _encode(jsonable(predictions))


def jsonable(value: Any) -> Any:
    """Return a value of the field's types in those of JSON, as MLflow's encoder (3.17) does."""
    if hasattr(value, "to_dict"):
        frame = value.to_frame() if hasattr(value, "to_frame") else value
        return jsonable(frame.to_dict(orient="records"))
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist()) if value.dtype.kind not in "mM" else np.datetime_as_string(value).tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set):
        return [jsonable(each) for each in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, bytes):
        return value.decode()
    raise TypeError(f"the model returned {type(value).__name__}, which has no form in JSON")
