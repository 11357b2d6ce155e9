"""Training through the command: what a run holds, and what is left when it is refused."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Param, Run
from mlflow.models import get_model_info

from slipway import command_line
from slipway.registry.manifest import Manifest, manifest_of
from slipway.registry.profile import Profile
from slipway.registry.reading import Reading
from slipway.training.commands import read_rows
from tests.generators.datasets import customers

SMALL = ["--params", '{"n_estimators": 5}']


def run_command(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run([str(word) for word in words])


def train(*words: str, data: str = "sklearn:breast_cancer", target: str = "target", model: str = "cancer") -> int:
    """Run `slipway train`."""
    return run_command("train", "--data", data, "--target", target, "--model", model, *words)


def experiments() -> list[str]:
    """Return the ids of all experiments."""
    return [each.experiment_id for each in MlflowClient().search_experiments()]


def last_run() -> Run:
    """Return the newest run."""
    return MlflowClient().search_runs(experiments(), order_by=["attributes.start_time DESC"], max_results=1)[0]


def artifacts(run: Run) -> set[str]:
    """Return the paths of a run's artifacts."""
    folder = Path(run.info.artifact_uri.removeprefix("file://"))
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_policy_that_cannot_be_read_is_told_before_the_work(store: Path, capsys: pytest.CaptureFixture[str]):
    """The version would be refused in the end, after minutes of training or hours of search."""
    (store / "promotion.yaml").write_text("stages: {production: {checks: {metrics: {}}}}")
    tune = ("tune", "--data", "sklearn:iris", "--target", "target", "--model", "iris")
    assert (train(), run_command(*tune)) == (1, 1)
    assert capsys.readouterr().err.count("metrics is unknown (did you mean 'metric'?)") == 2
    assert MlflowClient().search_runs(experiments()) == []


def test_a_run_holds_everything_that_is_promised(store: Path):
    """Parameters, metrics of three sides, plots, holdout, profile, tags, dataset, and the model."""
    assert train(*SMALL, "--cv", "3") == 0
    run = last_run()
    assert run.info.status == "FINISHED"
    assert {"estimator", "estimator.n_estimators", "rows_train", "rows_holdout", "seed"} <= run.data.params.keys()
    assert {
        f"{side}_{name}" for side in ("train", "cv", "holdout") for name in ("accuracy", "roc_auc", "log_loss")
    } <= set(run.data.metrics)
    assert {"fit_seconds", "wall_seconds", "cv_accuracy_std"} <= run.data.metrics.keys()
    assert artifacts(run) == {
        "confusion_matrix.png",
        "roc.png",
        "precision_recall.png",
        "calibration.png",
        "permutation_importance.png",
        "permutation_importance.csv",
        "holdout/holdout.json",
        "holdout/row_ids.npz",
        "holdout/rows.parquet",
        "reference/profile.json",
        "slipway/manifest.json",
    }
    assert run.data.tags["slipway.data_digest"].startswith("sha256:")
    assert run.inputs.dataset_inputs[0].dataset.name == "breast_cancer"


def test_a_version_names_the_files_it_was_logged_with(store: Path):
    """The manifest is that of the stored files, and stays so when MLflow has loaded them."""
    train(*SMALL)
    version = MlflowClient().get_model_version("cancer", "1")
    mlflow.pyfunc.load_model("models:/cancer/1")
    stored = manifest_of(Path(mlflow.artifacts.download_artifacts(artifact_uri="models:/cancer/1")))
    text = mlflow.artifacts.load_text(f"runs:/{version.run_id}/slipway/manifest.json")
    assert Manifest.from_json(text) == stored
    assert version.tags["slipway.manifest"] == stored.digest
    assert version.tags["slipway.task"] == "classification"
    assert "| holdout_accuracy |" in version.description


def test_the_model_carries_what_serving_needs(store: Path):
    """Signature of doubles, an input example, pinned requirements, its own copy of the profile."""
    train(*SMALL, data="sklearn:iris", model="iris")
    info = get_model_info("models:/iris/1")
    assert {str(kind) for kind in info.signature.inputs.input_types()} == {"DataType.double"}
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri="models:/iris/1"))
    assert (folder / "serving_input_example.json").is_file()
    assert all("==" in line for line in (folder / "requirements.txt").read_text().split())
    in_model = Profile.from_json((folder / "extra_files" / "profile.json").read_text())
    run_id = MlflowClient().get_model_version("iris", "1").run_id
    assert Profile.from_json(mlflow.artifacts.load_text(f"runs:/{run_id}/reference/profile.json")) == in_model
    assert set(in_model.features) == {"sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"}
    assert "prediction" in in_model.predictions


def test_a_stored_model_needs_no_slipway(store: Path):
    """Loaded in another process, far from the project, it predicts raw rows."""
    (store / "rows.csv").write_text(customers(200).drop(columns="id").to_csv(index=False))
    assert train(*SMALL, data=str(store / "rows.csv"), target="churned", model="churn") == 0
    code = """
import sys, mlflow, pandas as pd
model = mlflow.pyfunc.load_model("models:/churn/1")
rows = pd.DataFrame({"age": [30.0], "city": ["Paris"], "income": [None], "active": [True]}).astype({"income": float})
print(list(model.predict(rows)), sorted(name for name in sys.modules if name.split(".")[0] == "slipway"))
"""
    shown = subprocess.run([sys.executable, "-c", code], cwd=store, capture_output=True, text=True, check=True)
    predicted, _, loaded = shown.stdout.strip().partition(" ")
    assert predicted in ("['yes']", "['no']")
    # Where Slipway is installed, MLflow itself loads the entry points for `slipway+…`, and they nothing more.
    entry_points = ["slipway", "slipway.registry", "slipway.registry.server", "slipway.registry.server.entry_points"]
    assert loaded in ("[]", str(entry_points))


@pytest.mark.parametrize("estimator", ["logistic", "hist_gradient_boosting", "knn", "mlp"])
def test_every_estimator_leaves_the_same_names(store: Path, estimator: str):
    """So that the compare page shows them side by side."""
    train(*SMALL, data="sklearn:iris", model="iris")
    first = last_run()
    train("--estimator", estimator, data="sklearn:iris", model="iris")
    second = last_run()
    assert artifacts(first) == artifacts(second)
    assert first.data.metrics.keys() == second.data.metrics.keys()


def test_regression_has_plots_of_its_own(store: Path):
    """Residuals and predicted against actual."""
    assert train("--estimator", "ridge", data="sklearn:diabetes", model="progress") == 0
    assert {"residuals.png", "predicted_vs_actual.png"} <= artifacts(last_run())
    assert {"holdout_rmse", "holdout_mae", "holdout_r2"} <= last_run().data.metrics.keys()


def test_rows_are_not_stored_where_they_may_not_be(store: Path):
    """Only ids, and an input example that is nobody's row."""
    (store / "rows.csv").write_text(customers(200).to_csv(index=False))
    words = ("--holdout-rows", "false", "--key", "id", *SMALL)
    assert train(*words, data=str(store / "rows.csv"), target="churned", model="churn") == 0
    assert "holdout/rows.parquet" not in artifacts(last_run())
    assert "holdout/row_ids.npz" in artifacts(last_run())
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri="models:/churn/1"))
    example = json.loads((folder / "serving_input_example.json").read_text())["dataframe_split"]
    incomes = set(customers(200)["income"])
    assert len(example["data"]) == 1
    assert dict(zip(example["columns"], example["data"][0], strict=True))["income"] not in incomes


def test_rows_above_the_limit_are_not_stored(store: Path):
    """The limit is a setting."""
    (store / "slipway.yaml").write_text("training: {holdout_rows_max_bytes: 100}")
    assert train(*SMALL, data="sklearn:iris", model="iris") == 0
    assert "holdout/rows.parquet" not in artifacts(last_run())


def test_warnings_are_said_in_the_run(store: Path):
    """Where MLflow's UI shows a run's description."""
    (store / "rows.csv").write_text(customers(200).assign(same=1).to_csv(index=False))
    train(*SMALL, data=str(store / "rows.csv"), target="churned", model="churn")
    note = last_run().data.tags["mlflow.note.content"]
    assert "columns with one value only: 'same'" in note
    assert "probably identifiers: 'id'" in note


def test_nothing_is_registered_when_that_is_turned_off(store: Path):
    """The run is there, a version is not."""
    assert train(*SMALL, "--register", "false", data="sklearn:iris", model="iris") == 0
    assert MlflowClient().search_registered_models() == []


REFUSED = [
    (["--data", "nowhere.csv"], "no file "),
    (["--data", "empty.csv"], "has no rows"),
    (["--data", "twice.csv"], "has column names twice: 'a'"),
    (["--data", "null.csv"], "has no column with a value beside the target 'target'"),
    (["--data", "latin.csv", "--encoding", "utf-8"], "is not utf-8: byte 0xf6 at 10"),
    (["--data", "one.csv", "--drop", "b"], "has no column 'b'"),
    (["--data", "one.csv", "--sep", ";"], "sep=';', and the header of one.csv has none: 'a,target'"),
    (["--data", "one.csv"], "has only one class"),
    (["--data", "infinite.csv", "--task", "regression"], "is infinite in 1 of 40 rows"),
    (["--data", "rare.csv"], "would have no row of class 'rare'"),
    (["--target", "tagret"], "has no column 'tagret' (did you mean 'target'?)"),
    (["--data", "sql:x:SELECT 1"], "no connection 'x'"),
    (["--data", "postgresql://ann:hunter2@h/d"], "data holds a URL with a password"),
    (["--estimator", "forest"], "unknown estimator 'forest'"),
    (["--params", '{"depth": 1}'], "has no parameter 'depth'"),
    (["--params", '{"n_estimators": -1}'], "cannot be fitted"),
    (["--params", "{"], "params='{': not JSON"),
    (["--holdout", "1.5", "--cv", "x"], "holdout='1.5': Input should be less than 1; cv='x'"),
    (["--model", "a/b"], "'a/b' cannot be a model's name"),
    (["--estimator", "sklearn.gaussian_process.GaussianProcessClassifier"], "types that nobody reviewed"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[" ".join(words)[:40] for words, _ in REFUSED])
def test_a_refusal_leaves_a_failed_run_that_says_why_and_nothing_else(
    store: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
):
    """One line on the terminal, the same in the run, no model, no version."""
    rows = [f"{i},{'a' if i % 2 else 'b'}" for i in range(40)]
    files = {
        "empty.csv": ["a,target"],
        "twice.csv": ["a,a,target", "1,2,3"],
        "null.csv": ["a,target", ",x", ",y"],
        "one.csv": ["a,target", "1,x", "2,x"],
        "infinite.csv": ["a,target", *[f"{i},{i}.5" for i in range(39)], "39,inf"],
        "rare.csv": ["a,target", *rows, "99,rare"],
        "latin.csv": ["a,target", "Köln,1"],
    }
    for name, lines in files.items():
        (store / name).write_text("\n".join(lines), encoding="latin1")
    assert train("--estimator", "random_forest", *words) == 1
    assert f"error: {said}" in (shown := capsys.readouterr().err) or said in shown
    assert "Traceback" not in shown
    run = last_run()
    assert run.info.status == "FAILED"
    assert said in run.data.tags["slipway.error"]
    assert said in run.data.tags["mlflow.note.content"]
    assert "hunter2" not in f"{run.data} {shown}"
    assert artifacts(run) == set()
    assert MlflowClient().search_registered_models() == []
    assert MlflowClient().search_logged_models(experiments()) == []


def test_a_version_that_cannot_be_created_leaves_a_failed_run_and_no_version(store: Path):
    """The database refuses the version: no model is left in the registry or in the run."""
    with sqlite3.connect(store / "mlflow.db") as database:
        database.execute(
            "CREATE TRIGGER full BEFORE INSERT ON model_versions BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    assert train(*SMALL, data="sklearn:iris", model="iris") == 1
    assert last_run().info.status == "FAILED"
    assert "Model Version creation error (name=iris)" in last_run().data.tags["slipway.error"]
    assert MlflowClient().search_registered_models() == []
    assert MlflowClient().search_logged_models(experiments()) == []


def test_a_run_that_mlflow_opened_is_used_and_its_parameters_stay(store: Path, monkeypatch: pytest.MonkeyPatch):
    """`mlflow run` records parameters before the project starts, quoted for the shell."""
    opened = MlflowClient().create_run("0")
    MlflowClient().log_batch(opened.info.run_id, params=[Param("key", "''"), Param("task", "auto")])
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    assert train(*SMALL, data="sklearn:iris", model="iris") == 0
    run = MlflowClient().get_run(opened.info.run_id)
    assert (run.info.status, run.data.params["task"], run.data.params["estimator"]) == (
        "FINISHED",
        "auto",
        "random_forest",
    )


@pytest.mark.parametrize(("name", "kept"), [("spring cleaning", True), ("nightly-churn-7", True), (None, False)])
def test_a_name_that_somebody_gave_to_a_run_stays(
    store: Path, monkeypatch: pytest.MonkeyPatch, name: str | None, kept: bool
):
    """`mlflow run --run-name` chooses it, and its own experiment; a name that MLflow made up is replaced."""
    elsewhere = MlflowClient().create_experiment("elsewhere")
    opened = MlflowClient().create_run(elsewhere)
    if name:
        MlflowClient().set_tag(opened.info.run_id, "mlflow.runName", name)
    monkeypatch.setenv("MLFLOW_RUN_ID", opened.info.run_id)
    assert train("--estimator", "ridge", data="sklearn:iris", model="iris") == 0
    run = MlflowClient().get_run(opened.info.run_id)
    assert run.info.run_name == (name if kept else "iris/1: ridge")
    assert {each.name for each in MlflowClient().search_experiments()} == {"Default", "elsewhere"}


def test_runs_say_what_they_are_in_the_experiment_of_their_model(store: Path):
    """Trained, tuned with its trials, evaluated, and one that failed; a model that there is not gets no experiment."""
    words = ("--data", "sklearn:iris", "--target", "target")
    assert train("--estimator", "sklearn.naive_bayes.GaussianNB", data="sklearn:iris", model="iris") == 0
    assert run_command("tune", *words, "--model", "iris", "--estimator", "ridge", "--trials", "2", "--cv", "2") == 0
    assert run_command("evaluate", "iris/2", *words) == 0
    assert train("--cv", "1", data="sklearn:iris", model="iris") == 1
    assert run_command("evaluate", "irsi/2", *words) == 1
    assert train(data="sklearn:iris", model="a/b") == 1
    assert names_in("iris") == {
        "iris/1: GaussianNB",
        "iris/2: ridge, tuned",
        "trial 1",
        "trial 2",
        "iris/2: evaluation",
        "iris: random_forest",
    }
    assert names_in("Default") == {"irsi/2: evaluation", "a/b: random_forest"}
    assert len(experiments()) == 2


def names_in(experiment: str) -> set[str]:
    """Return the names of an experiment's runs."""
    found = MlflowClient().get_experiment_by_name(experiment)
    return {str(run.info.run_name) for run in MlflowClient().search_runs([found.experiment_id])}


@pytest.mark.parametrize("variable", ["MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"])
def test_the_experiment_that_somebody_chose_is_used(store: Path, monkeypatch: pytest.MonkeyPatch, variable: str):
    """By either variable of MLflow's; none is made beside it."""
    chosen = MlflowClient().create_experiment("chosen")
    monkeypatch.setenv(variable, "chosen" if variable.endswith("NAME") else chosen)
    assert train("--estimator", "ridge", "--register", "false", data="sklearn:iris", model="iris") == 0
    assert names_in("chosen") == {"iris: ridge"}
    assert len(experiments()) == 2


def test_a_deleted_experiment_of_the_models_name_is_said(store: Path, capsys: pytest.CaptureFixture[str]):
    """MLflow keeps its name, and says that it must be active."""
    made = MlflowClient().create_experiment("iris")
    MlflowClient().delete_experiment(made)
    assert train("--estimator", "ridge", data="sklearn:iris", model="iris") == 1
    said = capsys.readouterr().err
    assert "experiment 'iris', which is named after the model, is deleted" in said
    assert f"hint: mlflow experiments restore --experiment-id {made}" in said


def test_tuning_registers_the_best_once(store: Path, capsys: pytest.CaptureFixture[str]):
    """Each trial is a nested run with its scores; the parent holds the model."""
    words = ["tune", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "ridge"]
    assert run_command(*words, "--trials", "3", "--cv", "2") == 0
    runs = MlflowClient().search_runs(experiments())
    nested = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    parent = next(run for run in runs if run not in nested)
    assert len(nested) == 3
    assert all("cv_balanced_accuracy" in run.data.metrics for run in nested)
    best = max(nested, key=lambda run: run.data.metrics["cv_balanced_accuracy"])
    assert parent.data.params["estimator.alpha"] == best.data.params["estimator.alpha"]
    assert [version.version for version in MlflowClient().search_model_versions("name='iris'")] in (["1"], [1])
    assert run_command(*words, "--trials", "none") == 1
    assert "trials='none': expected a whole number above 0" in capsys.readouterr().err


def test_evaluation_measures_any_version_and_counts_rows_it_knows(store: Path, capsys: pytest.CaptureFixture[str]):
    """On its own training data most rows are known; the run holds metrics and plots."""
    train(*SMALL, data="sklearn:iris", model="iris")
    capsys.readouterr()
    assert run_command("evaluate", "iris/1", "--data", "sklearn:iris", "--target", "target", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert 0.5 < found["rows_trained_on"] / found["rows"] < 1
    run = MlflowClient().get_run(found["run_id"])
    assert run.data.metrics["eval_accuracy"] == found["metrics"]["accuracy"]
    assert "confusion_matrix.png" in artifacts(run)
    assert run.data.tags["slipway.evaluated_version"] == "iris/1"


def test_a_version_trained_elsewhere_can_be_evaluated(store: Path, capsys: pytest.CaptureFixture[str]):
    """A plain pyfunc without scores, with whole-number columns and no Slipway tags."""

    class Sum(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: pd.DataFrame, params=None):
            return (model_input["a"] + model_input["b"] > 4).astype(int)

    rows = pd.DataFrame({"a": [1, 2, 3, 4], "b": [1, 2, 3, 4]})
    signature = mlflow.models.infer_signature(rows, [0, 1, 1, 1])
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="m", python_model=Sum(), signature=signature, registered_model_name="sum", pip_requirements=["mlflow"]
        )
    rows.assign(target=[0, 0, 1, 1]).to_csv("rows.csv", index=False)
    (store / "promotion.yaml").write_text("stages: {production: {checks: {artifact: {allow: [cloudpickle]}}}}")
    capsys.readouterr()
    assert run_command("evaluate", "sum/1", "--data", "rows.csv", "--target", "target", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["metrics"]["accuracy"], found["rows_trained_on"]) == (1.0, None)


def test_evaluation_refuses_data_without_the_versions_columns(store: Path, capsys: pytest.CaptureFixture[str]):
    """The missing ones are named."""
    train(*SMALL, data="sklearn:iris", model="iris")
    assert run_command("evaluate", "iris/1", "--data", "sklearn:wine", "--target", "target") == 1
    assert "iris/1 takes columns that sklearn:wine lacks: sepal length (cm)" in capsys.readouterr().err
    assert last_run().info.status == "FAILED"


def test_evaluation_says_when_it_cannot_tell_which_rows_are_known(store: Path, capsys: pytest.CaptureFixture[str]):
    """Rows without the key column may be the very ones that the version was trained on."""
    rows = customers(200)
    rows.to_csv("rows.csv", index=False)
    rows.drop(columns="id").to_csv("no_key.csv", index=False)
    rows.assign(id=lambda frame: frame["id"].where(frame.index > 3)).to_csv("few_keys.csv", index=False)
    train(*SMALL, "--key", "id", data="rows.csv", target="churned", model="churn")
    for name, why in (
        ("no_key.csv", "they were told apart by 'id', and these rows have no 'id'"),
        ("few_keys.csv", "'id' is missing in 4 of these rows"),
    ):
        capsys.readouterr()
        assert run_command("evaluate", "churn/1", "--data", name, "--target", "churned", "--json") == 0
        said = capsys.readouterr()
        found = json.loads(said.out)
        assert (found["rows_trained_on"], found["rows_trained_on_unknown"]) == (None, why)
        warning = f"it cannot be told whether churn/1 was trained on these rows: {why}"
        assert f"warning: {warning}" in said.err
        assert warning in MlflowClient().get_run(found["run_id"]).data.tags["mlflow.note.content"]


def test_evaluation_names_the_column_that_a_model_refuses(store: Path, capsys: pytest.CaptureFixture[str]):
    """Infinities in new rows are no traceback."""
    rows = customers(200).drop(columns="id")
    rows.to_csv("rows.csv", index=False)
    rows.assign(income=lambda frame: frame["income"].where(frame.index > 1, np.inf)).to_csv("odd.csv", index=False)
    train("--estimator", "ridge", data="rows.csv", target="churned", model="churn")
    assert run_command("evaluate", "churn/1", "--data", "odd.csv", "--target", "churned") == 1
    assert "churn/1 cannot predict these rows: column 'income' is infinite in 2 of 200 rows" in capsys.readouterr().err


def test_declared_words_mean_missing_wherever_the_version_is_asked(store: Path, capsys: pytest.CaptureFixture[str]):
    """In MLflow's own model, in evaluation and in rows that are read for the gate; they are recorded with it."""
    rows = customers(200).drop(columns="id")
    rows["income"] = rows["income"].astype(object).where(rows["income"].notna(), "n.k.")
    rows["city"] = rows["city"].where(rows["city"].notna(), "n.k.")
    rows.to_csv("rows.csv", index=False)
    assert train(*SMALL, "--missing", "n.k.", data="rows.csv", target="churned", model="churn") == 0
    version = MlflowClient().get_model_version("churn", "1")
    assert version.tags["slipway.missing_words"] == '["n.k."]'
    assert MlflowClient().get_run(version.run_id).data.params["missing"] == "n.k."
    model = mlflow.pyfunc.load_model("models:/churn/1")
    asked = pd.DataFrame({"age": [30.0] * 3, "city": ["n.k.", None, "Rome"], "income": [1e4] * 3, "active": [True] * 3})
    said = model.get_raw_model().predict_proba(asked)
    assert said[0].tolist() == said[1].tolist() != said[2].tolist()
    capsys.readouterr()
    assert run_command("evaluate", "churn/1", "--data", "rows.csv", "--target", "churned", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rows_trained_on"] == int(MlflowClient().get_run(version.run_id).data.params["rows_train"])
    document = json.loads(mlflow.artifacts.load_text(f"runs:/{version.run_id}/holdout/holdout.json"))
    assert document["missing_words"] == ["n.k."]
    frame, digest = read_rows("rows.csv", "churned", Reading(missing_words=tuple(document["missing_words"])))
    assert str(frame["income"].dtype) == "float64"
    assert digest == document["data_digest"]


def test_a_trial_that_fails_is_a_failed_run_and_the_best_is_registered(store: Path, capsys: pytest.CaptureFixture[str]):
    """The reason is in the nested run."""
    space = '{"alpha": {"choices": [-1.0, 1.0]}}'
    words = [
        "tune",
        "--data",
        "sklearn:iris",
        "--target",
        "target",
        "--model",
        "iris",
        "--estimator",
        "ridge",
        "--json",
    ]
    assert run_command(*words, "--trials", "6", "--cv", "2", "--space", space) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["version"] == "iris/1"
    nested = [run for run in MlflowClient().search_runs(experiments()) if "mlflow.parentRunId" in run.data.tags]
    by_alpha = {(run.data.params["estimator.alpha"], run.info.status) for run in nested}
    assert by_alpha == {("-1.0", "FAILED"), ("1.0", "FINISHED")}
    failed = next(run for run in nested if run.info.status == "FAILED")
    assert "'alpha' parameter of RidgeClassifier" in failed.data.tags["slipway.error"]
    assert "warning: a trial failed: {'alpha': -1.0}: RidgeClassifier cannot be fitted" in said.err


def test_the_format_of_times_and_what_was_left_out_are_in_the_run(store: Path, capsys: pytest.CaptureFixture[str]):
    """Said on the terminal too."""
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    customers(200).drop(columns="id").assign(day=days.strftime("%d.%m.%Y")).to_csv("rows.csv", index=False)
    words = ("--time-column", "day", "--importance-seconds", "1e-9", "--estimator", "ridge")
    assert train(*words, data="rows.csv", target="churned", model="churn") == 0
    run, said = last_run(), capsys.readouterr().err
    assert run.data.tags["slipway.time_format"] == "%d.%m.%Y"
    assert "time column 'day' was read by the format %d.%m.%Y" in said
    assert "the importance of 4 of 4 features was not measured within 1e-09 s" in run.data.tags["mlflow.note.content"]
    assert "the importance of 4 of 4 features was not measured within 1e-09 s" in said
    table = pd.read_csv(mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/permutation_importance.csv"))
    assert set(table["feature"]) == {"age", "city", "income", "active"}
    assert table["importance"].isna().all()
