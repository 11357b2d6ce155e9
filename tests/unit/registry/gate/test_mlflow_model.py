"""A stored model as the gate asks it, and as callers do: each request is of the types that are in it."""

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import mlflow.sklearn
import mlflow.xgboost
import numpy as np
import pandas as pd
import pytest
import xgboost
from mlflow.models import infer_signature
from mlflow.types import ColSpec, Schema
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from slipway.registry.errors import InvalidInput
from slipway.registry.gate.comparison.answers import WrongAnswers, require_alike_alone, said
from slipway.registry.gate.evidence import NO_TOOLS
from slipway.registry.gate.mlflow_model import input_example, load_as_served, load_model
from slipway.serving.runtimes.mlflow_runner import MlflowRunner, load, methods_of
from slipway.serving.runtimes.runner import unmeasured

TOOLS = replace(NO_TOOLS, load=load_model)


def saved(folder: Path, model: Any, frame: pd.DataFrame, kinds: dict[str, str], labels: np.ndarray) -> Path:
    """Store a model with a signature of certain types."""
    columns = [ColSpec(kinds[name], name, required=kinds[name] != "string") for name in frame]
    signature = infer_signature(frame, labels)
    signature.inputs = Schema(columns)
    mlflow.sklearn.save_model(
        model,
        folder / "model",
        signature=signature,
        pip_requirements=[],
        serialization_format="cloudpickle",
    )
    return folder / "model"


def asked(folder: Path, rows: pd.DataFrame) -> None:
    given = said(TOOLS, folder, rows, version="m/1")
    require_alike_alone(TOOLS, folder, rows, given, version="m/1")


def test_what_callers_send_as_whole_numbers_is_asked_as_such(tmp_path: Path):
    """One row of many that is not whole makes a column of floats of all; nobody who sends one row knows of it."""
    frame = pd.DataFrame({"n": np.arange(2, 402).astype(np.int64)})
    labels = (frame.n > 100).astype(int).to_numpy()
    turned = make_pipeline(FunctionTransformer(np.reciprocal), LogisticRegression(C=1e9, max_iter=1000))
    turned.fit(frame.astype(float), labels)
    folder = saved(tmp_path, turned, frame, {"n": "long"}, labels)
    rows = frame.astype(float)
    rows.loc[0, "n"] = 2.5
    with pytest.raises(WrongAnswers, match="otherwise when it is sent alone"):
        asked(folder, rows)


def test_what_callers_send_without_a_value_is_asked_as_such(tmp_path: Path):
    """Alone it is a column of nothing, which an encoder takes for a text that it never saw."""
    frame = pd.DataFrame({"t": ["a", "b", np.nan] * 100})
    labels = np.where(frame.t.isna(), "one", "two")
    encoded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["t"]))
    model = make_pipeline(encoded, DecisionTreeClassifier(random_state=0)).fit(frame, labels)
    folder = saved(tmp_path, model, frame, {"t": "string"}, labels)
    assert load_model(str(folder)).called(frame[2:3]).tolist() == ["two"]
    with pytest.raises(WrongAnswers, match="'two' in place of 'one'"):
        asked(folder, frame)


def test_what_callers_are_refused_is_not_compared(tmp_path: Path):
    """A column that has to be there and is not."""
    frame = pd.DataFrame({"x": np.linspace(0, 1, 50)})
    model = LogisticRegression().fit(frame, frame.x > 0.5)
    folder = saved(tmp_path, model, frame, {"x": "double"}, (frame.x > 0.5).to_numpy())
    loaded = load_model(str(folder))
    assert loaded.called(frame.rename(columns={"x": "y"})) is None
    np.testing.assert_array_equal(loaded.called(frame), model.predict(frame))
    asked(folder, frame)


def test_text_is_asked_as_text(tmp_path: Path):
    """A word for missing values makes numbers of a column for who reads it so: callers send text all the same."""
    frame = pd.DataFrame({"tier": ["1", "2", "vip", None] * 10})
    labels = (frame.tier == "1").to_numpy()
    encoded = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["tier"]))
    model = make_pipeline(encoded, DecisionTreeClassifier(random_state=0)).fit(frame, labels)
    folder = saved(tmp_path, model, frame, {"tier": "string"}, labels)
    as_numbers = pd.DataFrame({"tier": [1.0, 2.0, np.nan, np.nan] * 10})
    with pytest.raises(InvalidInput, match="the model takes text in tier, and the rows hold something else there"):
        said(TOOLS, folder, as_numbers, version="m/2")
    for text in (frame, frame.astype("category")):
        load_model(str(folder)).fitting(text)


def flavored(flavor: str, model: Any, folder: Path, rows: pd.DataFrame) -> Path:
    """Store a model by its library's own flavor."""
    module = importlib.import_module(f"mlflow.{flavor}")
    signature = infer_signature(rows, model.predict(rows))
    module.save_model(model, folder / "model", signature=signature, input_example=rows.head(3), pip_requirements=[])
    return folder / "model"


FLAVORS = {
    "xgboost": lambda: xgboost.XGBClassifier(n_estimators=3),
    "lightgbm": lambda: lightgbm.LGBMClassifier(n_estimators=3, verbose=-1),
    "catboost": lambda: catboost.CatBoostClassifier(n_estimators=3, verbose=0, allow_writing_files=False),
}
NUMBERS = pd.DataFrame({"x": np.linspace(-1, 1, 200), "z": np.cos(np.arange(200.0))})


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_boosters_own_flavor_says_classes_and_probabilities(tmp_path: Path, flavor: str):
    """Of the classes 0 and 1 too, which would else be taken for amounts; and a caller may ask for probabilities."""
    y = (NUMBERS.x > 0.1).astype(int)
    model = FLAVORS[flavor]().fit(NUMBERS, y)
    folder = flavored(flavor, model, tmp_path, NUMBERS)
    answered = said(TOOLS, folder, NUMBERS, version="m/1")
    assert (answered.classes, answered.are_probabilities, answered.method) == ((0, 1), True, "predict")
    np.testing.assert_array_equal(answered.labels, model.predict(NUMBERS))
    np.testing.assert_allclose(answered.scores, model.predict_proba(NUMBERS), rtol=1e-6)
    served = load(folder)
    assert methods_of(served) == ("predict", "predict_proba")
    runner = MlflowRunner(unmeasured("pyfunc", "", methods_of(served)), served, None)
    np.testing.assert_array_equal(runner.predict_parsed(NUMBERS, "predict_proba", None), model.predict_proba(NUMBERS))


@pytest.mark.parametrize(
    ("flavor", "model"),
    [
        ("xgboost", lambda: xgboost.XGBRegressor(n_estimators=2)),
        ("lightgbm", lambda: lightgbm.LGBMRegressor(n_estimators=2, verbose=-1)),
        ("catboost", lambda: catboost.CatBoostRegressor(n_estimators=2, verbose=0, allow_writing_files=False)),
    ],
)
def test_a_booster_that_foretells_amounts_has_no_classes(tmp_path: Path, flavor: str, model: Any):
    """One value a row is its answer, and nothing else can be asked for."""
    folder = flavored(flavor, model().fit(NUMBERS, NUMBERS.x), tmp_path, NUMBERS)
    answered = said(TOOLS, folder, NUMBERS, version="m/1")
    assert (answered.classes, answered.scores, answered.labels.shape) == ((), None, (200,))
    assert methods_of(load(folder)) == ("predict",)


def test_a_booster_without_scikit_learns_interface_answers_by_its_wrapper(tmp_path: Path):
    """It takes no tables by itself: MLflow makes them what it takes."""
    booster = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(NUMBERS, NUMBERS.x > 0), 2)
    mlflow.xgboost.save_model(booster, tmp_path / "model", signature=infer_signature(NUMBERS), pip_requirements=[])
    answered = said(TOOLS, tmp_path / "model", NUMBERS, version="m/1")
    assert (answered.classes, answered.scores) == ((), None)
    np.testing.assert_allclose(answered.labels, booster.predict(xgboost.DMatrix(NUMBERS)))
    assert methods_of(load(tmp_path / "model")) == ("predict",)


def test_an_example_of_an_array_is_one(tmp_path: Path):
    """As models of tensors have it (PyTorch, Keras, ONNX): it comes in the type of the signature."""
    rows = np.array([[0.5, 1.5], [2.5, 3.5]], dtype=np.float32)
    model = LinearRegression().fit(rows, [1.0, 2.0])
    mlflow.sklearn.save_model(model, tmp_path / "model", input_example=rows, pip_requirements=[])
    example = input_example(tmp_path / "model")
    assert (example.dtype, example.tolist()) == (np.float32, rows.tolist())
    assert len(load_as_served(tmp_path / "model").predict(example)) == 2
