"""What MLflow raises, or passes on of others, is ours by what its caller can do."""

import pytest
import requests
from mlflow.exceptions import MlflowException

from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable


def answered(status: int) -> requests.HTTPError:
    """Return what MLflow's artifact client raises for an answer."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status}\nfor url: http://h/f", response=response)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (answered(403), NotApproved, "http-403"),
        (answered(404), NotFound, "http-404"),
        (answered(502), Unavailable, "http-502"),
        (requests.ConnectionError("refused"), Unavailable, "server-unavailable"),
        (requests.exceptions.ChunkedEncodingError("broke off"), Unavailable, "server-unavailable"),
        (MlflowException.invalid_parameter_value("no"), InvalidInput, "mlflow-invalid-parameter-value"),
        (MlflowException("oh"), Unavailable, "mlflow-internal-error"),
    ],
)
def test_an_error_becomes_what_the_caller_can_do(error: Exception, kind: type[SlipwayError], code: str):
    """In one line."""
    with pytest.raises(kind) as raised, translated():
        raise error
    assert raised.value.code == code
    assert "\n" not in raised.value.message


def test_a_fault_of_ours_stays_one():
    """It is not said to be somebody else's."""
    with pytest.raises(ZeroDivisionError), translated():
        raise ZeroDivisionError
