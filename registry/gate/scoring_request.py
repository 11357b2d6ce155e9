"""Rows as callers send them: a body of MLflow's scoring protocol."""

import base64
import json
from typing import Any

import numpy as np
import pandas as pd


def request_of(features: pd.DataFrame, *, method: str | None = None) -> str:
    """Return rows as JSON; `method` is what Slipway's engine is asked for, where that is not `predict`.

    >>> request_of(pd.DataFrame({"x": [1.5, None]}))
    '{"dataframe_split": {"columns": ["x"], "data": [[1.5], [null]]}}'
    """
    values = features.astype(object).where(features.notna(), None).to_numpy().tolist()
    document: dict[str, Any] = {"dataframe_split": {"columns": list(features), "data": values}}
    if method is not None:
        document["params"] = {"method": method}
    return json.dumps(document, default=_plain)


def _plain(value: Any) -> Any:
    """Return a value that JSON has no form for as a caller would write it: bytes as MLflow reads them, in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.item() if isinstance(value, np.generic) else str(value)
