"""Which storage locations are folders on this machine."""

import pytest

from slipway.registry.artifacts.mlflow_location import ALIASED, NUMBERED, is_local


@pytest.mark.parametrize(
    "location", ["/data/mlruns/1", "mlruns/1", "./mlruns/1", "file:///data/mlruns/1", "file:mlruns"]
)
def test_paths_and_files_are_local(location: str):
    """However they are written; they are read where they lie."""
    assert is_local(location)


@pytest.mark.parametrize(
    "location", ["s3://b/1", "mlflow-artifacts:/1", "gs://b/1", "https://h/1", "models:/m/Production"]
)
def test_what_has_another_scheme_is_not(location: str):
    """It is fetched into the cache."""
    assert not is_local(location)


def test_a_models_name_may_hold_an_at_sign():
    """MLflow makes such models; what follows the last one is the alias."""
    assert NUMBERED.fullmatch("models:/churn@production/1").groups() == ("churn@production", "1")
    assert ALIASED.fullmatch("models:/churn@production@live").groups() == ("churn@production", "live")
    assert ALIASED.fullmatch("models:/churn@production/1") is None
