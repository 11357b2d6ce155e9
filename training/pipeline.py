"""From raw columns to an unfitted Pipeline of scikit-learn's own types.

Only scikit-learn's types, so that the model takes raw rows wherever it is served and loads without
Slipway. Trees get ordinal codes and no scaling: a scaler before a tree moves values across its
thresholds by rounding and gains nothing.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from slipway.training.dataset import ColumnKind, ColumnSchema
from slipway.training.estimators import ChosenEstimator

MISSING_CATEGORY = "(missing)"
MOST_CATEGORIES = 100


def build_pipeline(
    columns: Sequence[ColumnSchema], chosen: ChosenEstimator, missing_words: Sequence[str] = ()
) -> Pipeline:
    """Return an unfitted Pipeline `prepare` → `estimator` over the named columns of a frame.

    Numbers are imputed by their median (unless the estimator takes missing values itself) and scaled
    unless it is a tree; strings are imputed by a category of their own, which words that mean missing become too, and
    encoded so that an unseen one is tolerated; booleans pass. A column that is in the frame but not named is ignored.
    """
    named = {kind: [c.name for c in columns if c.kind is kind] for kind in ColumnKind}
    parts = [
        ("numbers", _numbers(chosen), named[ColumnKind.NUMERIC]),
        ("flags", "passthrough", named[ColumnKind.BOOLEAN]),
        ("categories", _categories(missing_words, trees=chosen.trees), named[ColumnKind.CATEGORICAL]),
    ]
    prepare = ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)
    return Pipeline([("prepare", prepare), ("estimator", chosen.estimator)])


def _numbers(chosen: ChosenEstimator) -> Pipeline | str:
    impute = [] if chosen.takes_missing else [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    scale = [] if chosen.trees else [("scale", StandardScaler())]
    return Pipeline(impute + scale) if impute or scale else "passthrough"


def _categories(missing_words: Sequence[str], *, trees: bool) -> Pipeline:
    # JSON null arrives as NaN, a DataFrame's None as None, words as they are; one imputer knows one of them.
    means_missing: dict[str, float | str | None] = {"impute": np.nan, "impute_none": None}
    means_missing |= {f"impute_word_{place}": word for place, word in enumerate(missing_words, start=1)}
    impute = [
        (
            name,
            SimpleImputer(
                missing_values=value, strategy="constant", fill_value=MISSING_CATEGORY, keep_empty_features=True
            ),
        )
        for name, value in means_missing.items()
    ]
    encoder = (
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        if trees
        else OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False)
    )
    return Pipeline([*impute, ("encode", encoder)])
