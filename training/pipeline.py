"""From raw columns to an unfitted Pipeline of scikit-learn's own types.

Only scikit-learn's types, so that the model takes raw rows wherever it is served and loads without
Slipway. Trees get ordinal codes and no scaling: a scaler before a tree moves values across its
thresholds by rounding and gains nothing.
"""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from slipway.training.dataset import ColumnKind, ColumnSchema
from slipway.training.dates import DateFeatures
from slipway.training.estimators import ChosenEstimator

PARTS = ("dt.year", "dt.month", "dt.day", "dt.day_of_week", "dt.day_of_year", "dt.hour")
AGE = ("dt.days", "dt.seconds")
NO_DATES = DateFeatures()
MISSING_CATEGORY = "(missing)"
MOST_CATEGORIES = 100


def build_pipeline(
    columns: Sequence[ColumnSchema],
    chosen: ChosenEstimator,
    missing_words: Sequence[str] = (),
    dates: DateFeatures = NO_DATES,
) -> Pipeline:
    """Return an unfitted Pipeline `prepare` → `estimator` over the named columns of a frame.

    Numbers are imputed by their median (unless the estimator takes missing values itself) and scaled
    unless it is a tree; strings are imputed by a category of their own, which words that mean missing become too, and
    encoded so that an unseen one is tolerated; booleans pass; dates become their parts and their age in days. A column
    that is in the frame but not named is ignored.
    """
    others = [column for column in columns if column.name not in dates.formats]
    named = {kind: [c.name for c in others if c.kind is kind] for kind in ColumnKind}
    parts: list[tuple[str, Any, Any]] = [
        ("numbers", _numbers(chosen), named[ColumnKind.NUMERIC]),
        ("flags", "passthrough", named[ColumnKind.BOOLEAN]),
        ("categories", _categories(missing_words, trees=chosen.trees), named[ColumnKind.CATEGORICAL]),
    ]
    # One by one: a column is asked for its dates, and a table has none.
    parts += [
        (f"date_{place}", _date(chosen, form, dates), name) for place, (name, form) in enumerate(dates.formats.items())
    ]
    prepare = ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)
    return Pipeline([("prepare", prepare), ("estimator", chosen.estimator)])


def _numbers(chosen: ChosenEstimator) -> Pipeline | str:
    impute = [] if chosen.takes_missing else [("impute", SimpleImputer(strategy="median", keep_empty_features=True))]
    scale = [] if chosen.trees else [("scale", StandardScaler())]
    return Pipeline(impute + scale) if impute or scale else "passthrough"


def _date(chosen: ChosenEstimator, form: str | None, dates: DateFeatures) -> Pipeline:
    """Return what makes numbers of one column of dates; a missing date is missing in each of them.

    Functions of NumPy and pandas alone, which `slipway.registry.gate.safety.skops_places` knows: a class of our own
    could not be loaded without Slipway.
    """
    read = FunctionTransformer(pd.to_datetime, kw_args={"format": form} if form else None)
    age = FunctionTransformer(partial(np.subtract, dates.reference))
    made = FeatureUnion([("parts", _taken(*PARTS)), ("age", Pipeline([("since", age), ("taken", _taken(*AGE))]))])
    numbers = _numbers(chosen)
    return Pipeline([("read", read), ("made", made), *([("numbers", numbers)] if numbers != "passthrough" else [])])


def _taken(*attributes: str) -> Pipeline:
    """Return what makes columns of attributes; several, as one alone would not be a tuple of columns."""
    take, turn = FunctionTransformer(attrgetter(*attributes)), FunctionTransformer(np.transpose)
    return Pipeline([("take", take), ("turn", turn)])


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
