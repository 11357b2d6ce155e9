"""What a model itself shows of its task: whole numbers that it answers may be classes or amounts."""

from typing import Any

from sklearn.base import is_regressor


def foretells_amounts(model: Any) -> bool:
    """Return whether a model says by scikit-learn's tags that it is a regressor."""
    return hasattr(model, "__sklearn_tags__") and bool(is_regressor(model))
