"""MLflow's own stores behind the guard, on both databases: what they answer to what is written wrongly."""

from pathlib import Path

import pytest
from mlflow import MlflowException

from registry.mlflow_guarded_registry import RegistryGuard, open_registry
from registry.mlflow_guarded_tracking import open_tracking


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of a guarded database, from whose folder the server is run."""
    monkeypatch.chdir(tmp_path)
    if request.param == "sqlite":
        return f"slipway+sqlite:///{tmp_path}/mlflow.db"
    return f"slipway+{request.getfixturevalue('postgres').create_database()}"


@pytest.fixture
def registry(url: str) -> RegistryGuard:
    """Return the guarded registry, with a model."""
    made = open_registry(url)
    made.create_registered_model("m")
    return made


@pytest.mark.parametrize("version", ["x", "1.0", "1e0", ""])
@pytest.mark.parametrize("call", ["alias", "stage", "delete"])
def test_what_is_no_versions_number_is_the_callers_fault(registry: RegistryGuard, call: str, version: str):
    """By MLflow's own check, which comes before ours."""
    calls = {
        "alias": lambda: registry.set_registered_model_alias("m", "live", version),
        "stage": lambda: registry.transition_model_version_stage("m", version, "None", False),
        "delete": lambda: registry.delete_model_version("m", version),
    }
    with pytest.raises(MlflowException) as caught:
        calls[call]()
    assert caught.value.get_http_status_code() == 400


def test_an_experiment_among_the_artifacts_of_others_is_refused(url: str, tmp_path: Path):
    """A run's and a logged model's, by MLflow's own tables."""
    store = open_tracking(url, f"{tmp_path}/artifacts")
    experiment = store.create_experiment("mine", f"{tmp_path}/mine")
    run = store.create_run(experiment, "ann", 0, [], "r")
    logged = store.create_logged_model(experiment, "m", run.info.run_id)
    for root in (run.info.artifact_uri, logged.artifact_location):
        for location in (root, f"{root}/deep", f"file://{root}/x"):
            with pytest.raises(MlflowException, match="has its artifacts at") as caught:
                store.create_experiment(f"in {location}", location)
            assert caught.value.get_http_status_code() == 403
    store.create_experiment("beside", f"{tmp_path}/mine/beside")
