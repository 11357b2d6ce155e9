"""Read a fitted scikit-learn estimator into what compiled scoring needs of it: names, arrays, and maybe trees."""

from dataclasses import replace
from typing import Any

import numpy as np

from slipway.serving.runtimes.compiled import read_boosters, read_linear, read_trees
from slipway.serving.runtimes.compiled.estimator_parts import EstimatorParts
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name


def read_estimator(fitted: Any) -> EstimatorParts:
    """Return what compiled scoring needs of a fitted estimator.

    Raises
    ------
    NotCompilable
        Its type, or an option of it, is not known to us.
    """
    read = (
        read_linear.READERS.get(type(fitted))
        or read_trees.READERS.get(type(fitted))
        or read_boosters.READERS.get(type_name(fitted))
    )
    if read is None:
        raise NotCompilable(f"{type_name(fitted)} is not an estimator known here")
    parts = read(fitted)
    if others := [name for name, array in parts.arrays.items() if array.dtype != np.float64]:
        raise NotCompilable(f"{type_name(fitted)} that reckons in other numbers than doubles ({others[0]})")
    # CatBoost, once stored, does not know its number of features.
    n_features = parts.opening["n_features"] if parts.trees else fitted.n_features_in_
    return replace(parts, opening={**parts.opening, **_finite(fitted, n_features)})


def _finite(fitted: Any, n_features: int) -> dict[str, Any]:
    """Return what the estimator takes besides finite numbers, by asking it."""
    in_float32 = isinstance(fitted, read_trees.COMPARING_IN_FLOAT32)
    return {
        "takes_nan": _takes(fitted, n_features, np.nan),
        "takes_infinite": _takes(fitted, n_features, np.inf),
        "dtype": "float32" if in_float32 else "float64",
    }


def _takes(fitted: Any, n_features: int, value: float) -> bool:
    row = np.zeros((1, n_features))
    row[0, 0] = value
    names = fitted.__dict__.pop("feature_names_in_", None)  # a bare array has none, and is warned of
    try:
        fitted.predict(row)
    except ValueError:
        return False
    finally:
        if names is not None:
            fitted.feature_names_in_ = names
    return True
