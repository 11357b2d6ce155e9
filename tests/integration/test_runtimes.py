"""Models as MLflow stores them, prepared and opened in a fresh folder: each answers as `mlflow.pyfunc` does."""

import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnx
import pandas as pd
import pytest
from mlflow.models import ModelSignature, infer_signature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

import slipway
from slipway.registry.errors import InvalidInput, NotApproved
from slipway.registry.gate.safety.reviewed_types import REVIEWED_TYPES
from slipway.registry.profile import Profile, profile_columns
from slipway.serving.runtimes import mlflow_runner
from slipway.serving.runtimes.compiled import read_linear
from slipway.serving.runtimes.compiled.unsupported import type_name
from slipway.serving.runtimes.isolated import IsolatedRunner, ModelProcess, ModelProcessError, end_model_processes
from slipway.serving.runtimes.open import open_runner
from slipway.serving.runtimes.prepare import prepare_runner
from slipway.serving.runtimes.runner import Runner, RunnerReport
from slipway.serving.runtimes.stored import read_stored, write_stored
from slipway.serving.runtimes.verification.verify import differs
from slipway.serving.table import Table
from slipway.training.dataset import ColumnSchema, kind_of
from slipway.training.estimators import RECIPES, choose_estimator
from slipway.training.fit import fit
from slipway.training.mlflow_run import requirements_of
from slipway.training.pipeline import build_pipeline
from slipway.training.spec import Task
from tests.generators.runtimes import columns_of, labels, mixed

ROOT = Path(__file__).parent.parent.parent
FEW_TREES = {"n_estimators": 10}
SHORT = {"max_iter": 15}
BOOSTERS = ("xgboost", "lightgbm", "catboost")
# Estimator, its parameters, target, and the kind of runner it gets.
TRAINED: list[tuple[str, dict[str, Any], str, str]] = [
    ("logistic", {}, "text", "compiled"),
    ("logistic", {}, "three", "compiled"),
    ("ridge", {}, "flags", "compiled"),
    ("ridge", {}, "number", "compiled"),
    ("random_forest", FEW_TREES, "text", "compiled"),
    ("random_forest", FEW_TREES, "three", "compiled"),
    ("random_forest", FEW_TREES, "number", "compiled"),
    ("extra_trees", {**FEW_TREES, "max_depth": 4}, "whole", "compiled"),
    ("extra_trees", FEW_TREES, "number", "compiled"),
    ("hist_gradient_boosting", SHORT, "flags", "compiled"),
    ("hist_gradient_boosting", SHORT, "three", "compiled"),
    ("hist_gradient_boosting", SHORT, "number", "compiled"),
    ("svm", {}, "three", "prepared"),
    ("svm", {}, "number", "prepared"),
    ("knn", {}, "text", "prepared"),
    ("knn", {}, "number", "prepared"),
    ("mlp", SHORT, "three", "compiled"),
    ("mlp", SHORT, "number", "compiled"),
    ("sklearn.tree.DecisionTreeClassifier", {}, "text", "compiled"),
    ("sklearn.tree.DecisionTreeRegressor", {}, "number", "compiled"),
    ("sklearn.ensemble.GradientBoostingClassifier", FEW_TREES, "three", "compiled"),
    ("sklearn.linear_model.LinearRegression", {}, "number", "compiled"),
    ("sklearn.naive_bayes.GaussianNB", {}, "text", "prepared"),
    *((name, FEW_TREES, target, "compiled") for name in BOOSTERS for target in ("text", "whole", "three", "number")),
    ("xgboost", {**FEW_TREES, "num_parallel_tree": 3, "subsample": 0.5}, "flags", "compiled"),
    ("xgboost.XGBRFClassifier", FEW_TREES, "text", "compiled"),
    ("lightgbm", {**FEW_TREES, "boosting_type": "dart"}, "flags", "compiled"),
    ("lightgbm", {**FEW_TREES, "objective": "tweedie"}, "number", "compiled"),
    ("catboost", {**FEW_TREES, "nan_mode": "Max"}, "flags", "compiled"),
    ("xgboost", {**FEW_TREES, "booster": "gblinear"}, "text", "isolated"),
    ("catboost", {**FEW_TREES, "grow_policy": "Lossguide"}, "number", "isolated"),
]
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Ready:
    """A stored model, what was prepared of it, and the runner opened on that."""

    folder: Path
    report: RunnerReport
    runner: Runner


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Fit and ask histogram gradient boosting on one thread: on a busy machine its threads wait for each other."""
    with threadpool_limits(1):
        yield


def prepared(folder: Path, *, accelerate: bool = True, rows: pd.DataFrame | None = None) -> Ready:
    """Prepare a stored model beside its folder, and open what was written."""
    into = folder.parent / f"{folder.name}-runner"
    report = prepare_runner(folder, into, accelerate=accelerate, rows=rows)
    runner = open_runner(into, folder)
    assert runner.report == report
    return Ready(folder, report, runner)


def rows_of_every_kind(n: int = 150, seed: int = 0) -> pd.DataFrame:
    """Return numbers, flags and text as training reads them, some of them missing."""
    return mixed(n, seed).astype({"visits": float})


def rows_to_ask() -> pd.DataFrame:
    """Return rows that no model here was fitted on, with a city that none has seen."""
    frame = rows_of_every_kind(60, seed=7)
    frame.loc[::9, "city"] = "Paris"
    return frame


def target_of(kind: str, frame: pd.DataFrame) -> pd.Series:
    """Return two classes as text, flags or whole numbers, three classes of text, or a number."""
    if kind == "number":
        return 2 * frame.width + frame.active + frame.income.fillna(0.0) / 1e4
    named = pd.Series(labels(frame, 3 if kind == "three" else 2))
    if kind == "flags":
        return named == "yes"
    return named.map({"no": 3, "yes": 7}) if kind == "whole" else named


def trained(estimator: str, params: dict[str, Any], kind: str) -> Pipeline:
    """Return a pipeline as training builds and fits it."""
    frame = rows_of_every_kind()
    columns = [ColumnSchema(name=name, kind=kind_of(frame[name])) for name in frame]
    task = Task.REGRESSION if kind == "number" else Task.CLASSIFICATION
    pipeline = build_pipeline(columns, choose_estimator(estimator, params, task=task, seed=0))
    fit(pipeline, frame, target_of(kind, frame))
    return pipeline


def stored(model: Any, frame: pd.DataFrame, folder: Path, **more: Any) -> Path:
    """Store a fitted model as training logs it: skops with the reviewed types, an example, and a profile."""
    profile = folder.parent / f"{folder.name}.d" / "profile.json"
    profile.parent.mkdir()
    profile.write_text(Profile(features=profile_columns(frame), predictions={}, n_rows=len(frame)).to_json())
    settings = {
        "signature": infer_signature(frame, model.predict(frame)),
        "input_example": frame.head(5),
        "extra_files": [str(profile)],
        "pip_requirements": ["scikit-learn"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's hints about whole numbers
        mlflow.sklearn.save_model(
            model,
            str(folder),
            serialization_format="skops",
            skops_trusted_types=list(REVIEWED_TYPES),
            **{**settings, **more},
        )
    return folder


def assert_answers_as_mlflow(ready: Ready, frame: pd.DataFrame) -> None:
    """Compare with MLflow's answers: all rows, and some alone; and probabilities, where the model has them."""
    original = mlflow.pyfunc.load_model(str(ready.folder))
    asked = {"predict": original.predict}
    if "predict_proba" in ready.report.methods:
        asked["predict_proba"] = original._model_impl.sklearn_model.predict_proba
    assert tuple(asked) == ready.report.methods
    table = columns_of(frame).table
    for method, ask in asked.items():
        expected = ask(frame)
        found = ready.runner.predict(table(frame), method, None)
        assert not differs(found, expected).any()
        assert not differs(ready.runner.predict_parsed(table(frame), method, None), expected).any()
        for place in range(0, len(frame), 12):
            alone = ready.runner.predict(table(frame.iloc[[place]]), method, None)
            assert not differs(alone, expected[place : place + 1]).any()


@pytest.mark.parametrize(("estimator", "params", "target", "kind"), TRAINED, ids=str)
def test_what_training_stores_is_answered_as_by_mlflow(
    tmp_path: Path, estimator: str, params: dict[str, Any], target: str, kind: str
):
    """Over numbers, flags, text and missing values, for classes of every type and for numbers, by the fastest kind."""
    model = trained(estimator, params, target)
    folder = stored(model, rows_of_every_kind(), tmp_path / "model", pip_requirements=requirements_of(model, "skops"))
    ready = prepared(folder)
    assert ready.report.kind == kind
    name = re.escape(type_name(model[-1]))
    said = {
        "compiled": rf"{name} compiled: all [\d,]+ hard rows are answered as by scikit-learn",
        "prepared": rf"{name} itself behind a compiled preparation: all [\d,]+ hard rows are answered as by "
        rf"scikit-learn; not compiled: {name} is not an estimator known here",
        "isolated": rf"its numbers are read by a library that looks at none of them \({estimator}\); not compiled: "
        r"(xgboost|catboost)\S+ (with the booster gblinear|whose trees are not symmetric)",
    }
    assert re.fullmatch(said[kind], ready.report.reason)
    assert 0 < ready.report.one_row_s < 0.1
    assert ready.report.resident_bytes > 0
    assert_answers_as_mlflow(ready, rows_to_ask())
    ready.runner.close()


def test_every_estimator_that_training_names_is_tried():
    """A new short name, or a new task of one, needs its line above."""
    able = {
        (name, task)
        for name, recipe in RECIPES.items()
        for task, path in ((Task.CLASSIFICATION, recipe.classifier), (Task.REGRESSION, recipe.regressor))
        if path
    }
    tried = {(name, Task.REGRESSION if target == "number" else Task.CLASSIFICATION) for name, _, target, _ in TRAINED}
    assert able <= tried


@pytest.fixture(scope="module")
def logistic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a stored model of three classes over all kinds of columns."""
    return stored(trained("logistic", {}, "three"), rows_of_every_kind(), tmp_path_factory.mktemp("logistic") / "model")


def test_held_out_rows_are_among_those_that_are_compared(logistic: Path, tmp_path: Path):
    """With rows at hand, more are compared than the profile alone gives."""
    without = prepare_runner(logistic, tmp_path / "a", accelerate=True, rows=None)
    rows = rows_of_every_kind(500, seed=3)
    given = prepare_runner(logistic, tmp_path / "b", accelerate=True, rows=rows)
    assert compared_rows(given) >= compared_rows(without) + len(rows)


def compared_rows(report: RunnerReport) -> int:
    """Return how many rows a report says were compared."""
    return int(re.search(r"all ([\d,]+) hard rows", report.reason)[1].replace(",", ""))


def test_without_acceleration_the_model_is_its_own(logistic: Path):
    """The native runner, and the reason; over what was prepared before, nothing of which is left."""
    prepared(logistic)
    ready = prepared(logistic, accelerate=False)
    assert (ready.report.kind, ready.report.reason) == ("native", "acceleration is off")
    assert [path.name for path in (logistic.parent / "model-runner").iterdir()] == ["runner.json"]
    assert_answers_as_mlflow(ready, rows_to_ask())


def test_a_transformer_that_is_not_known_leaves_the_model_native(tmp_path: Path):
    """What stands against a faster kind is named."""
    frame = load_iris(as_frame=True).data
    model = make_pipeline(PCA(2), LogisticRegression()).fit(frame, load_iris().target)
    ready = prepared(stored(model, frame, tmp_path / "model"))
    assert ready.report.kind == "native"
    assert ready.report.reason == "not compiled: PCA is not a transformer known here"
    assert_answers_as_mlflow(ready, frame)


def test_a_model_logged_to_predict_probabilities_does(tmp_path: Path):
    """`predict` is whatever the model was logged to predict with."""
    frame = load_iris(as_frame=True).data
    model = LogisticRegression(max_iter=500).fit(frame, load_iris().target)
    for predict_fn, kind in [("predict_proba", "compiled"), ("predict_log_proba", "prepared")]:
        ready = prepared(stored(model, frame, tmp_path / predict_fn, pyfunc_predict_fn=predict_fn))
        assert ready.report.kind == kind
        expected = mlflow.pyfunc.load_model(str(ready.folder)).predict(frame)
        found = ready.runner.predict(columns_of(frame).table(frame), "predict", None)
        np.testing.assert_allclose(found, expected, rtol=TOLERANCE)


def test_a_scaler_before_a_forest_is_compiled_in_float64(tmp_path: Path):
    """The pipeline that a float32 compilation breaks is compiled here, and every row of the data agrees."""
    iris = load_iris(as_frame=True)
    forest = choose_estimator("random_forest", {}, task=Task.CLASSIFICATION, seed=0).estimator
    model = make_pipeline(StandardScaler(), forest).fit(iris.data, iris.target)
    ready = prepared(stored(model, iris.data, tmp_path / "model"), rows=iris.data)
    assert ready.report.kind == "compiled"
    assert_answers_as_mlflow(ready, iris.data)


def test_a_compiled_model_that_answers_otherwise_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The next kind is taken, and the reason counts the rows. What is read here is not what this estimator goes by."""
    monkeypatch.setattr(read_linear, "require_own_labels", lambda fitted, classes: None)  # as if that were not known
    model = trained("mlp", SHORT, "text")
    model[-1].classes_ = model[-1].classes_[::-1]  # it answers from its label binarizer
    ready = prepared(stored(model, rows_of_every_kind(), tmp_path / "model"))
    assert ready.report.kind == "prepared"
    said = r"not compiled: [\d,]+ of [\d,]+ hard rows are answered otherwise than by scikit-learn"
    assert re.search(said, ready.report.reason)
    assert_answers_as_mlflow(ready, rows_to_ask())


def test_a_method_that_the_model_lacks_is_refused(logistic: Path):
    """By every kind, with the methods that it has."""
    table = columns_of(rows_to_ask()).table(rows_to_ask())
    for accelerate in (True, False):
        with pytest.raises(InvalidInput, match="no method 'score'; it has: predict, predict_proba"):
            prepared(logistic, accelerate=accelerate).runner.predict(table, "score", None)


def test_threads_share_a_runner(logistic: Path, tmp_path: Path):
    """Eight threads, one row each at a time: every answer is that row's."""
    frame = rows_to_ask()
    forest = stored(trained("random_forest", FEW_TREES, "number"), rows_of_every_kind(), tmp_path / "model")
    tables = [columns_of(frame).table(frame.iloc[[place]]) for place in range(len(frame))]
    for folder, method in [(forest, "predict"), (logistic, "predict_proba")]:
        runner = prepared(folder).runner
        expected = runner.predict(columns_of(frame).table(frame), method, None)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda table, r=runner, m=method: r.predict(table, m, None), tables * 30))
        assert not differs(np.concatenate(found), np.concatenate([expected] * 30)).any()


OPEN_AND_ASK = """
import os, sys
from pathlib import Path
import numpy as np
from slipway.serving.runtimes.open import open_runner
from slipway.serving.table import Table

threads = len(os.listdir("/proc/self/task"))
runner = open_runner(Path(sys.argv[1]), Path("no model"))
others = {"city": np.array(["Oslo"], dtype=object), "active": np.array([True])}
print(runner.predict(Table(np.zeros((1, 3)), others), "predict", None).shape)
print(len(os.listdir("/proc/self/task")) - threads)
print(sorted({"mlflow", "sklearn", "pandas", "scipy", "onnx", "skops"} & set(sys.modules)))
"""


def test_a_compiled_model_is_opened_without_what_made_it(tmp_path: Path):
    """It needs numpy and onnxruntime, starts no thread (for work, or to tell its maker), and reads no model's file."""
    folder = stored(trained("random_forest", FEW_TREES, "number"), rows_of_every_kind(), tmp_path / "model")
    prepare_runner(folder, tmp_path / "runner", accelerate=True, rows=None)
    shown = subprocess.run(
        [sys.executable, "-c", OPEN_AND_ASK, str(tmp_path / "runner")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"},
    )
    assert shown.stdout.splitlines() == ["(1,)", "0", "[]"]


MODEL_WITH_PARAMS = """
import mlflow
import pandas as pd

class Scaled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return pd.DataFrame({"y": model_input["a"] * params["factor"], "text": model_input["b"] + params["mark"]})

mlflow.models.set_model(Scaled())
"""


def pyfunc(source: str, tmp_path: Path, signature: ModelSignature | None, **more: Any) -> Path:
    """Store a model of somebody's own, written as code."""
    script = tmp_path / "own_model.py"
    script.write_text(source)
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(
        str(folder), python_model=str(script), signature=signature, pip_requirements=["mlflow"], **more
    )
    return folder


def test_a_model_of_somebodys_own_takes_its_params(tmp_path: Path):
    """The params' schema fills in defaults and refuses what it does not know, as MLflow does."""
    inputs = Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.string, "b")])
    params = ParamSchema([ParamSpec("factor", DataType.double, 2.0), ParamSpec("mark", DataType.string, "!")])
    folder = pyfunc(MODEL_WITH_PARAMS, tmp_path, ModelSignature(inputs=inputs, params=params))
    ready = prepared(folder)
    assert ready.report.kind == "isolated"
    assert ready.report.reason == (
        "it could run code: the version ships Python code of its own, which runs when it is loaded; "
        "its speed is unknown, as it has no input example"
    )
    table = Table(np.array([[1.0], [2.5]]), {"b": np.array(["x", "y"], dtype=object)})
    frame = pd.DataFrame({"a": [1.0, 2.5], "b": ["x", "y"]})
    original = mlflow.pyfunc.load_model(str(folder))
    for given in (None, {"factor": 3.0}, {"mark": "?", "factor": 1.0}):
        expected = original.predict(frame, params=given)
        pd.testing.assert_frame_equal(ready.runner.predict(table, "predict", given), expected)
        pd.testing.assert_frame_equal(ready.runner.predict_parsed(frame, "predict", given), expected)
    with pytest.raises(InvalidInput, match="factor"):
        ready.runner.predict(table, "predict", {"factor": "many"})


MODEL_THAT_ENDS = """
import ctypes, os, sys

import mlflow

ENDS = {1: lambda: os._exit(3), 2: lambda: sys.exit(4), 3: lambda: ctypes.string_at(0), 4: lambda: next(iter(()))}


class Ending(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        ENDS.get(int(model_input["a"].iloc[0]), int)()
        return model_input["a"].to_numpy() * 2


mlflow.models.set_model(Ending())
"""


def test_a_model_that_ends_its_process_takes_nobody_along(tmp_path: Path):
    """By `os._exit`, `sys.exit`, a fault of memory, or what no future can carry: the next call is answered."""
    inputs = Schema([ColSpec(DataType.double, "a")])
    ready = prepared(pyfunc(MODEL_THAT_ENDS, tmp_path, ModelSignature(inputs=inputs)))
    assert ready.report.kind == "isolated"
    for way in (1.0, 2.0, 3.0, 4.0):
        with pytest.raises(ModelProcessError):
            ready.runner.predict(Table(np.array([[way]])), "predict", None)
        assert ready.runner.predict(Table(np.array([[5.0]])), "predict", None).tolist() == [10.0]
    ready.runner.close()


def test_other_flavors_have_a_process_of_their_own(tmp_path: Path):
    """Their compiled code follows whatever numbers a file holds: LightGBM's to a child far out of its arrays."""
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.DOUBLE, [None, 2])
    found = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.DOUBLE, [None, 2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Add", ["x", "x"], ["y"])], "twice", [given], [found])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, 2), "x")]))
    mlflow.onnx.save_model(model, str(tmp_path / "model"), signature=signature, pip_requirements=["onnxruntime"])
    ready = prepared(tmp_path / "model")
    assert ready.report.kind == "isolated"
    assert ready.report.reason.startswith("its numbers are read by a library that looks at none of them")
    answered = ready.runner.predict_parsed({"x": np.array([[1.0, 2.0]])}, "predict", None)
    assert answered["y"].tolist() == [[2.0, 4.0]]
    ready.runner.close()


def test_what_was_unpickled_is_compiled_or_has_a_process_of_its_own(tmp_path: Path):
    """Whoever may run code when it is loaded would answer for its neighbours, too."""
    X, y = load_iris(as_frame=True, return_X_y=True)
    kinds = {}
    for model in (LogisticRegression(max_iter=500), KNeighborsClassifier(3)):
        folder = tmp_path / type(model).__name__
        mlflow.sklearn.save_model(
            model.fit(X, y), str(folder), input_example=X.head(2), serialization_format="cloudpickle"
        )
        ready = prepared(folder)
        kinds[type(model).__name__] = ready.report.kind
        rows = Table(X.to_numpy()[::10])
        np.testing.assert_array_equal(ready.runner.predict(rows, "predict", None), model.predict(X)[::10])
        proba = ready.runner.predict(rows, "predict_proba", None)
        np.testing.assert_allclose(proba, model.predict_proba(X)[::10])
        ready.runner.close()
    assert kinds == {"LogisticRegression": "compiled", "KNeighborsClassifier": "isolated"}


def test_tensors_go_to_pyfunc(tmp_path: Path):
    """A signature of tensors is no table: what MLflow parsed is what the model is asked."""
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X, y)
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, 4))]))
    folder = stored(model, pd.DataFrame(X), tmp_path / "model", signature=signature, input_example=X[:3])
    ready = prepared(folder)
    assert (ready.report.kind, ready.report.reason) == ("pyfunc", "its signature is not one of columns with names")
    np.testing.assert_array_equal(ready.runner.predict_parsed(X, "predict", None), model.predict(X))
    np.testing.assert_array_equal(ready.runner.predict_parsed(X, "predict_proba", None), model.predict_proba(X))
    with pytest.raises(InvalidInput, match="shape"):
        ready.runner.predict_parsed(X[:, :3], "predict", None)


MODEL_THAT_FAILS = """
import mlflow

class Failing(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        raise RuntimeError("the lookup table is gone")

mlflow.models.set_model(Failing())
"""


def test_a_model_that_fails_on_its_own_example_is_not_approved(tmp_path: Path):
    """Nothing is written for it, and the first line of its error is said."""
    example = pd.DataFrame({"a": [1.0]})
    folder = pyfunc(MODEL_THAT_FAILS, tmp_path, infer_signature(example), input_example=example)
    with pytest.raises(NotApproved, match="fails on its own input example: RuntimeError: the lookup table is gone"):
        prepare_runner(folder, tmp_path / "runner", accelerate=True, rows=None)
    assert not (tmp_path / "runner").exists()


def test_a_model_that_cannot_be_loaded_is_not_approved(logistic: Path, tmp_path: Path):
    """A broken file is said once, here, and never in a worker."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for path in logistic.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.skops").write_bytes(b"no zip")
    with pytest.raises(NotApproved, match="cannot be loaded"):
        prepare_runner(folder, tmp_path / "runner", accelerate=True, rows=None)


MODULE_WITH_MODEL = """
class Priced:
    def predict(self, frame):
        if (frame.a < 0).any():
            raise ValueError("a price below zero")
        return (frame.a * 1.25).to_numpy()

def _load_pyfunc(path):
    return Priced()
"""


@pytest.fixture(scope="module", params=["slipway", "serving"])
def isolated(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ready]:
    """Return a model that ships a package with our name, or with that of one of our folders."""
    folder = tmp_path_factory.mktemp("isolated")
    package = folder / "code" / request.param
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "pricing.py").write_text(MODULE_WITH_MODEL)
    example = pd.DataFrame({"a": [1.0, 2.0]})
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        loader_module=f"{request.param}.pricing",
        data_path=str(package / "__init__.py"),
        signature=infer_signature(example, np.array([1.0])),
        code_paths=[str(package)],
        pip_requirements=["mlflow"],
    )
    ready = prepared(folder / "model")
    yield ready
    ready.runner.close()


def test_a_model_that_ships_our_names_runs_in_a_process_of_its_own(isolated: Ready):
    """What it imports is what it ships; ours stays ours."""
    assert isolated.report.kind == "isolated"
    assert isolated.report.reason.startswith("it ships code, whose modules may have the names of others")
    assert isolated.report.methods == ("predict",)
    assert isolated.report.resident_bytes > 10_000_000
    table = Table(np.array([[1.0], [4.0]]))
    assert isolated.runner.predict(table, "predict", None).tolist() == [1.25, 5.0]
    assert isolated.runner.predict_parsed(pd.DataFrame({"a": [2.0]}), "predict", None).tolist() == [2.5]
    with pytest.raises(ModelProcessError, match="ValueError: a price below zero"):
        isolated.runner.predict(Table(np.array([[-1.0]])), "predict", None)
    with pytest.raises(InvalidInput, match="b"):
        isolated.runner.predict_parsed(pd.DataFrame({"b": [2.0]}), "predict", None)


def test_what_a_terminal_sends_leaves_the_models_process(isolated: Ready):
    """Ctrl-C and a closed terminal reach all processes: requests are still answered while the engine drains."""
    pid = isolated.runner.pid
    for asking in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, asking)
        assert isolated.runner.predict(Table(np.array([[1.0], [4.0]])), "predict", None) is not None
        assert isolated.runner.pid == pid


def test_a_process_that_loads_its_model_ends_at_once(isolated: Ready):
    """Whoever stops meanwhile waits for no library, and leaves nobody behind."""
    child = ModelProcess(isolated.folder)
    os.kill(child.pid, 0)
    started = time.monotonic()
    end_model_processes()
    child.stop()
    assert time.monotonic() - started < 2
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
    assert isolated.runner.predict(Table(np.array([[4.0]])), "predict", None).tolist() == [5.0], "another is started"


def test_threads_take_turns_in_the_models_process(isolated: Ready):
    """No answer is somebody else's."""
    with ThreadPoolExecutor(8) as pool:
        asked = [Table(np.array([[float(i)]])) for i in range(200)]
        found = list(pool.map(lambda table: isolated.runner.predict(table, "predict", None).item(), asked))
    assert found == [1.25 * i for i in range(200)]


def test_a_process_that_died_is_started_anew(isolated: Ready):
    """The call after the death is answered, by another process."""
    runner = isolated.runner
    assert isinstance(runner, IsolatedRunner)
    died = runner.pid
    assert died is not None
    os.kill(died, signal.SIGKILL)
    os.waitid(os.P_PID, died, os.WEXITED | os.WNOWAIT)
    assert runner.predict(Table(np.array([[1.0]])), "predict", None).tolist() == [1.25]
    assert runner.pid != died


HOSTILE = """
import os, pickle, socket, struct, sys
import mlflow
import numpy as np


class Runs:
    def __reduce__(self):
        return exec, ("import slipway; slipway.was_here = 1",)


def written(content):
    os.write(int(sys.argv[1]), struct.pack("!i", len(content)) + content)


class Hostile(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        asked = int(model_input["a"].iloc[0])
        if asked == 1:
            return [Runs()]
        if asked == 2:
            written(pickle.dumps(("answered", Runs())))
        if asked == 3:
            written(bytes.fromhex("93ce00ffffffa8616e737765726564a6666f72676564"))
        if asked == 4:
            written(b"x" * 100)
        if asked == 5:
            return np.zeros(9 * 2**20)
        return model_input["a"].to_numpy()


mlflow.models.set_model(Hostile())
"""


def test_nothing_that_a_models_process_sends_runs_here(tmp_path: Path):
    """Neither an object in its answer, nor what it writes beside it; its next answer is one to the next question."""
    (tmp_path / "hostile.py").write_text(HOSTILE)
    example = pd.DataFrame({"a": [0.0]})
    mlflow.pyfunc.save_model(
        str(tmp_path / "model"),
        python_model=str(tmp_path / "hostile.py"),
        signature=infer_signature(example, np.array([1.0])),
        input_example=example,
        pip_requirements=["mlflow"],
    )
    ready = prepared(tmp_path / "model")
    assert ready.report.kind == "isolated"
    for asked, said in [
        (1, "TypeError: .*Runs"),
        (2, "no answer"),
        (3, "no answer"),
        (4, "no answer"),
        (5, "its answer has 72 MiB, and 64"),
    ]:
        with pytest.raises(ModelProcessError, match=said):
            ready.runner.predict(Table(np.array([[float(asked)]])), "predict", None)
        assert ready.runner.predict(Table(np.array([[7.0]])), "predict", None).tolist() == [7.0]
    assert not hasattr(slipway, "was_here")
    ready.runner.close()


@pytest.mark.parametrize("opener", ["mlflow", "sklearn"])
def test_a_model_that_could_run_code_is_loaded_nowhere_among_others(tmp_path: Path, opener: str):
    """Whatever its preparation says: its code ran where that was written."""
    rows = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    model = LogisticRegression().fit(rows, [0, 0, 1, 1])
    mlflow.sklearn.save_model(
        model, tmp_path / "model", input_example=rows, serialization_format="cloudpickle", pip_requirements=[]
    )
    prepare_runner(tmp_path / "model", tmp_path / "runner", accelerate=True, rows=None)
    write_stored(replace(read_stored(tmp_path / "runner"), opener=opener), tmp_path / "runner")
    with pytest.raises(NotApproved, match="belongs in a process of its own"):
        open_runner(tmp_path / "runner", tmp_path / "model", among_others=True)


def test_a_booster_is_loaded_nowhere_among_others(tmp_path: Path):
    """Its library follows whatever numbers its file holds; what is compiled of it needs no library."""
    frame = rows_of_every_kind()
    model = trained("lightgbm", {"n_estimators": 3}, "text")
    ready = prepared(stored(model, frame, tmp_path / "model"))
    assert open_runner(tmp_path / "model-runner", ready.folder, among_others=True).report.kind == "compiled"
    write_stored(replace(read_stored(tmp_path / "model-runner"), opener="mlflow"), tmp_path / "model-runner")
    with pytest.raises(NotApproved, match=r"belongs in a process of its own: its numbers are read .* \(lightgbm\)"):
        open_runner(tmp_path / "model-runner", ready.folder, among_others=True)


def test_a_pytorch_model_goes_through_its_flavor(tmp_path: Path):
    """A network of tensors is asked as MLflow asks it."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: its flavor is NOT tested")
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
    X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 3))]))
    mlflow.pytorch.save_model(
        model, str(tmp_path / "model"), signature=signature, input_example=X, pip_requirements=["torch"]
    )
    ready = prepared(tmp_path / "model")
    assert ready.report.kind == "isolated"
    expected = mlflow.pyfunc.load_model(str(ready.folder)).predict(X)
    np.testing.assert_allclose(ready.runner.predict_parsed(X, "predict", None), expected, rtol=1e-6)


def test_an_example_without_an_optional_column_keeps_no_version_from_being_prepared(tmp_path: Path):
    """Callers may leave it out, and so may whoever logged the model."""
    rows = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0]})
    fields = [ColSpec("double", "x"), ColSpec("double", "z", required=False), ColSpec("string", "t", required=False)]
    model = make_pipeline(FunctionTransformer(lambda given: given[["x"]]), LogisticRegression()).fit(rows, [0, 0, 1, 1])
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        signature=ModelSignature(Schema(fields), Schema([ColSpec("long")])),
        input_example=rows,
        serialization_format="cloudpickle",
        pip_requirements=[],
    )
    report = prepare_runner(tmp_path / "model", tmp_path / "runner", accelerate=True, rows=None)
    runner = open_runner(tmp_path / "runner", tmp_path / "model")
    columns = mlflow_runner.columns_of(tmp_path / "model")
    assert columns is not None
    assert report.kind == "isolated"
    assert list(runner.predict(columns.table(rows), "predict", None)) == [0, 0, 1, 1]
    runner.close()
    with pytest.raises(KeyError):
        columns.table(rows.rename(columns={"x": "y"}))
