"""An engine serves what the history put into a stage; what an alias alone says is served as such, or not at all."""

import json
import os
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.dummy import DummyClassifier

from slipway.command_line import run
from tests.servers.guarded import GuardedServer
from tests.servers.processes import wait_for
from tests.servers.served import Served, serving

pytestmark = pytest.mark.slow
POLICY = "stages: {production: {enter_from: any, checks: {lineage: {require: [run]}}}}"
BODY = json.dumps({"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}).encode()


def register(model: str, answer: int) -> int:
    """Register a version that always answers the same; return its number."""
    rows = pd.DataFrame({"x": [0.0, 1.0]})
    fitted = DummyClassifier(strategy="constant", constant=answer).fit(rows, [answer, answer + 1])
    with mlflow.start_run():
        made = mlflow.sklearn.log_model(
            fitted, name="m", registered_model_name=model, input_example=rows, pip_requirements=["mlflow"]
        )
    return int(made.registered_model_version)


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder to work in, with a registry on each database and a policy that every version passes."""
    if request.param == "postgresql":
        template = request.getfixturevalue("postgres_template")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", request.getfixturevalue("postgres").create_database(template))
        MlflowClient().create_experiment("here", artifact_location=(store / "mlruns").as_uri())
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "here")
    (store / "promotion.yaml").write_text(POLICY)
    return store


def engine(folder: Path, *words: str, **more: Any) -> AbstractContextManager[Served]:
    """Run an engine on the registry that this process works on."""
    at = {name: os.environ[name] for name in ("MLFLOW_TRACKING_URI",) if os.environ.get(name)}
    return serving(folder, *words, **at, **more)


def promote(number: int) -> None:
    assert run(["promote", f"m/{number}", "--to", "production", "--reason", "better"]) == 0


def point(number: int) -> None:
    """Move the alias behind the history."""
    MlflowClient().set_registered_model_alias("m", "production", str(number))


def problem(served: Served) -> str:
    return served.ask("/admin/refresh", b"{}")[1]["models"][0]["problem"] or ""


def metric(served: Served, name: str) -> str:
    with urllib.request.urlopen(f"{served.url}/metrics", timeout=10) as response:
        lines = response.read().decode().splitlines()
    return next(line.rpartition(" ")[2] for line in lines if line.startswith(name))


def test_an_alias_behind_the_history_moves_nothing(registry: Path):
    """Neither moved nor removed nor set where the history took everything out; each is said until it is mended."""
    for answer in (1, 2):
        register("m", answer)
    promote(1)
    with engine(registry, "m@production") as served:
        served.wait_for_version(1, "m")
        assert "x-slipway-recorded" not in served.ask("/invocations", BODY)[2]
        assert served.model("m")["recorded"]
        for disturb in (lambda: point(2), lambda: MlflowClient().delete_registered_model_alias("m", "production")):
            disturb()
            wait_for(lambda: "the history has 1 there, which is served" in problem(served), within_s=30, log=served.log)
            assert served.ask("/invocations", BODY)[2]["x-slipway-version"] == "1"
            assert metric(served, "slipway_target_problem{") == "1.0"
        promote(1)
        wait_for(lambda: not problem(served), within_s=30, log=served.log)
        promote(2)
        served.wait_for_version(2, "m")
        point(1)
    with engine(registry, "m@production", name="again") as served:
        served.wait_for_version(2, "m"), "also an engine that is started then"
        assert run(["promote", "m/2", "--to", "production", "--reason", "mend"]) == 0
        assert run(["demote", "m/2", "--reason", "bad"]) == 0
        point(1)
        wait_for(lambda: "the history has nothing there; keeping 2" in problem(served), within_s=30, log=served.log)
        assert served.ask("/invocations", BODY)[2]["x-slipway-version"] == "2"


def stored(number: int) -> Path:
    """Return where a version's files are."""
    source = MlflowClient().get_model_version("m", str(number)).source
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=source))


def test_files_that_an_engine_had_before_they_were_recorded_are_not_those_that_were_chosen(store: Path):
    """One stage lets in what nobody registered; then the files are changed, registered, and chosen for the next."""
    anything = {"enter_from": "any", "checks": {"lineage": {"require": ["run"]}}}
    (store / "promotion.yaml").write_text(json.dumps({"stages": {"dev": anything, "production": anything}}))
    for answer in (1, 9, 2):
        register("m", answer)
    promote(1)
    assert run(["promote", "m/3", "--to", "dev", "--reason", "first"]) == 0
    with engine(store, "m@dev", "m@production") as served:
        wait_for(lambda: served.model("m@dev")["version"] == 3, within_s=60, log=served.log)
        assert run(["promote", "m/2", "--to", "dev", "--reason", "tried"]) == 0
        wait_for(lambda: served.model("m@dev")["version"] == 2, within_s=60, log=served.log)
        assert run(["rollback", "m", "--stage", "dev", "--reason", "taken back"]) == 0
        changed = next(stored(3).glob("*.skops"))
        (stored(2) / changed.name).write_bytes(changed.read_bytes())
        assert run(["register", "m/2", "--reason", "as it is now"]) == 0
        promote(2)
        wait_for(lambda: served.model("m@production")["version"] == 2, within_s=60, log=served.log)
        assert served.ask("/models/m@production/invocations", BODY)[1] == {"predictions": [2]}


def test_what_no_decision_put_there_is_served_and_said(registry: Path):
    """In every answer, the status, the metrics, the log; also after a restart without the registry."""
    register("m", 1)
    point(1)
    with engine(registry, "m@production") as served:
        served.wait_for_version(1, "m")
        assert served.ask("/invocations", BODY)[2]["x-slipway-recorded"] == "no"
        assert (served.model("m")["recorded"], served.model("m")["problem"]) == (False, None)
        assert metric(served, "slipway_target_unrecorded{") == "1.0"
        assert "m@production is UNRECORDED" in served.log.read_text()
        assert run(["adopt", "m@production", "--reason", "it was there"]) == 0
        wait_for(lambda: served.model("m")["recorded"], within_s=30, log=served.log)
        assert "x-slipway-recorded" not in served.ask("/invocations", BODY)[2]


def test_where_a_history_is_required_an_alias_is_not_enough(registry: Path):
    """The way on is in the answer; a decision puts it in place."""
    register("m", 1)
    point(1)
    with engine(registry, "m@production", SLIPWAY_SERVING__REQUIRE_HISTORY="true", ready=False) as served:
        wait_for(lambda: "knows nothing of it" in problem(served), within_s=60, log=served.log)
        status, document, _ = served.ask("/invocations", BODY)
        assert (status, document["error"]["code"]) == (503, "nothing-in-place")
        assert "slipway adopt m@production" in document["error"]["message"]
        assert run(["adopt", "m@production", "--reason", "it was there"]) == 0
        served.wait_for_version(1, "m")


def test_at_a_guarded_server_the_history_is_asked_there(
    server: GuardedServer, store: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the engine's own account, without a database; a stage that the policy leaves free is not served unsaid."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    number = register("sandbox", 1)
    server.client().set_registered_model_alias("sandbox", "production", str(number))
    with engine(store, "sandbox@production", ready=False) as served:
        wait_for(lambda: "knows nothing of it" in problem(served), within_s=60, log=served.log)
        assert served.model("sandbox")["version"] is None
    with engine(store, "sandbox@production", name="free", SLIPWAY_SERVING__REQUIRE_HISTORY="false") as served:
        served.wait_for_version(number, "sandbox")
        assert served.ask("/invocations", BODY)[2]["x-slipway-recorded"] == "no"
    server.client().delete_registered_model("sandbox")
