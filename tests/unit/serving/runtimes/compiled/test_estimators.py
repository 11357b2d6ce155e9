"""Compiled estimators: labels, probabilities and numbers of scikit-learn's own."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, linear_model, neighbors, neural_network, svm, tree
from sklearn.base import is_classifier
from threadpoolctl import threadpool_limits

from slipway.serving.runtimes.compiled.read_estimator import read_estimator
from slipway.serving.runtimes.compiled.unsupported import NotCompilable
from slipway.serving.runtimes.verification.verify import differs
from slipway.serving.table import Table
from tests.generators.runtimes import columns_of, compiled

FEW: dict[str, Any] = {"n_estimators": 12, "random_state": 0}
SHALLOW: dict[str, Any] = {**FEW, "max_depth": 3}
MLP: dict[str, Any] = {"hidden_layer_sizes": (7, 5), "max_iter": 30, "random_state": 0}

CLASSIFIERS = [
    linear_model.LogisticRegression(max_iter=500),
    linear_model.RidgeClassifier(),
    linear_model.SGDClassifier(random_state=0),
    linear_model.SGDClassifier(loss="log_loss", random_state=0),
    linear_model.SGDClassifier(loss="modified_huber", random_state=0),
    linear_model.Perceptron(random_state=0),
    svm.LinearSVC(random_state=0),
    neural_network.MLPClassifier(**MLP),
    neural_network.MLPClassifier(**MLP, activation="tanh"),
    neural_network.MLPClassifier(**MLP, activation="logistic"),
    tree.DecisionTreeClassifier(random_state=0),
    tree.DecisionTreeClassifier(max_depth=2, random_state=0),
    tree.ExtraTreeClassifier(max_depth=4, random_state=0),
    ensemble.RandomForestClassifier(**FEW),
    ensemble.RandomForestClassifier(**SHALLOW),
    ensemble.RandomForestClassifier(**FEW, class_weight="balanced", min_samples_leaf=3),
    ensemble.ExtraTreesClassifier(**FEW),
    ensemble.ExtraTreesClassifier(**SHALLOW),
    ensemble.GradientBoostingClassifier(**FEW),
    ensemble.GradientBoostingClassifier(**FEW, init="zero"),
    ensemble.HistGradientBoostingClassifier(max_iter=12),
]
REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.Ridge(),
    linear_model.Lasso(alpha=0.01),
    linear_model.ElasticNet(alpha=0.01),
    linear_model.SGDRegressor(random_state=0),
    linear_model.HuberRegressor(),
    svm.LinearSVR(random_state=0),
    neural_network.MLPRegressor(**MLP),
    tree.DecisionTreeRegressor(random_state=0),
    tree.ExtraTreeRegressor(max_depth=4, random_state=0),
    ensemble.RandomForestRegressor(**FEW),
    ensemble.ExtraTreesRegressor(**SHALLOW),
    ensemble.GradientBoostingRegressor(**FEW),
    ensemble.GradientBoostingRegressor(**FEW, loss="huber"),
    ensemble.HistGradientBoostingRegressor(max_iter=12),
    ensemble.HistGradientBoostingRegressor(max_iter=12, loss="poisson"),
]
WITH_ONE_CLASS_PER_LEAF = (tree.DecisionTreeClassifier, ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Fit and ask histogram gradient boosting on one thread: on a busy machine its threads wait for each other."""
    with threadpool_limits(1):
        yield


def rows(n: int = 300, *, missing: bool = False) -> pd.DataFrame:
    """Return iris-like rows, rounded to their resolution."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal([5.8, 3.0, 3.8], [0.8, 0.4, 1.7], (n, 3)).round(1), columns=["a", "b", "c"])
    return frame.mask(rng.random(frame.shape) < 0.1) if missing else frame


def target(frame: pd.DataFrame, classes: int) -> np.ndarray:
    """Return noisy labels as text."""
    noise = np.random.default_rng(4).normal(0, 0.7, len(frame))
    score = frame.fillna(3.0).sum(axis=1) + noise
    return np.array(["x", "y", "z", "u", "v", "w", "p", "q"])[pd.qcut(score, classes, labels=False)]


def id_of(value: Any) -> str:
    return str(value).replace("\n", " ")


def assert_answers_equal(model: Any, frame: pd.DataFrame) -> None:
    """Compare every method in a batch and one row at a time."""
    columns = columns_of(frame)
    runner = compiled(model, columns)
    methods = [name for name in ("predict", "predict_proba") if hasattr(model, name)]
    for method in methods:
        expected = getattr(model, method)(frame)
        found = runner.predict(columns.table(frame), method, None)
        assert not differs(found, expected).any()
        assert found.dtype == expected.dtype
        for place in range(0, len(frame), 7):
            alone = runner.predict(columns.table(frame.iloc[[place]]), method, None)
            assert not differs(alone, expected[place : place + 1]).any()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=id_of)
def test_classifiers_answer_as_scikit_learn(model: Any, classes: int):
    """Labels are equal and probabilities within 1e-9, for two and for three classes of text."""
    frame = rows()
    assert_answers_equal(model.fit(frame, target(frame, classes)), frame)


@pytest.mark.parametrize("model", REGRESSORS, ids=id_of)
def test_regressors_answer_as_scikit_learn(model: Any):
    """Numbers are within 1e-9."""
    frame = rows()
    y = frame.sum(axis=1) + np.abs(np.random.default_rng(4).normal(0, 0.7, len(frame)))
    assert_answers_equal(model.fit(frame, y), frame)


@pytest.mark.parametrize("model", [m for m in CLASSIFIERS if isinstance(m, WITH_ONE_CLASS_PER_LEAF)], ids=id_of)
def test_probabilities_of_forests_are_equal_to_the_last_bit(model: Any):
    """Counted votes and added shares are the same sums in the same order, so that ties are broken alike."""
    frame = rows()
    columns = columns_of(frame)
    model.fit(frame, target(frame, 3))
    found = compiled(model, columns).predict(columns.table(frame), "predict_proba", None)
    np.testing.assert_array_equal(found, model.predict_proba(frame))


@pytest.mark.parametrize("n_estimators", [100, 130])
def test_votes_for_many_classes_fill_several_sums(n_estimators: int):
    """More classes than one double has room for are counted in two."""
    frame = rows().drop_duplicates(ignore_index=True)
    model = ensemble.RandomForestClassifier(n_estimators, random_state=0).fit(frame, target(frame, 8))
    assert read_estimator(model).opening["n_targets"] == 2
    assert_answers_equal(model, frame)


def test_tied_votes_go_to_the_first_class():
    """As many trees for one class as for another: the first in order wins, as with argmax."""
    frame = rows()
    model = ensemble.RandomForestClassifier(2, random_state=0).fit(frame, target(frame, 3))
    shares = np.sort(model.predict_proba(frame), axis=1)
    assert (shares[:, -1] == shares[:, -2]).sum() > 5
    assert_answers_equal(model, frame)


@pytest.mark.parametrize(
    "labels", [np.array([3, 7]), np.array([False, True]), np.array([1.0, 2.0]), np.array(["no", "yes"], dtype=object)]
)
@pytest.mark.parametrize("model", [linear_model.RidgeClassifier(), ensemble.RandomForestClassifier(**FEW)], ids=id_of)
def test_labels_keep_their_type(model: Any, labels: np.ndarray):
    """Whole numbers, flags, floats and text come back as they were trained."""
    frame = rows()
    model.fit(frame, labels[(frame.a > 5.8).astype(int)])
    assert_answers_equal(model, frame)


@pytest.mark.parametrize(
    "model",
    [
        ensemble.HistGradientBoostingClassifier(max_iter=12),
        ensemble.RandomForestClassifier(**FEW),
        ensemble.ExtraTreesClassifier(**FEW),
        tree.DecisionTreeClassifier(random_state=0),
    ],
    ids=id_of,
)
@pytest.mark.parametrize("in_training", [True, False])
def test_missing_values_go_the_way_of_the_trees(model: Any, in_training: bool):
    """Trees that take missing values send them where scikit-learn does, whether or not they saw some in training."""
    frame = rows(missing=in_training)
    model.fit(frame, target(frame, 3))
    assert_answers_equal(model, rows(missing=True))


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39, 3.4028235677973366e38, 3.4028235e38, 1e200])
@pytest.mark.parametrize(
    "model",
    [
        linear_model.Ridge(),
        neural_network.MLPRegressor(**MLP),
        ensemble.RandomForestRegressor(**FEW),
        ensemble.GradientBoostingRegressor(**FEW),
        ensemble.HistGradientBoostingRegressor(max_iter=12),
    ],
    ids=id_of,
)
def test_what_the_estimator_refuses_is_refused(model: Any, value: float):
    """NaN, infinities and what float32 does not hold are answered or refused as scikit-learn does."""
    frame = rows()
    model.fit(frame, frame.sum(axis=1))
    runner = compiled(model, columns_of(frame))
    frame.loc[0, "b"] = value

    def refuses(call: Any) -> bool:
        try:
            call()
        except ValueError:
            return True
        return False

    for some in (frame, frame.iloc[[0]]):
        table = columns_of(frame).table(some)
        assert refuses(lambda t=table: runner.predict(t, "predict", None)) == refuses(lambda s=some: model.predict(s))


def test_several_outputs_of_a_forest_are_means_of_its_leaves():
    """A forest of regressors with two outputs gives two columns."""
    frame = rows()
    model = ensemble.RandomForestRegressor(**FEW).fit(frame, frame[["a", "b"]].to_numpy() ** 2)
    assert_answers_equal(model, frame)


def test_a_tree_that_never_split_is_compiled():
    """One leaf answers for all rows."""
    frame = rows()
    model = tree.DecisionTreeRegressor(max_depth=1, min_samples_leaf=len(frame)).fit(frame, frame.a)
    assert model.tree_.node_count == 1
    assert_answers_equal(model, frame)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (neighbors.KNeighborsClassifier(), "KNeighborsClassifier"),
        (svm.SVC(), "SVC"),
        (ensemble.GradientBoostingClassifier(**FEW, init=linear_model.LogisticRegression()), "starts from"),
        (ensemble.HistGradientBoostingClassifier(max_iter=5, categorical_features=[0]), "categorical"),
    ],
    ids=id_of,
)
def test_what_cannot_be_compiled_is_named(model: Any, words: str):
    """An estimator, or an option of it, that we do not know is said by its name."""
    frame = rows()
    model.fit(frame.round(0), target(frame, 2))
    with pytest.raises(NotCompilable, match=words):
        read_estimator(model)


def test_several_labels_for_a_row_are_not_compiled():
    """Their answers are matrices, which nothing here makes."""
    frame = rows()
    several = np.column_stack([frame.a > 5, frame.b > 3]).astype(int)
    for model in (ensemble.RandomForestClassifier(**FEW), linear_model.RidgeClassifier()):
        with pytest.raises(NotCompilable, match="several"):
            read_estimator(model.fit(frame, several))


def made(classes: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows, and their labels as numbers."""
    frame = rows()
    return frame, np.unique(target(frame, classes), return_inverse=True)[1]


def other_members(model: Any) -> None:
    """Exchange the trees for classifiers with classes of their own."""
    frame, y = made(2)
    model.estimators_ = [tree.DecisionTreeClassifier(random_state=0).fit(frame, y + 7) for _ in model.estimators_]


def other_outputs(model: Any) -> None:
    """Have a member say of itself that it has more classes than the whole."""
    model.estimators_[0].n_classes_ += 1


def other_stages(model: Any) -> None:
    """Exchange a stage of boosting for another kind of tree."""
    frame, y = made(2)
    model.estimators_[0, 0] = tree.ExtraTreeRegressor(random_state=0).fit(frame, y)


def other_labels(model: Any) -> None:
    """Have what turns scores to labels know others than the classes."""
    model._label_binarizer.classes_ = model._label_binarizer.classes_[::-1].copy()


def fewer_layers(model: Any) -> None:
    """Have scikit-learn leave out the last."""
    model.n_layers_ -= 1


def other_threshold(model: Any) -> None:
    """Have scores turned to labels at another threshold."""
    model._label_binarizer.pos_label = 2


def two_outputs(model: Any) -> None:
    """Have a network for two classes give each a score: its labels are of the second one alone."""
    model.coefs_[-1], model.intercepts_[-1] = np.ones((3, 2)), np.zeros(2)
    model.n_outputs_ = 2


def small_floats(model: Any) -> None:
    """Have boosting add in floats that swallow what is small."""
    model._baseline_prediction = model._baseline_prediction.astype(np.float32)


def whole_numbers(model: Any) -> None:
    """Have products of whole numbers wrap."""
    model.coef_ = np.full(model.coef_.shape, 2**62)


def two_scores(model: Any) -> None:
    """Have a model of two classes give each a score."""
    model.coef_, model.intercept_ = np.vstack([model.coef_, model.coef_]), np.zeros(2)


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (neural_network.MLPClassifier((3,), max_iter=20, random_state=0), two_outputs),
        (ensemble.HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2), small_floats),
        (linear_model.LinearRegression(), whole_numbers),
        (linear_model.LogisticRegression(), whole_numbers),
        (linear_model.LogisticRegression(), two_scores),
        (ensemble.RandomForestRegressor(3, random_state=0), other_members),
        (ensemble.RandomForestClassifier(3, random_state=0), other_outputs),
        (ensemble.GradientBoostingClassifier(n_estimators=3), other_stages),
        (neural_network.MLPClassifier((3,), max_iter=20, random_state=0), other_labels),
        (neural_network.MLPClassifier((3,), max_iter=20, random_state=0), other_threshold),
        (neural_network.MLPRegressor(hidden_layer_sizes=(3,), max_iter=20, random_state=0), fewer_layers),
    ],
)
def test_what_scikit_learn_would_not_have_fitted_is_not_compiled(model: Any, change: Callable[[Any], None]):
    """In a stored model that somebody has changed, scikit-learn reads here what we do not read."""
    frame, y = made(2)
    model.fit(frame, y)
    read_estimator(model)
    change(model)
    with pytest.raises(NotCompilable, match=r"not as it fits them|not its classes|adds in|reckons in"):
        read_estimator(model)


def test_every_estimator_here_is_what_it_is_taken_for():
    """The lists above hold classifiers and regressors, so that no test is one of the other kind in disguise."""
    assert all(is_classifier(model) for model in CLASSIFIERS)
    assert not any(is_classifier(model) for model in REGRESSORS)


def test_an_unknown_method_is_refused():
    """A request for probabilities of a model without them is a wrong request."""
    frame = rows()
    runner = compiled(linear_model.Ridge().fit(frame, frame.a), columns_of(frame))
    with pytest.raises(Exception, match="no method 'predict_proba'; it has: predict"):
        runner.predict(Table(np.zeros((1, 3))), "predict_proba", None)
