"""XGBoost's, LightGBM's and CatBoost's estimators: in which of their types models are stored, and where the trees are.

Their classes were read for this list: what they load by is the trees' own format (XGBoost's UBJSON, LightGBM's text,
CatBoost's cbm), which holds numbers and names, and runs no code. That a file has it is told by its content. The numbers
themselves are read by libraries that look at none of them: whoever serves such a model does that in another process.
"""

from slipway.registry.gate.safety.contents import is_catboost_model, is_lightgbm_model, is_xgboost_model

XGBOOST_ESTIMATORS = tuple(
    f"xgboost.sklearn.XGB{kind}" for kind in ("Classifier", "Regressor", "Ranker", "RFClassifier", "RFRegressor")
)
LIGHTGBM_ESTIMATORS = tuple(f"lightgbm.sklearn.LGBM{kind}" for kind in ("Classifier", "Regressor", "Ranker"))
CATBOOST_ESTIMATORS = tuple(f"catboost.core.CatBoost{kind}" for kind in ("", "Classifier", "Regressor", "Ranker"))
BOOSTERS = ("xgboost.core.Booster", "lightgbm.basic.Booster")
BOOSTER_ESTIMATORS = (*XGBOOST_ESTIMATORS, *LIGHTGBM_ESTIMATORS, *CATBOOST_ESTIMATORS)
BOOSTER_TYPES = (*BOOSTERS, *BOOSTER_ESTIMATORS)
# What skops stores of each as bytes, by the name of the attribute.
OF_BYTES = {"handle": is_xgboost_model, "__model": is_catboost_model}
OF_TEXT = {"_handle": is_lightgbm_model}


def form_of(content: bytes) -> str:
    """Return under which attribute a model in bytes is known; an empty text where it is none that is known."""
    return next((name for name, is_model in OF_BYTES.items() if is_model(content)), "")
