"""What a version answers is one value a row, of classes that it knows; anything else is never compared."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slipway.registry.gate.comparison.answers import (
    CannotCompare,
    Said,
    WrongAnswers,
    as_numbers,
    require_alike_alone,
    require_known_labels,
    require_probabilities,
    require_scores,
    said,
    said_by_threads,
)
from slipway.registry.gate.evidence import NO_TOOLS

FEATURES = pd.DataFrame({"x": np.linspace(0, 1, 40)})


class Answering:
    """A model with answers that were made before."""

    columns = ("x",)
    optional = frozenset[str]()
    method = "predict"

    def __init__(self, labels, scores=None, classes=(0, 1)) -> None:
        self.model = self
        self.labels = labels
        self.classes_ = classes
        if scores is not None:
            self.predict_proba = lambda features: scores

    def fitting(self, features: pd.DataFrame) -> pd.DataFrame:
        return features

    def called(self, features: pd.DataFrame) -> np.ndarray:
        return getattr(self, self.method)(features)

    def predict(self, features: pd.DataFrame):
        return self.labels


def asked(model: Answering) -> Said:
    """Ask a model about the forty rows."""
    tools = replace(NO_TOOLS, load=lambda folder: model)
    return said(tools, Path("m"), FEATURES, version="m/2")


class Writing(Answering):
    """A model that writes into what it is asked about, as scikit-learn's transformers do with `copy=False`."""

    def __init__(self) -> None:
        super().__init__(None, classes=())
        self.decision_function = self.predict

    def predict(self, features: pd.DataFrame):
        values = features.to_numpy(copy=False)
        values.flags.writeable = True
        found = values[:, 0].copy()
        values *= 2
        return found


def test_a_model_that_writes_into_its_rows_changes_no_other_answer():
    """Neither its own nor what others are asked about afterwards."""
    before = FEATURES.copy()
    for _ in range(2):
        found = asked(Writing())
        np.testing.assert_array_equal(found.labels, before["x"])
        pd.testing.assert_frame_equal(FEATURES, before)


@pytest.mark.parametrize(
    "labels",
    [np.array([1]), np.array(1), [], np.zeros(39), np.zeros(41), np.zeros((40, 2)), np.zeros((1, 40)), "yes", None],
)
def test_another_number_of_answers_than_rows_is_an_error(labels):
    """One value for all rows would else be spread over them without a word."""
    with pytest.raises(WrongAnswers, match=r"m/2 answers with shape .* to 40 rows"):
        asked(Answering(labels))


@pytest.mark.parametrize(
    "labels", [np.zeros((40, 1)), pd.DataFrame({"y": np.zeros(40)}), pd.Series(np.zeros(40)), [0] * 40]
)
def test_one_answer_a_row_may_come_in_any_container(labels):
    """A frame of one column is what MLflow's own flavors give."""
    assert asked(Answering(labels)).labels.shape == (40,)


@pytest.mark.parametrize("shape", [(40,), (40, 1), (40, 3), (1, 2), (39, 2), (2, 40), (2, 40, 2)])
def test_scores_are_of_each_row_and_each_class(shape: tuple[int, ...]):
    """A model of two classes gives two columns."""
    with pytest.raises(WrongAnswers, match="m/2 gives class scores of shape"):
        asked(Answering(np.zeros(40), np.full(shape, 0.5)))


@pytest.mark.parametrize("missing", [None, np.nan, pd.NaT])
def test_a_missing_label_is_no_answer(missing):
    """It is not simply a wrong one, of which a few would be within the margin."""
    labels = np.array([0, 1] * 20, dtype=object)
    labels[3] = missing
    with pytest.raises(CannotCompare, match="1 of 40 answers of m/2 are missing"):
        require_known_labels(asked(Answering(labels)), "m/2")


def test_a_label_is_one_of_the_classes():
    """Where the model says which there are."""
    with pytest.raises(WrongAnswers, match="m/2 answers 7, which is none of its classes"):
        require_known_labels(asked(Answering(np.array([0] * 39 + [7]))), "m/2")
    require_known_labels(asked(Answering(np.array([0] * 39 + [7]), classes=())), "m/2")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([0.9, 0.9], "do not add up to 1"),
        ([0.0, 0.0], "do not add up to 1"),
        ([1.5, -0.5], "do not add up to 1"),
        ([np.nan, 1.0], "are not finite numbers"),
        ([np.inf, 0.0], "are not finite numbers"),
    ],
)
def test_probabilities_are_some(row: list[float], words: str):
    """Of no row may they be missing, infinite, negative, or add up to something else than 1."""
    scores = np.full((40, 2), 0.5)
    scores[5] = row
    with pytest.raises(CannotCompare, match=words):
        require_probabilities(asked(Answering(np.zeros(40), scores)), "m/2")


def test_scores_of_classes_that_nobody_names_are_of_no_use():
    """Every row's loss would be the largest, of both versions alike."""
    answered = asked(Answering(np.zeros(40), np.full((40, 2), 0.5), classes=()))
    with pytest.raises(CannotCompare, match="does not say of which classes"):
        require_scores(answered, "m/2")


@pytest.mark.parametrize("strange", [None, np.nan, np.inf, -np.inf, "much"])
def test_numbers_are_finite(strange):
    """None becomes NaN on the way, and text is no number."""
    with pytest.raises(CannotCompare, match="answers of m/2"):
        as_numbers(np.array([1.0, strange], dtype=object), "answers of m/2")


class OfSize(Answering):
    """A model that answers otherwise in requests of some sizes."""

    columns = ()

    def __init__(self, is_wrong) -> None:
        super().__init__(None, classes=())
        self.is_wrong = is_wrong

    def predict(self, features: pd.DataFrame):
        return features["x"].to_numpy() * (-1 if self.is_wrong(len(features)) else 1)


@pytest.mark.parametrize("is_wrong", [lambda n: n == 1, lambda n: 500 < n < 5000, lambda n: 1 < n < 100])
def test_requests_are_of_every_size_up_to_that_of_all_rows(is_wrong):
    """Whatever hides behind the size of a request is found."""
    rows = pd.DataFrame({"x": np.linspace(1, 2, 5000)})
    tools = replace(NO_TOOLS, load=lambda folder: OfSize(is_wrong))
    given = said(tools, Path("m"), rows, version="m/2")
    with pytest.raises(WrongAnswers, match="answers a row otherwise when it is sent alone"):
        require_alike_alone(tools, Path("m"), rows, given, version="m/2")


def test_several_threads_are_asked_in_parts_as_well():
    """scikit-learn shares the work among threads by how many rows there are; each answer that it gives is compared."""
    rows = pd.DataFrame({"x": np.linspace(1, 2, 5000)})
    for is_wrong, answers in ((lambda n: False, 1), (lambda n: n < 5000, 2)):
        tools = replace(NO_TOOLS, load=lambda folder, wrong=is_wrong: OfSize(wrong))
        found = said_by_threads(tools, Path("m"), rows, version="m/2")
        assert [len(each.labels) for each in found] == answers * [5000]


def test_requests_are_sorted_as_well():
    """Rows often come in the order of a column."""

    class OfOrder(OfSize):
        def predict(self, features: pd.DataFrame):
            is_sorted = len(features) > 8 and features["x"].is_monotonic_increasing
            return features["x"].to_numpy() * (-1 if is_sorted else 1)

    values = np.random.default_rng(0).permutation(np.linspace(1, 2, 500))
    rows = pd.DataFrame({"word": np.where(values > 1.5, "a", None), "x": values})
    tools = replace(NO_TOOLS, load=lambda folder: OfOrder(None))
    given = said(tools, Path("m"), rows, version="m/2")
    with pytest.raises(WrongAnswers, match="in another order"):
        require_alike_alone(tools, Path("m"), rows, given, version="m/2")
