"""The door to the estimator within MLflow's wrapper of a flavor, whose other methods callers ask for as well.

MLflow's wrappers answer by one method. What a model's classes are, and how likely each, only the estimator says.
"""

from typing import Any

from mlflow.sklearn import _SklearnModelWrapper

# Other flavors whose models may have scikit-learn's interface, by the modules of their wrappers (MLflow 3.17).
BOOSTERS = ("mlflow.xgboost", "mlflow.lightgbm", "mlflow.catboost")


def fitted_estimator(served: Any) -> Any:
    """Return the estimator that answers for a model which MLflow loaded; `None` where it has another interface.

    A booster that was trained without scikit-learn's interface has no classes, and answers scores of its own.
    """
    wrapper = served._model_impl
    if isinstance(wrapper, _SklearnModelWrapper):
        return wrapper.sklearn_model
    if type(wrapper).__module__ not in BOOSTERS:
        return None
    found = wrapper.get_raw_model()
    return found if hasattr(found, "get_params") else None
