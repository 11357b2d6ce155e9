"""Read fitted linear models and perceptrons."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import linear_model, neural_network, svm

from slipway.serving.runtimes.compiled.estimator_parts import EstimatorParts, class_labels, require_own_labels
from slipway.serving.runtimes.compiled.unsupported import NotCompilable, type_name

LINEAR_CLASSIFIERS = (
    linear_model.LogisticRegression,
    linear_model.LogisticRegressionCV,
    linear_model.RidgeClassifier,
    linear_model.RidgeClassifierCV,
    linear_model.SGDClassifier,
    linear_model.Perceptron,
    svm.LinearSVC,
)
LINEAR_REGRESSORS = (
    linear_model.LinearRegression,
    linear_model.Ridge,
    linear_model.RidgeCV,
    linear_model.Lasso,
    linear_model.LassoCV,
    linear_model.ElasticNet,
    linear_model.ElasticNetCV,
    linear_model.SGDRegressor,
    linear_model.HuberRegressor,
    svm.LinearSVR,
)
NETWORKS = (neural_network.MLPClassifier, neural_network.MLPRegressor)


def _linear(fitted: Any) -> EstimatorParts:
    classes = class_labels(fitted)
    if classes is not None and getattr(fitted, "_label_binarizer", None) is not None:
        require_own_labels(fitted, classes)
    coef = np.asarray(fitted.coef_)
    if classes is not None and len(np.atleast_2d(coef)) != (1 if len(classes) <= 2 else len(classes)):
        raise NotCompilable(f"{type_name(fitted)} whose scores are not as it fits them")
    transposed = coef.T
    if classes is not None and transposed.ndim == 1:
        transposed = transposed[:, None]
    if classes is None and isinstance(fitted, linear_model.SGDRegressor):
        transposed = coef.ravel()
    intercept = np.asarray(fitted.intercept_)
    return EstimatorParts(
        opening={"estimator": "linear", "probabilities": _probabilities(fitted, classes)},
        arrays={"coef": transposed, "intercept": intercept},
        classes=classes,
    )


def _probabilities(fitted: Any, classes: npt.NDArray[Any] | None) -> str | None:
    if classes is None or not hasattr(fitted, "predict_proba"):
        return None
    if isinstance(fitted, linear_model.LogisticRegression):
        return "logistic" if len(classes) <= 2 else "softmax"
    if fitted.loss == "modified_huber":
        return "huber"
    return "logistic" if len(classes) <= 2 else "one_versus_rest"


def _require_own_threshold(fitted: Any, classes: npt.NDArray[Any]) -> None:
    """Refuse a network of which what turns scores to labels is not as it was fitted: it has a threshold of its own."""
    turns = fitted._label_binarizer
    found = (turns.neg_label, turns.pos_label, turns.y_type_, fitted.n_outputs_, fitted.out_activation_)
    of_two, of_many = (0, 1, "binary", 1, "logistic"), (0, 1, "multiclass", len(classes), "softmax")
    if found != (of_two if len(classes) <= 2 else of_many):
        raise NotCompilable(f"{type_name(fitted)} whose labels are not its classes")


def _network(fitted: Any) -> EstimatorParts:
    classes = class_labels(fitted)
    if (fitted.n_layers_, fitted.n_outputs_) != (len(fitted.coefs_) + 1, np.shape(fitted.coefs_[-1])[1]):
        raise NotCompilable(f"{type_name(fitted)} whose layers are not as it fits them")
    if classes is not None:
        require_own_labels(fitted, classes)
        _require_own_threshold(fitted, classes)
    arrays: dict[str, npt.NDArray[Any]] = {}
    for place, (coef, intercept) in enumerate(zip(fitted.coefs_, fitted.intercepts_, strict=True)):
        arrays |= {f"coef.{place}": coef, f"intercept.{place}": intercept}
    opening = {
        "estimator": "network",
        "layers": len(fitted.coefs_),
        "hidden": fitted.activation,
        "output": fitted.out_activation_,
    }
    return EstimatorParts(opening=opening, arrays=arrays, classes=classes)


READERS: Mapping[type, Callable[[Any], EstimatorParts]] = {
    **dict.fromkeys((*LINEAR_CLASSIFIERS, *LINEAR_REGRESSORS), _linear),
    **dict.fromkeys(NETWORKS, _network),
}
