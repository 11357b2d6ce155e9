"""Fitting a pipeline, with the estimator's complaints made readable."""

import re
import warnings

import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import BaseEnsemble
from sklearn.pipeline import Pipeline

from slipway.registry.errors import InvalidInput
from slipway.training.estimators import without_labels

WRITTEN_AT = re.compile(r"\A\s*\[\d\d:\d\d:\d\d\] (WARNING: )?\S+:\d+: ")


def fit(pipeline: Pipeline, features: pd.DataFrame, y: pd.Series) -> tuple[str, ...]:
    """Fit in place, on all cores where the estimator can, and return what it warned of.

    The number of cores is put back before the model is stored: a forest that starts a thread pool for
    every request answers one row many times slower.
    """
    estimator = pipeline.named_steps["estimator"]
    parallel = isinstance(estimator, BaseEnsemble) and getattr(estimator, "n_jobs", 1) is None
    if parallel:
        pipeline.set_params(estimator__n_jobs=-1)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pipeline.fit(features, y)
    except (ValueError, TypeError) as error:
        raise _refused(estimator, first_line(error)) from error
    except Exception as error:  # no thread could be started, a number too large for C, errors of other packages
        first = _first(error)
        raise _refused(estimator, f"{type(first).__name__}: {first_line(first)}") from error
    if parallel:
        pipeline.set_params(estimator__n_jobs=None)
    # The same estimators again, under their names, which no method reads: stored, they would be there twice.
    vars(estimator).pop("named_estimators_", None)
    return tuple(dict.fromkeys(first_line(warning.message) for warning in caught))


def _refused(estimator: BaseEstimator, why: str) -> InvalidInput:
    return InvalidInput(
        f"{type(without_labels(estimator)).__name__} cannot be fitted: {why}",
        code="fit-refused",
        hint="correct params, or choose another estimator",
    )


def _first(error: BaseException) -> BaseException:
    """Return the error with which it began: what fails while a pool of threads is taken down says nothing."""
    before = None if error.__suppress_context__ else error.__context__
    return error if before is None else _first(before)


def first_line(error: object) -> str:
    """Return the first line of what an error or warning says, or the name of its type.

    XGBoost's begin with the time, and with the place in its source, in a line of their own.

    >>> first_line(UserWarning('[09:58:47] WARNING: /src/learner.cc:782: \\nParameters: { "what" } are not used.'))
    'Parameters: { "what" } are not used.'
    """
    said = WRITTEN_AT.sub("", str(error)).strip()
    return said.splitlines()[0] if said else type(error).__name__
