"""What a caller sees of a model's answer: JSON, and of which form it is."""

from typing import Any

import numpy as np
import pandas as pd

from slipway.registry.signature import NUMBER, TEXT, TRUTH, WHOLE


def plain(answer: Any) -> Any:
    """Return an answer as JSON would hold it: a table as its rows, whose names are texts (PyTorch's are numbers)."""
    if isinstance(answer, pd.DataFrame):
        return answer.set_axis([str(name) for name in answer.columns], axis=1).to_dict(orient="records")
    return answer.tolist() if isinstance(answer, np.ndarray | pd.Series) else answer


def json_form(value: Any) -> str:
    """Return the form of a plain value in words; missing values among others have none.

    >>> json_form([{"name": "a", "score": 0.5}, {"name": None, "score": 1.5}])
    'list of {name: text, score: numbers}'
    """
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {json_form(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"list of {' or '.join(_forms(value)) or 'nothing'}"
    if isinstance(value, np.generic):
        value = value.item()
    kinds = ((bool, TRUTH), (int, WHOLE), (float, NUMBER), (str, TEXT))
    return next((kind for of, kind in kinds if isinstance(value, of)), type(value).__name__)


def _forms(values: "list[Any] | tuple[Any, ...]") -> list[str]:
    """Return the distinct forms of values; of rows, that of each field over all of them."""
    known = [each for each in values if each is not None]
    if known and all(isinstance(each, dict) for each in known):
        names = list(dict.fromkeys(name for each in known for name in each))
        fields = [f"{name}: {' or '.join(_forms([each.get(name) for each in known])) or 'nothing'}" for name in names]
        return [f"{{{', '.join(fields)}}}"]
    return sorted({json_form(each) for each in known})
