"""Who stored some files is told by where they lie, as far as anybody may know it."""

from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST

from slipway.registry.versions.mlflow_origin import origin_of_location

LOGGED = "mlflow-artifacts:/1/models/m-" + "a" * 32 + "/artifacts"


class Tracking:
    """A client whose logged models raise."""

    def __init__(self, code: int) -> None:
        self.error = MlflowException("Permission denied", error_code=code)

    def get_logged_model(self, model_id: str) -> SimpleNamespace:
        raise self.error


@pytest.mark.parametrize("code", [PERMISSION_DENIED, RESOURCE_DOES_NOT_EXIST])
def test_a_logged_model_that_is_gone_tells_nothing_and_stops_nobody(code: int):
    """MLflow denies one that was deleted to everybody but administrators: gates are made beside it all the same."""
    assert origin_of_location(f"{LOGGED}/sub", Tracking(code)) is None  # type: ignore[arg-type]


def test_a_store_that_fails_is_no_answer():
    """Nobody would be its author else."""
    with pytest.raises(MlflowException):
        origin_of_location(LOGGED, Tracking(INTERNAL_ERROR))  # type: ignore[arg-type]
