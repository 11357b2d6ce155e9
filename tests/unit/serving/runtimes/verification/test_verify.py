"""The rows that tell a compiled model from its original, and the comparison on them."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from slipway.registry.profile import Profile, profile_columns
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.compiled.read_estimator import read_estimator
from slipway.serving.runtimes.compiled.read_preprocessing import read_preparation
from slipway.serving.runtimes.verification.hard_rows import HardRows, Known, decimals_of, hard_rows, neighbours
from slipway.serving.runtimes.verification.verify import verify
from slipway.serving.table import Table
from slipway.training.dataset import ColumnSchema, kind_of
from slipway.training.estimators import choose_estimator
from slipway.training.pipeline import build_pipeline
from slipway.training.spec import Task
from tests.generators.runtimes import columns_of, compiled, labels, mixed

MOST = 6000


def iris() -> tuple[pd.DataFrame, np.ndarray]:
    """Return iris: lengths in centimetres with one decimal."""
    found = load_iris(as_frame=True)
    return found.data, found.target.to_numpy()


def rows_for(model: Any, columns: Columns, frame: pd.DataFrame | None, profile: Profile | None = None) -> HardRows:
    """Return the rows that preparing a version with this model would try."""
    taken_apart = read_preparation(model, columns.fields)
    thresholds = read_estimator(taken_apart.estimator).thresholds
    real = [] if frame is None else [columns.table(frame)]
    known = Known(rows=real, profile=profile)
    rng = np.random.default_rng(0)
    return hard_rows(columns.fields, taken_apart.preparation, thresholds, known, most=MOST, rng=rng)


def original(model: Any, columns: Columns) -> Callable[[Table, str], Any]:
    """Return the fitted model as a function of tables."""
    return lambda table, method: getattr(model, method)(columns.frame(table))


class InFloat32:
    """A whole pipeline as skl2onnx compiles it, in float32."""

    def __init__(self, model: Pipeline, n_features: int) -> None:
        graph = to_onnx(
            model,
            initial_types=[("X", FloatTensorType([None, n_features]))],
            options={"zipmap": False},
            target_opset=18,
        )
        self._session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])

    def predict(self, table: Table, method: str, params: None) -> Any:
        """Return labels or probabilities."""
        found, shares = self._session.run(None, {"X": table.numbers.astype(np.float32)})
        return found if method == "predict" else shares.astype(np.float64)


class Changed:
    """A runner that answers as another does but for some rows."""

    def __init__(self, inner: Any, change: Callable[[Table, Any], Any]) -> None:
        self._inner, self._change = inner, change

    def predict(self, table: Table, method: str, params: None) -> Any:
        """Return the other's answer, changed."""
        return self._change(table, self._inner.predict(table, method, params))


def test_a_runner_that_differs_where_no_row_comes_is_rejected():
    """All rows that anybody knows are small; where both values are large, columns were exchanged."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.uniform(0, 100, (2000, 2)).round(1), columns=["a", "b"])
    y = np.where((frame < 10).any(axis=1), 0, np.where(frame.a > 50, 1, 2))
    model = make_pipeline(RandomForestClassifier(5, random_state=0)).fit(frame, y)
    columns = columns_of(frame)
    hard = rows_for(model, columns, frame[(frame < 9).all(axis=1)])

    class Exchanged(Changed):
        def predict(self, table: Table, method: str, params: None) -> Any:
            turned = Table(np.where((table.numbers > 10).all(axis=1)[:, None], table.numbers[:, ::-1], table.numbers))
            return super().predict(turned, method, params)

    runner = compiled(model, columns)
    assert verify(runner, original(model, columns), hard, ["predict"]).agrees
    exchanged = Exchanged(runner, lambda _, found: found)
    assert not verify(exchanged, original(model, columns), hard, ["predict"]).agrees


@pytest.mark.parametrize("known", ["rows", "profile"])
def test_a_pipeline_compiled_in_float32_is_rejected(known: str):
    """The trap: a scaler before a forest in float32 is told from the original, by real rows or by a profile alone."""
    frame, y = iris()
    model = make_pipeline(StandardScaler(), RandomForestClassifier(30, random_state=0)).fit(frame, y)
    columns = columns_of(frame)
    profile = Profile(n_rows=len(frame), features=profile_columns(frame), predictions={})
    hard = rows_for(model, columns, frame if known == "rows" else None, profile)
    compared = verify(InFloat32(model, 4), original(model, columns), hard, ["predict"])
    assert not compared.agrees
    assert compared.differing > 10


def test_noise_does_not_show_what_the_hard_rows_show():
    """The float32 pipeline passes on gaussian noise: that is why the rows are made."""
    frame, y = iris()
    model = make_pipeline(StandardScaler(), RandomForestClassifier(30, random_state=0)).fit(frame, y)
    columns = columns_of(frame)
    noise = np.random.default_rng(1).normal(frame.mean(), frame.std(), (2000, 4))
    hard = HardRows(Table(noise), Table(np.empty((0, 4))))
    assert verify(InFloat32(model, 4), original(model, columns), hard, ["predict"]).agrees


@pytest.mark.parametrize("scaled", [True, False])
def test_our_compiled_pipeline_agrees(scaled: bool):
    """The same forest, prepared in float64 and compiled by us, answers every such row as scikit-learn does."""
    frame, y = iris()
    forest = RandomForestClassifier(30, random_state=0)
    model = (make_pipeline(StandardScaler(), forest) if scaled else forest).fit(frame, y)
    columns = columns_of(frame)
    compared = verify(
        compiled(model, columns),
        original(model, columns),
        rows_for(model, columns, frame),
        ["predict", "predict_proba"],
    )
    assert compared.agrees
    assert compared.rows > 2500


@pytest.mark.parametrize("scaled", [True, False])
def test_one_threshold_that_is_off_by_one_unit_is_noticed(scaled: bool):
    """A forest with one split moved to the next number of 32 bits is told from the original."""
    frame, y = iris()
    forest = RandomForestClassifier(5, random_state=0)
    model = (make_pipeline(StandardScaler(), forest) if scaled else forest).fit(frame, y)
    columns = columns_of(frame)
    hard = rows_for(model, columns, frame)
    truth = copy.deepcopy(model)
    threshold = forest.estimators_[2].tree_.threshold
    below = np.float32(threshold[0])
    below = below if below <= threshold[0] else np.nextafter(below, np.float32(-np.inf))
    threshold[0] = np.nextafter(below, np.float32(-np.inf))
    compared = verify(compiled(model, columns), original(truth, columns), hard, ["predict_proba"])
    assert 0 < compared.differing < 0.2 * compared.rows


def mixed_model(estimator: str) -> tuple[Pipeline, pd.DataFrame]:
    """Return a pipeline of our own training over numbers, flags and text."""
    frame = mixed().astype({"visits": float})
    columns = [ColumnSchema(name=name, kind=kind_of(frame[name])) for name in frame]
    chosen = choose_estimator(estimator, {}, task=Task.CLASSIFICATION, seed=0)
    return build_pipeline(columns, chosen).fit(frame, labels(frame)), frame


def test_every_kind_of_value_is_among_the_rows():
    """Thresholds and their neighbours, midpoints, known and unseen categories, None, NaN and both flags are tried."""
    model, frame = mixed_model("random_forest")
    columns = columns_of(frame)
    hard = rows_for(model, columns, frame)
    width = set(hard.ordinary.numbers[:, 0].tolist())
    assert set(frame.width) <= width
    thresholds = read_estimator(model[-1]).thresholds[0]
    shared = width & set(neighbours(thresholds).tolist())
    assert len(shared) > 3 * len(thresholds)
    assert {"Oslo", "Rome", "Lima", "Bonn"} <= set(hard.ordinary.others["city"].tolist())
    strange = hard.special.others["city"].tolist()
    assert None in strange
    assert any(value != value for value in strange)
    assert any(isinstance(value, str) and value not in set(frame.city) for value in strange)
    assert np.isnan(hard.special.numbers).any(axis=0).all()
    assert set(hard.ordinary.others["active"].tolist()) == {True, False}


def test_the_same_seed_gives_the_same_rows():
    """A verdict on a version can be repeated."""
    model, frame = mixed_model("logistic")
    first, second = (rows_for(model, columns_of(frame), frame) for _ in range(2))
    np.testing.assert_array_equal(first.ordinary.numbers, second.ordinary.numbers)
    assert first.ordinary.others["city"].tolist() == second.ordinary.others["city"].tolist()


def test_rows_are_bounded():
    """However many thresholds a forest has, verifying stays a matter of a second."""
    model, frame = mixed_model("extra_trees")
    assert len(rows_for(model, columns_of(frame), frame).ordinary.numbers) == MOST


def test_without_rows_and_profile_the_model_itself_says_what_to_try():
    """Thresholds and categories are in the model, so that a version from elsewhere is verified as well."""
    model, frame = mixed_model("random_forest")
    columns = columns_of(frame)
    hard = rows_for(model, columns, None)
    assert {"Oslo", "Rome"} <= set(hard.ordinary.others["city"].tolist())
    assert verify(compiled(model, columns), original(model, columns), hard, ["predict", "predict_proba"]).agrees


def agreeing() -> tuple[Any, Callable[[Table, str], Any], HardRows]:
    """Return a runner, its original, and rows."""
    model, frame = mixed_model("logistic")
    columns = columns_of(frame)
    return compiled(model, columns), original(model, columns), rows_for(model, columns, frame)


def test_an_original_that_writes_into_its_rows_hides_no_difference():
    """The runner is asked about what the original was asked about."""
    runner, truth, hard = agreeing()

    def writing(table: Table, method: str) -> Any:
        table.numbers[:] = 0.0
        return truth(table, method)

    assert verify(runner, truth, hard, ["predict"]).agrees
    assert verify(runner, writing, hard, ["predict"]).differing


def test_one_wrong_label_in_a_batch_is_one_row():
    """The count is of rows, and one is enough."""
    runner, truth, hard = agreeing()

    def change(table: Table, found: Any) -> Any:
        if len(found) == len(hard.ordinary.numbers):
            found[17] = "yes" if found[17] == "no" else "no"
        return found

    compared = verify(Changed(runner, change), truth, hard, ["predict"])
    assert compared.differing == 1


def test_a_wrong_answer_to_single_rows_is_noticed():
    """A fault of the path for one row does not hide behind the batch."""
    runner, truth, hard = agreeing()
    compared = verify(Changed(runner, lambda t, p: p + 1e-6 if len(p) == 1 else p), truth, hard, ["predict_proba"])
    assert compared.differing > 100


def test_a_number_is_equal_within_the_stated_tolerance():
    """One part in a million is another number, one in 10^12 is not."""
    runner, truth, hard = agreeing()
    for factor, agrees in [(1e-6, False), (1e-12, True)]:
        off = Changed(runner, lambda _, p, f=factor: p * (1 + f))
        assert verify(off, truth, hard, ["predict_proba"]).agrees is agrees


def test_refusing_what_the_original_answers_is_a_difference():
    """And answering what it refuses is one too."""
    frame, y = iris()
    columns = columns_of(frame)
    model = LogisticRegression(max_iter=500).fit(frame, y)
    hard = rows_for(model, columns, frame)
    runner, truth = compiled(model, columns), original(model, columns)
    assert verify(runner, truth, hard, ["predict"]).agrees

    def lenient(table: Table, method: str) -> Any:
        return truth(Table(np.where(np.isnan(table.numbers), 0.0, table.numbers)), method)

    assert verify(runner, lenient, hard, ["predict"]).differing == 4


def test_labels_of_another_type_are_another_answer():
    """The text `1` is not the number 1."""
    frame, y = iris()
    columns = columns_of(frame)
    model = LogisticRegression(max_iter=500).fit(frame, y)
    hard = rows_for(model, columns, frame)
    as_text = Changed(compiled(model, columns), lambda _, found: found.astype(str))
    compared = verify(as_text, original(model, columns), hard, ["predict"])
    assert compared.differing >= len(hard.ordinary.numbers)


def test_the_resolution_is_the_datas():
    """Values mixed from quantiles are rounded as the data was."""
    assert decimals_of(np.array([5.1, 4.0])) == 1
    assert decimals_of(np.array([5.0, 4.0])) == 0
    assert decimals_of(np.array([1 / 3])) == 6
