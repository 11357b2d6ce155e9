"""The engine's own answers to the rows that a gate judges by: they are what was measured, or the gate says so."""

import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from slipway.registry.gate.comparison.answers import WrongAnswers, require_alike_alone, require_alike_in_engine, said
from slipway.registry.gate.evidence import NO_TOOLS
from slipway.registry.gate.mlflow_model import load_model
from slipway.serving.runtimes import acceleration
from slipway.serving.runtimes.compiled import read_linear
from slipway.serving.runtimes.prepare import Possible, prepare_each
from slipway.serving.runtimes.verification.verify import Verified
from slipway.serving.scoring.rehearsal import Rehearsal, rehearsal

TOOLS = replace(NO_TOOLS, load=load_model, rehearse=rehearsal)
WHOLE = pd.DataFrame({"a": np.tile([4, 8], 100), "b": np.tile([1, 2, 2, 1], 50)})
DOUBLES = pd.DataFrame({"x": np.linspace(-1, 1, 200), "z": np.cos(np.arange(200))})
LABELS = (DOUBLES.x > 0.1).astype(int).to_numpy()


def saved(model: Any, folder: Path, example: pd.DataFrame, **more: Any) -> Path:
    """Store a model."""
    signature = infer_signature(example, model.predict(example))
    words = {"serialization_format": "cloudpickle", "pip_requirements": []}
    mlflow.sklearn.save_model(model, folder / "model", signature=signature, input_example=example, **words, **more)
    return folder / "model"


def asked(folder: Path, rows: pd.DataFrame) -> None:
    """Do what champion does with a candidate."""
    given = said(TOOLS, folder, rows, version="m/2")
    require_alike_in_engine(TOOLS, folder, rows, given, version="m/2", held_out=None)


def network_of_two_outputs() -> tuple[Any, pd.DataFrame]:
    """Return a network for two classes with an output for each: its labels are of the second one alone."""
    model = MLPClassifier(hidden_layer_sizes=(2,), max_iter=1, solver="lbfgs", random_state=0).fit(DOUBLES, LABELS)
    model.coefs_, model.intercepts_ = [np.eye(2), np.eye(2)], [np.zeros(2), np.array([0.0, 0.4])]
    model.out_activation_, model.n_outputs_ = "identity", 2
    return model, DOUBLES


def imputer_of_whole_numbers() -> tuple[Any, pd.DataFrame]:
    """Return one that puts 1.9 where whole numbers stay whole: 1."""
    model = make_pipeline(SimpleImputer(missing_values=1, strategy="most_frequent"), LinearRegression())
    model.fit(WHOLE, WHOLE.b)
    model[0].statistics_ = np.array([1.9, 1.9])
    return model, WHOLE


def boosting_in_small_floats() -> tuple[Any, pd.DataFrame]:
    """Return one that adds in float32, where a large number swallows a small one."""
    model = HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2).fit(DOUBLES, DOUBLES.x)
    model._baseline_prediction = np.full((1, 1), 2.0**26, dtype=np.float32)
    return model, DOUBLES


def whole_coefficients() -> tuple[Any, pd.DataFrame]:
    """Return a model whose products of whole numbers wrap."""
    model = LinearRegression().fit(WHOLE, WHOLE.b)
    model.coef_, model.intercept_ = np.array([2**62 + 1, 0], dtype=np.int64), 0.0
    return model, WHOLE


def whole_probabilities() -> tuple[Any, pd.DataFrame]:
    """Return the same of a kind that is not compiled itself."""
    model = MultinomialNB().fit(WHOLE, (WHOLE.a > 4).astype(int))
    model.feature_log_prob_ = np.array([[0, 0], [2**62 + 1, 0]], dtype=np.int64)
    model.class_log_prior_ = np.array([5.0, 0.0])
    return model, WHOLE


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "made",
    [
        network_of_two_outputs,
        imputer_of_whole_numbers,
        boosting_in_small_floats,
        whole_coefficients,
        whole_probabilities,
    ],
)
def test_what_is_compiled_reckons_as_scikit_learn_does(made: Any, tmp_path: Path):
    """Files that fitting would not leave have answered otherwise when compiled, where the example did not show it."""
    model, rows = made()
    example = pd.DataFrame(np.zeros((2, 2), dtype=rows.dtypes.iloc[0]), columns=rows.columns)
    folder = saved(model, tmp_path, example)
    expected = load_model(str(folder)).model.predict(rows)
    body = f'{{"dataframe_split": {rows.to_json(orient="split", index=False)}}}'.encode()
    with rehearsal(folder) as engines:
        assert engines[-1].kind == "native"
        for engine in engines:
            found = np.asarray(engine.answer(body), dtype=float)
            np.testing.assert_allclose(found, np.asarray(expected, dtype=float), rtol=1e-9)
    asked(folder, rows)


def answering_otherwise(monkeypatch: pytest.MonkeyPatch, by: float, *, is_found_out: bool = False) -> None:
    """Have compiled linear models answer otherwise, without their being found out by rows of their own, or so."""
    read = read_linear.READERS[LogisticRegression]

    def shifted(fitted: Any) -> Any:
        parts = read(fitted)
        return replace(parts, arrays={**parts.arrays, "intercept": parts.arrays["intercept"] + by})

    monkeypatch.setattr(read_linear, "READERS", {**read_linear.READERS, LogisticRegression: shifted})
    if not is_found_out:
        monkeypatch.setattr(acceleration, "verify", lambda *_: Verified(rows=1, differing=0))


@pytest.mark.parametrize(("by", "shown"), [(1e3, "1, 1, 1"), (1e-3, r"\[\d[^,\]]*, ")])
def test_an_engine_that_would_answer_otherwise_is_found_out(
    by: float, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By its labels, and by its probabilities where the labels are the same."""
    model = LogisticRegression(C=1e3).fit(DOUBLES, LABELS)
    folder = saved(model, tmp_path, DOUBLES[:2])
    asked(folder, DOUBLES)
    answering_otherwise(monkeypatch, by)
    with pytest.raises(WrongAnswers, match=rf"the engine \(compiled\) would answer m/2's callers .*: {shown}"):
        asked(folder, DOUBLES)


def test_what_no_engine_would_choose_speaks_against_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A compiled runner that is found out when it is verified is not put in place: the native one answers."""
    folder = saved(LogisticRegression(C=1e3).fit(DOUBLES, LABELS), tmp_path, DOUBLES[:2])
    answering_otherwise(monkeypatch, 1e3, is_found_out=True)
    asked(folder, DOUBLES)


def test_an_engine_may_choose_by_the_held_out_rows_of_a_run(tmp_path: Path):
    """It verifies with them where they are as recorded, and without where not."""
    folder = saved(LogisticRegression().fit(DOUBLES, LABELS), tmp_path, DOUBLES[:2])
    place = prepare_each(folder, tmp_path / "prepared")[0].place
    found = Rehearsal(folder, Possible(place, lambda _, rows: rows is not None))
    assert not found.is_chosen(None)
    assert found.is_chosen(DOUBLES)


def test_rows_that_are_refused_together_are_asked_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One row of many lacks a value that has to be there."""
    model = LogisticRegression().fit(WHOLE, WHOLE.a > 4)
    folder = saved(model, tmp_path, WHOLE[:2])
    rows = WHOLE.astype(float)
    rows.loc[3, "b"] = 1.5
    asked(folder, rows)
    answering_otherwise(monkeypatch, 10.0)
    with pytest.raises(WrongAnswers, match=r"the engine \(compiled\) would answer"):
        asked(folder, rows)


def test_a_model_that_refuses_every_caller_is_refused(tmp_path: Path):
    """One that says its signature is from type hints takes none of the forms in which its champion's callers ask."""
    folder = saved(LogisticRegression().fit(DOUBLES, LABELS), tmp_path, DOUBLES[:2])
    described = folder / "MLmodel"
    described.write_text(with_flag("is_signature_from_type_hint", described.read_text()))
    for name in ("input_example.json", "serving_input_example.json"):
        (folder / name).unlink(missing_ok=True)
    given = said(TOOLS, folder, DOUBLES, version="m/2")
    with pytest.raises(WrongAnswers, match="m/2 answers none of its callers who send such rows as JSON"):
        require_alike_alone(TOOLS, folder, DOUBLES, given, version="m/2")
    with pytest.raises(WrongAnswers, match=r"the engine (\(native\) would refuse all who ask m/2|could not serve m/2)"):
        asked(folder, DOUBLES)


def without_names(text: str) -> str:
    """Return an MLmodel whose columns have types alone."""
    found = re.sub(r'"name": "[xz]",\s*', "", text)
    assert found != text
    return found


def with_flag(name: str, text: str) -> str:
    """Return an MLmodel that says something of its types."""
    assert f"{name}: false" in text
    return text.replace(f"{name}: false", f"{name}: true")


@pytest.mark.parametrize("change", [without_names, partial(with_flag, "type_hint_from_example")])
def test_what_does_not_become_a_table_is_answered_all_the_same(change: Any, tmp_path: Path):
    """Columns without names, and those that the model's own code checks: the engine answered each request with 500."""
    model = LinearRegression().fit(DOUBLES.to_numpy(), DOUBLES.x)
    folder = saved(model, tmp_path, DOUBLES[:2])
    described = folder / "MLmodel"
    described.write_text(change(described.read_text()))
    with rehearsal(folder) as engines:
        (engine,) = engines
        body = f'{{"dataframe_split": {DOUBLES[:5].to_json(orient="split", index=False)}}}'.encode()
        np.testing.assert_allclose(engine.answer(body), model.predict(DOUBLES[:5].to_numpy()))
    asked(folder, DOUBLES)


class NeedsMore(BaseEstimator):
    """An estimator that fails on one row."""

    def fit(self, features: pd.DataFrame, target: Any) -> "NeedsMore":
        """Learn nothing."""
        self.fitted_ = True
        return self

    def predict(self, features: pd.DataFrame) -> Any:
        """Return zeros."""
        if len(features) < 3:
            raise ValueError("too few rows")
        return np.zeros(len(features))


def test_what_the_engine_could_not_serve_is_said(tmp_path: Path):
    """A model that fails on its own example is not put in place by an engine."""
    folder = saved(NeedsMore().fit(DOUBLES, LABELS), tmp_path, DOUBLES[:5])
    document = folder / "input_example.json"
    document.write_text('{"columns": ["x", "z"], "data": [[0.0, 0.0]]}')
    with pytest.raises(WrongAnswers, match="the engine could not serve m/2: the model fails on its own input example"):
        asked(folder, DOUBLES)


def test_every_runner_is_asked_that_an_engine_may_choose(tmp_path: Path):
    """Rows that only its run has may speak against the compiled one, and then another is tried."""
    folder = saved(LogisticRegression().fit(DOUBLES, LABELS), tmp_path, DOUBLES[:2])
    with rehearsal(folder) as runners:
        assert [each.kind for each in runners] == ["compiled", "prepared", "native"]
