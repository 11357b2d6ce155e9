"""Versions that would run code where they are loaded: through the gate, the engine's preparing and evaluation."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from slipway import command_line
from slipway.registry.errors import NotApproved
from slipway.registry.gate.mlflow_model import load_as_served
from slipway.serving.runtimes.mlflow_runner import load
from tests.generators import hostile_models
from tests.generators.hostile_models import LABELS, ROWS, Attack, good_model


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model as MLflow writes it."""
    return good_model(tmp_path_factory.mktemp("good") / "model")


@pytest.fixture
def canary(store: Path) -> Iterator[Path]:
    """Return a file that nothing may make."""
    path = store / "canary"
    yield path
    assert not path.exists(), "code of the stored model ran"


def registered(folder: Path) -> None:
    """Register a stored model as the next version of `churn`, through a run, with what is recorded of its files."""
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(folder), "model")
    client = MlflowClient()
    if not client.search_registered_models("name = 'churn'"):
        client.create_registered_model("churn")
    made = client.create_model_version("churn", f"{run.info.artifact_uri}/model", run.info.run_id)
    assert call("register", f"churn/{made.version}", "--reason", "trained elsewhere") == 0


EXPLOITS = (
    hostile_models.aliased,
    hostile_models.path_of_skops_only,
    hostile_models.another_mlmodel,
    hostile_models.sklearn_code,
    hostile_models.own_loader,
    hostile_models.flavor_without_itself,
    hostile_models.text_pickle_called_skops,
    hostile_models.cloudpickle_called_skops,
    hostile_models.trusted_by_mlmodel,
    hostile_models.skops_that_writes,
)


@pytest.mark.parametrize("attack", EXPLOITS, ids=lambda attack: attack.__name__)
def test_a_version_that_would_run_code_is_refused_and_nothing_of_it_runs(
    store: Path, good: Path, canary: Path, attack: Attack, capsys: pytest.CaptureFixture[str]
):
    """By the whole gate of a stage that asks for every check that loads a model, and by evaluation."""
    ROWS.assign(target=LABELS).to_csv("rows.csv", index=False)
    folder = Path(shutil.copytree(good, store / "stored" / "model"))
    attack(folder, canary)
    registered(folder)
    checks = {"artifact": {}, "contract": {}, "servable": {}, "champion": {}, "slices": {"columns": ["a"]}}
    (store / "promotion.yaml").write_text(yaml.safe_dump({"stages": {"production": {"checks": checks}}}))
    assert call("gate", "churn/1", "--to", "production") == 3
    assert "it could run code on loading" in capsys.readouterr().out
    assert call("evaluate", "churn/1", "--data", "rows.csv", "--target", "target") == 1
    assert "churn/1 is not loaded, since it could run code" in capsys.readouterr().err


def test_evaluation_loads_what_a_stage_of_the_policy_would_let_in(store: Path, good: Path, canary: Path):
    """Also by a policy that has no rule on formats."""
    ROWS.assign(target=LABELS).to_csv("rows.csv", index=False)
    folder = Path(shutil.copytree(good, store / "stored" / "model"))
    (folder / "notes.md").write_text("how it was trained")
    registered(folder)
    words = ("evaluate", "churn/1", "--data", "rows.csv", "--target", "target")
    assert call(*words) == 1
    for checks in ({"artifact": {"allow": ["unproven"]}}, {"lineage": {}}):
        (store / "promotion.yaml").write_text(yaml.safe_dump({"stages": {"production": {"checks": checks}}}))
        assert call(*words) == 0


@pytest.mark.parametrize("loads", [load, load_as_served], ids=["engine", "check"])
def test_engine_and_checks_refuse_to_unpickle_what_is_judged_safe(
    good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads
):
    """Were MLflow's loader to take a way that the judgement does not know."""
    folder, canary = Path(shutil.copytree(good, tmp_path / "model")), tmp_path / "canary"
    (tmp_path / "model.bin").write_bytes(hostile_models.payload(canary))
    monkeypatch.setattr(mlflow.sklearn, "_load_pyfunc", lambda path: pd.read_pickle(tmp_path / "model.bin"))
    with pytest.raises(NotApproved, match="was about to unpickle"):
        loads(folder)
    assert not canary.exists()
