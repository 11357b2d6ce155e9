"""gate, approve and promote through the command line, on a real MLflow store: who is let in, and who is not."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import slipway
from slipway import command_line
from slipway.registry.engines.heartbeats import Heartbeat
from slipway.registry.engines.sql_heartbeats import SqlHeartbeats
from slipway.registry.errors import Conflict, InvalidInput
from slipway.registry.manifest import manifest_of
from slipway.registry.settings import history_url
from tests.generators.datasets import churn, customers


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


def train(data: str, model: str, estimator: str, **options: str) -> None:
    """Train and register a version."""
    given = {"data": data, "target": "target", "model": model, "estimator": estimator, **options}
    words = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert call("train", *words) == 0


def policy(folder: Path, production: dict, *, staging: dict | None = None, **more: object) -> None:
    """Write a policy whose checks before staging are quick."""
    stages = {
        "staging": {"checks": staging or {"lineage": {}}},
        "production": {"checks": production, **more},
    }
    (folder / "promotion.yaml").write_text(yaml.safe_dump({"stages": stages}, sort_keys=False))


def into(stage: str, version: str, *more: str) -> int:
    """Promote a version, and return the exit code."""
    return call("promote", version, "--to", stage, "--reason", "test", *more)


def champion_and_candidate(folder: Path, *estimators: str, **options: str) -> None:
    """Train versions of `digits`; the first is in production, the last in staging."""
    for estimator in estimators:
        train("sklearn:digits", "digits", estimator, **options)
    for stage in ("staging", "production"):
        assert into(stage, "digits/1") == 0
    assert into("staging", f"digits/{len(estimators)}") == 0


def stored(version: str) -> Path:
    """Return the folder with a version's files."""
    name, _, number = version.partition("/")
    source = MlflowClient().get_model_version(name, number).source
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=source))


def test_the_default_policy_lets_a_better_one_in_and_a_worse_one_not(store: Path, capsys: pytest.CaptureFixture[str]):
    """With the reason printed; the verdict is in the history, its report with the run, its link in the description."""
    for estimator in ("ridge", "random_forest", "ridge"):
        train("sklearn:digits", "digits", estimator)
    for stage in ("staging", "production"):
        assert into(stage, "digits/1") == 0
    assert call("gate", "digits/2", "--to", "staging", "--json") == 0
    capsys.readouterr()
    assert into("staging", "digits/2") == 0
    assert "the verdict of event 8 still holds" in capsys.readouterr().err
    assert into("production", "digits/2") == 0
    assert "better, interval" in capsys.readouterr().out
    assert into("staging", "digits/3") == 0
    assert into("production", "digits/3") == 3
    assert "error: digits/3 does not enter production: champion FAIL: accuracy" in capsys.readouterr().err
    version = MlflowClient().get_model_version("digits", "3")
    assert "- production: **FAIL**" in version.description
    (folder,) = MlflowClient().list_artifacts(version.run_id, "slipway/gate")
    assert folder.path.startswith("slipway/gate/digits-")
    experiment = MlflowClient().get_run(version.run_id).info.experiment_id
    page = f"#/experiments/{experiment}/runs/{version.run_id}/artifacts/{folder.path}/3/production-14.html"
    assert f"[report]({page})" in version.description
    reports = [file.path for file in MlflowClient().list_artifacts(version.run_id, f"{folder.path}/3")]
    assert [path.rpartition(".")[2] for path in reports if "production" in path] == ["html", "json"]
    assert MlflowClient().get_model_version_by_alias("digits", "production").version == 2
    tags = MlflowClient().get_model_version("digits", "2").tags
    assert (tags["slipway.stage"], tags["slipway.verdict"], tags["slipway.reason"]) == ("production", "PASS", "test")


def test_who_never_says_yes_is_refused_and_who_finds_churn_is_let_in(store: Path, capsys: pytest.CaptureFixture[str]):
    """By the default checks of production, on 8 % churn: as a first version, past an override, and after it."""
    churn(6_000).to_csv(store / "churn.csv", index=False)
    policy(store, {"artifact": {}, "contract": {}, "champion": {}}, allow_override=True)
    given = {"data": "churn.csv", "target": "churned", "model": "churn", "estimator": "logistic"}
    never, weighted = '{"C": 1e-12}', '{"class_weight": "balanced"}'
    for params in (never, weighted):
        assert call("train", *(f"--{key}={value}" for key, value in given.items()), "--params", params) == 0
    assert into("staging", "churn/1") == 0
    capsys.readouterr()
    assert into("production", "churn/1") == 3
    assert "all its labels are 'no'" in " ".join(capsys.readouterr().out.split())
    assert into("production", "churn/1", "--override", "accuracy is 0.92") == 0
    assert into("staging", "churn/2") == 0
    assert into("production", "churn/2") == 0
    assert into("staging", "churn/1") == 0
    assert into("production", "churn/1") == 3


def test_a_promotion_names_the_engines_that_have_yet_to_follow(store: Path, capsys: pytest.CaptureFixture[str]):
    """By their own last word; a candidate follows nothing."""
    train("sklearn:iris", "iris", "knn")
    policy(store, {"lineage": {}})
    beat = Heartbeat(
        engine="e",
        model="iris",
        stage="staging",
        version=None,
        since=None,
        at=datetime.now(UTC),
        runner=None,
        address="http://here:8080",
        problem=None,
    )
    candidate = replace(beat, variant="candidate", version=7)
    SqlHeartbeats(history_url(os.environ, Path.cwd())).beat([beat, candidate])
    assert into("staging", "iris/1") == 0
    said = capsys.readouterr().err
    assert "staging is served by http://here:8080: nothing yet; it is being prepared" in said
    assert "candidate" not in said
    assert call("status") == 0
    assert "http://here:8080 (candidate): 7\n" in capsys.readouterr().err


def test_a_gate_changes_nothing_and_answers_with_its_exit_code(store: Path, capsys: pytest.CaptureFixture[str]):
    """3 for FAIL, 4 for what cannot be told; the document has every finding."""
    train("sklearn:iris", "iris", "knn")
    policy(store, {"metric": {"limits": {"holdout_accuracy": {"min": 2}}}, "lineage": {"require": ["git_commit"]}})
    aliases = MlflowClient().get_registered_model("iris").aliases
    capsys.readouterr()
    assert call("gate", "iris/1", "--to", "production", "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert (document["outcome"], document["seq"]) == ("FAIL", 2)
    assert {finding["check"]: finding["outcome"] for finding in document["findings"]} == {
        "metric": "FAIL",
        "lineage": "INCONCLUSIVE",
    }
    policy(store, {"metric": {"limits": {"nothing": {"min": 2}}}})
    assert call("gate", "iris/1", "--to", "production") == 4
    assert MlflowClient().get_registered_model("iris").aliases == aliases


def test_a_version_that_cannot_be_served_is_refused(store: Path, capsys: pytest.CaptureFixture[str]):
    """It loads here, and not in a server: the code that it needs is not in its requirements or files."""
    train("sklearn:iris", "iris", "knn")
    folder = stored("iris/1")
    policy(store, {"servable": {"requests": 2}}, staging={"servable": {"requests": 2, "p99_ms": 0.001}})
    assert into("staging", "iris/1") == 3
    assert "over the budget of 0.001 ms" in capsys.readouterr().err
    (folder / "MLmodel").write_text((folder / "MLmodel").read_text().replace("mlflow.sklearn", "no_such_module"))
    MlflowClient().create_model_version("iris", MlflowClient().get_model_version("iris", "1").source)
    assert call("register", "iris/2", "--reason", "as it is now") == 0
    policy(store, {"lineage": {}}, staging={"servable": {"requests": 2}})
    assert into("staging", "iris/2") in (3, 4)
    assert "no_such_module" in capsys.readouterr().err


def test_an_incompatible_version_is_refused(store: Path, capsys: pytest.CaptureFixture[str]):
    """A column that callers do not send; one that is gone, until the policy retires it."""
    frame = customers()
    frame.drop(columns="age").to_csv(store / "few.csv", index=False)
    frame.to_csv(store / "all.csv", index=False)
    policy(store, {"contract": {}})
    for data in ("all.csv", "few.csv"):
        train(data, "churn", "knn", target="churned", key="id")
    for stage in ("staging", "production"):
        assert into(stage, "churn/1") == 0
    assert into("staging", "churn/2") == 0
    capsys.readouterr()
    assert into("production", "churn/2") == 3
    assert "input 'age' is gone; what nobody needs" in capsys.readouterr().err
    policy(store, {"contract": {"retire": ["age"]}})
    assert into("production", "churn/2") == 0
    assert into("staging", "churn/1") == 0
    capsys.readouterr()
    assert into("production", "churn/1") == 3
    assert "input 'age' is new and required" in capsys.readouterr().err


def test_a_version_whose_files_were_touched_is_refused_and_not_loaded(store: Path, capsys: pytest.CaptureFixture[str]):
    """One byte of one file."""
    policy(store, {"artifact": {}, "champion": {}})
    champion_and_candidate(store, "ridge", "random_forest")
    path = stored("digits/2") / "requirements.txt"
    path.write_bytes(path.read_bytes() + b"\n")
    capsys.readouterr()
    assert into("production", "digits/2") == 3
    shown = capsys.readouterr()
    assert "changed: requirements.txt" in shown.err
    assert "not made: the stored files did not pass" in shown.out


def test_an_unapproved_version_waits_for_somebody_else(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Its author and its promoter do not count; the verdict on the rest is not made again."""
    policy(store, {"lineage": {}, "approval": {}})
    monkeypatch.setenv("LOGNAME", "ann")
    train("sklearn:iris", "iris", "knn")
    assert into("staging", "iris/1") == 0
    assert into("production", "iris/1") == 4
    assert "nobody has approved iris/1 for production; 1 more: slipway approve iris/1" in capsys.readouterr().err
    assert call("approve", "iris/1", "--to", "production") == 1
    assert "ann is an author of iris/1" in capsys.readouterr().err
    monkeypatch.setenv("LOGNAME", "bob")
    assert call("approve", "iris/1", "--to", "production") == 0
    assert into("production", "iris/1") == 4
    assert "bob is the promoter" in capsys.readouterr().err
    monkeypatch.setenv("LOGNAME", "ann")
    assert into("production", "iris/1") == 0
    assert "still holds" in capsys.readouterr().err


def test_an_approval_lapses_with_the_policy(store: Path, monkeypatch: pytest.MonkeyPatch):
    """What was approved is what the policy demanded then."""
    policy(store, {"lineage": {}, "approval": {}})
    monkeypatch.setenv("LOGNAME", "ann")
    train("sklearn:iris", "iris", "knn")
    assert into("staging", "iris/1") == 0
    monkeypatch.setenv("LOGNAME", "bob")
    assert call("approve", "iris/1", "--to", "production") == 0
    policy(store, {"lineage": {"require": ["run"]}, "approval": {}})
    monkeypatch.setenv("LOGNAME", "ann")
    assert into("production", "iris/1") == 4


def test_an_unmeasurable_version_is_refused_with_what_is_missing(store: Path, capsys: pytest.CaptureFixture[str]):
    """Too few rows; a run that is gone."""
    policy(store, {"champion": {}})
    train("sklearn:iris", "iris", "knn", holdout="0.1")
    train("sklearn:iris", "iris", "ridge", holdout="0.1")
    for stage in ("staging", "production"):
        assert into(stage, "iris/1") == 0
    assert into("staging", "iris/2") == 0
    capsys.readouterr()
    assert into("production", "iris/2") == 4
    assert "rows are left to compare on, and 30 are needed" in capsys.readouterr().err
    policy(store, {"champion": {"data": "sklearn:iris", "target": "target"}})
    assert into("production", "iris/2") == 4
    assert "dropped because a version was trained on them" in capsys.readouterr().err


def test_an_override_is_marked_and_one_command_takes_it_back(store: Path, capsys: pytest.CaptureFixture[str]):
    """The history tells who forced it in, and why."""
    policy(store, {"champion": {}}, allow_override=True)
    champion_and_candidate(store, "random_forest", "ridge")
    assert into("production", "digits/2") == 3
    assert into("production", "digits/2", "--override", "the boss says so") == 0
    capsys.readouterr()
    assert call("history", "digits") == 0
    assert "FAIL OVERRIDDEN: the boss says so" in capsys.readouterr().out
    assert call("rollback", "digits", "--reason", "as expected") == 0
    assert MlflowClient().get_model_version_by_alias("digits", "production").version == 1


def test_a_team_with_models_of_its_own_comes_in(store: Path, capsys: pytest.CaptureFixture[str]):
    """Versions and aliases made by plain MLflow: adopted, recorded, gated, promoted and rolled back."""
    rows = load_iris(as_frame=True)
    rows.frame.to_csv(store / "labelled.csv", index=False)
    for estimator in (KNeighborsClassifier(), LogisticRegression(max_iter=500)):
        fitted = estimator.fit(rows.data, rows.target)
        signature = mlflow.models.infer_signature(rows.data, fitted.predict(rows.data))
        with mlflow.start_run():
            mlflow.sklearn.log_model(
                fitted,
                name="model",
                signature=signature,
                input_example=rows.data.head(3),
                registered_model_name="iris",
                serialization_format="cloudpickle",
                pip_requirements=[],
            )
    MlflowClient().set_registered_model_alias("iris", "production", "1")
    assert call("status") == 0
    assert "slipway adopt iris@production" in capsys.readouterr().err
    assert into("staging", "iris/2") in (3, 4)
    refused = capsys.readouterr().err
    assert "slipway register iris/2" in refused
    assert "[cloudpickle]" in refused
    assert call("adopt", "iris@production", "--reason", "in production since May") == 0
    assert call("register", "iris/2", "--reason", "trained by the old pipeline") == 0
    assert call("register", "iris/2", "--reason", "again") == 1
    named = {"data": "labelled.csv", "target": "target", "margin": 0.1}
    checks = {"artifact": {"allow": ["cloudpickle"]}, "lineage": {"require": ["run"]}, "contract": {}}
    policy(store, {**checks, "champion": named}, staging=checks)
    assert call("gate", "iris/2", "--to", "staging") == 0
    assert into("staging", "iris/2") == 0
    assert into("production", "iris/2") == 0
    assert "the policy vouches for these rows" in capsys.readouterr().out
    assert call("rollback", "iris", "--reason", "the old one after all") == 0
    assert MlflowClient().get_model_version_by_alias("iris", "production").version == 1
    assert call("status") == 0
    assert call("history", "iris", "--verify") == 0


def test_a_policy_that_cannot_be_read_stops_decisions_and_no_rollback(store: Path, capsys: pytest.CaptureFixture[str]):
    """The way out stays open."""
    policy(store, {"lineage": {}})
    for number in (1, 2):
        train("sklearn:iris", "iris", "knn")
        for stage in ("staging", "production"):
            assert into(stage, f"iris/{number}") == 0
    (store / "promotion.yaml").write_text("stages: [")
    assert into("production", "iris/1") == 1
    assert call("rollback", "iris", "--reason", "errors doubled") == 0
    assert "stages and roles are taken from what was read last: the default policy" in capsys.readouterr().err
    assert MlflowClient().get_model_version_by_alias("iris", "production").version == 1


def test_policy_is_shown_and_checked(store: Path, capsys: pytest.CaptureFixture[str]):
    """Before anybody meets it."""
    assert call("policy", "check") == 0
    said = capsys.readouterr().err
    assert f"there is no {store / 'promotion.yaml'}: the default policy applies" in said
    assert "stages: staging → production" in said
    policy(store, {"champoin": {}})
    assert call("policy", "check") == 1
    assert "did you mean 'champion'?" in capsys.readouterr().err
    own = {"fair": {"entry_point": "fairness_of_ours:jugde"}, "quick": {"command": ["no-such-program"]}}
    policy(store, {"own": own})
    assert call("policy", "check") == 1
    said = "stages.production.checks.own.fair: there is no function fairness_of_ours:jugde: no module"
    assert said in capsys.readouterr().err
    (store / "fairness_of_ours.py").write_text("def judge(asked): return {}\n")
    assert call("policy", "check") == 1
    assert "has no function 'jugde' (did you mean 'judge'?)" in capsys.readouterr().err
    policy(store, {"own": {**own, "fair": {"entry_point": "fairness_of_ours:judge"}}})
    assert call("policy", "check") == 0
    assert "warning: there is no program no-such-program" in capsys.readouterr().err
    policy(store, {"champion": {"margin": 0.5, "data": "nowhere.csv", "target": "y"}})
    assert call("policy", "check") == 0
    assert "there is no file nowhere.csv" in capsys.readouterr().err
    assert call("policy", "show", "digits", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["stages"]["production"]["checks"]["champion"]["margin"] == 0.5
    assert call("policy", "check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["stages"] == ["staging", "production"]


def test_what_nobody_registered_is_promoted_as_it_was_judged(store: Path, capsys: pytest.CaptureFixture[str]):
    """The decision names its files; a verdict on others is none."""
    policy(store, {"lineage": {}}, staging={"contract": {}})
    X, y = load_iris(return_X_y=True, as_frame=True)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            LogisticRegression(max_iter=500).fit(X, y),
            name="model",
            input_example=X.head(2),
            registered_model_name="iris",
            pip_requirements=["scikit-learn"],
        )
    assert call("gate", "iris/1", "--to", "staging") == 0
    (stored("iris/1") / "requirements.txt").write_text("scikit-learn\n# other bytes\n")
    assert into("staging", "iris/1") == 0
    capsys.readouterr()
    assert call("history", "iris", "--json") == 0
    verdicts = [each for each in json.loads(capsys.readouterr().out)["events"] if each["kind"] == "GateAssessed"]
    (promoted,) = MlflowClient().get_registered_model("iris").aliases.items()
    assert (promoted[0], str(promoted[1])) == ("staging", "1")
    first, second = (each["digests"]["manifest"] for each in verdicts)
    assert first != second == manifest_of(stored("iris/1")).digest


def notebook(model, train: pd.DataFrame, held_out: pd.DataFrame, *, tells_data: bool = True) -> str:
    """Train and register as a notebook does, with MLflow's calls and one of ours; return the run's id."""
    features = train.drop(columns="target")
    with mlflow.start_run() as run:
        if tells_data:
            mlflow.log_input(mlflow.data.from_pandas(train, targets="target"), context="training")
        mlflow.set_tag("slipway.data_digest", "sha256:of-nothing")
        slipway.holdout.log(held_out, target="target", train=features)
        mlflow.sklearn.log_model(
            model.fit(features, train.target),
            name="model",
            input_example=features.head(2),
            registered_model_name="tumour",
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )
    return run.info.run_id


def test_a_notebook_brings_its_own_held_out_rows_and_data(store: Path, capsys: pytest.CaptureFixture[str]):
    """`slipway.holdout.log` for the champion, `mlflow.log_input` for lineage; a tag alone is no lineage."""
    policy(store, {"champion": {}})
    rows = load_breast_cancer(as_frame=True).frame[["mean radius", "mean texture", "mean area", "target"]]
    train, held_out = rows.iloc[:269], rows.iloc[269:]
    model = LogisticRegression(max_iter=500)
    run_ids = [notebook(model, train, held_out, tells_data=tells) for tells in (True, True, False)]
    assert into("staging", "tumour/1") == 0
    assert into("production", "tumour/1") == 0
    assert into("staging", "tumour/2") == 0
    capsys.readouterr()
    assert call("gate", "tumour/2", "--to", "production", "--json") == 0
    found, _ = json.loads(capsys.readouterr().out)["findings"]  # the other is beside a constant
    assert (found["check"], found["n"], found["details"]["dropped"]) == ("champion", len(held_out), 0)
    assert call("gate", "tumour/3", "--to", "staging") == 4
    assert "the data that it was trained on is not recorded; a tag proves nothing" in capsys.readouterr().out
    slipway.holdout.log(held_out, target="target", train=train.drop(columns="target"), run_id=run_ids[1])
    with pytest.raises(Conflict, match="has other held-out rows already"):
        slipway.holdout.log(held_out.head(50), target="target", run_id=run_ids[1])
    with pytest.raises(InvalidInput, match="no MLflow run is active"):
        slipway.holdout.log(held_out, target="target")


PRICES = """
import mlflow
import pandas as pd

class Prices(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        price = FACTOR * model_input["size"]
        return pd.DataFrame({"price": price, "low": price - 1})

mlflow.models.set_model(Prices())
"""


def test_a_pyfunc_that_answers_with_a_table_is_compared_by_a_column(store: Path, capsys: pytest.CaptureFixture[str]):
    """Named in the policy; without that, the verdict says which columns there are."""
    rows = pd.DataFrame({"size": [float(n) for n in range(400)]})
    rows["paid"] = 2 * rows["size"] + [n % 7 for n in range(400)]
    for factor in (2, 1):
        (store / "model.py").write_text(PRICES.replace("FACTOR", str(factor)))
        with mlflow.start_run():
            slipway.holdout.log(rows, target="paid")
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(store / "model.py"),
                input_example=rows[["size"]].head(2),
                registered_model_name="prices",
                pip_requirements=["pandas"],
            )
    policy(store, {"contract": {}}, staging={"contract": {}})
    for stage in ("staging", "production"):
        assert into(stage, "prices/1") == 0
    assert into("staging", "prices/2") == 0
    policy(store, {"champion": {"metric": "mae"}}, staging={"contract": {}})
    capsys.readouterr()
    assert call("gate", "prices/2", "--to", "production") == 4
    assert "prices/1 answers each row with price, low" in " ".join(capsys.readouterr().out.split())
    policy(store, {"champion": {"metric": "mae", "output": "price"}}, staging={"contract": {}})
    assert call("gate", "prices/2", "--to", "production", "--json") == 3
    found, _ = json.loads(capsys.readouterr().out)["findings"]  # the other is beside a constant
    assert (found["outcome"], found["n"], found["details"]["metric"]) == ("FAIL", 400, "mae")
