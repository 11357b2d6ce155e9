"""XGBoost, LightGBM and CatBoost through the commands: trained, tuned, judged against each other, promoted, served."""

import json
from pathlib import Path
from typing import Any

import mlflow
import mlflow.xgboost
import numpy as np
import pandas as pd
import pytest
import xgboost
import yaml
from mlflow import MlflowClient
from mlflow.models import infer_signature

from slipway import command_line
from tests.generators.datasets import customers
from tests.servers.served import serving

BOOSTERS = ("xgboost", "lightgbm", "catboost")
TARGETS: dict[str, list[Any]] = {
    "yes or no": ["no", "yes"],
    "0 or 1": [0, 1],
    "truth": [False, True],
    "three texts": ["basic", "gold", "plus"],
    "numbers": [],
}
FEATURES = ["age", "city", "income", "active"]


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


def written(folder: Path, target: str) -> pd.DataFrame:
    """Write rows with a target of a kind that follows from the age, and a policy that asks for a comparison."""
    frame, labels = customers(), TARGETS[target]
    if labels:
        frame["churned"] = pd.Series(labels).reindex(frame["age"] * len(labels) // 91).to_numpy()
    else:
        frame["churned"] = frame["age"] * 1.5 + frame["active"]
    frame.to_parquet(folder / "rows.parquet")
    champion = {"margin": 0.5} if labels else {"margin": 30.0}
    stages = {
        "staging": {"checks": {"artifact": {}}},
        "production": {"checks": {"artifact": {}, "contract": {}, "champion": champion}},
    }
    (folder / "promotion.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))
    return frame


def trained(estimator: str, verb: str = "train", *more: str) -> int:
    """Train or tune a small version of `churn`; return the exit code."""
    words = (
        "--data",
        "rows.parquet",
        "--target",
        "churned",
        "--model",
        "churn",
        "--key",
        "id",
        "--estimator",
        estimator,
    )
    params = "{}" if estimator in ("ridge", "logistic") else '{"n_estimators": 20}'
    return call(verb, *words, "--params", params, "--importance-seconds", "0", *more)


def into(stage: str, number: int) -> int:
    """Promote a version; return the exit code."""
    return call("promote", f"churn/{number}", "--to", stage, "--reason", "test")


def assert_served(folder: Path, frame: pd.DataFrame, *, kind: str = "compiled", proba: bool = True) -> None:
    """Compare what an engine answers with the model itself: predictions, and probabilities where it has them."""
    model = mlflow.pyfunc.load_model("models:/churn@production")
    rows = frame[FEATURES].head(40).astype({"age": float})
    split = json.loads(rows.to_json(orient="split", index=False))
    with serving(folder, "churn@production") as served:
        assert served.model("churn")["runner"]["kind"] == kind
        status, document, _ = served.ask("/invocations", json.dumps({"dataframe_split": split}).encode())
        assert status == 200, document
        assert_same(document["predictions"], model.predict(rows))
        if proba:
            body = {"features": split["data"], "params": {"method": "predict_proba"}}
            status, document, _ = served.ask("/models/churn/predict", json.dumps(body).encode())
            expected = model.get_raw_model().predict_proba(rows)
            assert status == 200, document
            np.testing.assert_allclose(document["predictions"], expected, rtol=1e-9)


def assert_same(found: list[Any], expected: np.ndarray) -> None:
    """Compare labels exactly, and numbers as the engine does when it verifies: sums in double have no order."""
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    else:
        assert found == expected.tolist()


def test_a_booster_takes_the_place_of_another_and_its_probabilities_are_served(store: Path):
    """Both are safe to load by the default rule, and compared on rows that neither saw."""
    frame = written(store, "yes or no")
    for number, estimator in enumerate(("lightgbm", "xgboost"), start=1):
        assert trained(estimator) == 0
        assert (into("staging", number), into("production", number)) == (0, 0)
    assert_served(store, frame)


def test_a_regressor_that_answers_singles_takes_the_place_of_one_that_answers_doubles(
    store: Path, capsys: pytest.CaptureFixture[str]
):
    """A caller sees numbers in JSON either way; and so back."""
    written(store, "numbers")
    for number, estimator in enumerate(("ridge", "xgboost"), start=1):
        assert trained(estimator) == 0
        assert (into("staging", number), into("production", number)) == (0, 0)
    assert "contract: reason: takes and gives what churn/1 did" in capsys.readouterr().out
    outputs = mlflow.models.get_model_info("models:/churn/2").signature.outputs
    assert outputs.inputs[0].type == np.dtype("float32")
    assert call("rollback", "churn", "--reason", "test") == 0


@pytest.mark.parametrize(
    "estimator", ["lightgbm", *(pytest.param(name, marks=pytest.mark.long) for name in ("xgboost", "catboost"))]
)
def test_a_booster_is_tuned_in_its_own_space(store: Path, estimator: str):
    """By cross-validation; what the user gave stays beside what is proposed."""
    written(store, "three texts")
    assert trained(estimator, "tune", "--trials", "2", "--cv", "2") == 0
    runs = MlflowClient().search_runs([MlflowClient().get_experiment_by_name("churn").experiment_id])
    tried = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert len(tried) == 2
    assert all(run.info.status == "FINISHED" and "cv_balanced_accuracy" in run.data.metrics for run in tried)


def test_a_classifier_of_0_and_1_in_its_librarys_own_flavor_is_judged_as_one(
    store: Path, capsys: pytest.CaptureFixture[str]
):
    """Logged elsewhere, with nothing of Slipway's: by its classes, on labelled rows that the policy names."""
    frame = written(store, "0 or 1")
    X, y = frame[["age", "income"]].astype(float), frame["churned"]
    frame[["age", "income", "churned"]].to_csv("labelled.csv", index=False)
    for rounds in (5, 10):
        model = xgboost.XGBClassifier(n_estimators=rounds).fit(X, y)
        signature = infer_signature(X, model.predict(X))
        with mlflow.start_run():
            mlflow.xgboost.log_model(
                model, name="model", registered_model_name="churn", signature=signature, input_example=X.head(3)
            )
    named = {"champion": {"data": "labelled.csv", "target": "churned", "margin": 0.5}, "contract": {}, "artifact": {}}
    stages = {"production": {"checks": named}}
    Path("promotion.yaml").write_text(yaml.safe_dump({"stages": stages}))
    assert call("register", "churn/1", "--reason", "test") == 0
    assert call("register", "churn/2", "--reason", "test") == 0
    assert into("production", 1) == 0
    assert into("production", 2) == 0
    assert "champion: reason: accuracy" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.parametrize("target", TARGETS)
def test_all_of_them_take_each_others_place_whatever_the_target(store: Path, target: str):
    """After an estimator of scikit-learn's, which comes back at the end; each is served as its library answers."""
    frame = written(store, target)
    for number, estimator in enumerate(("random_forest", *BOOSTERS, "random_forest"), start=1):
        assert trained(estimator) == 0
        assert (into("staging", number), into("production", number)) == (0, 0), estimator
        assert_served(store, frame, proba=target != "numbers")
