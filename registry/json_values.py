"""Plain values as strict JSON holds them."""

import math
from typing import Any


def finite(value: Any) -> Any:
    """Return the value with NaN and infinities as text, which strict JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return value
