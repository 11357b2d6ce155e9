"""How a refusal leaves through MLflow: as an exception of its own, with its HTTP status and the command to use."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import (
    INVALID_STATE,
    PERMISSION_DENIED,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_CONFLICT,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
)

from slipway.registry.errors import Conflict, Corrupt, InvalidInput, NotApproved, NotFound, SlipwayError, Unavailable
from slipway.registry.server.guard.guard import TAKEN

CODES: dict[type[SlipwayError], int] = {
    NotApproved: PERMISSION_DENIED,
    NotFound: RESOURCE_DOES_NOT_EXIST,
    Conflict: RESOURCE_CONFLICT,
    InvalidInput: INVALID_STATE,  # of the server's own settings: the caller's request was not checked
    Unavailable: TEMPORARILY_UNAVAILABLE,
    Corrupt: INVALID_STATE,
}


@contextmanager
def refusing() -> Iterator[None]:
    """Turn our errors into MLflow's; MLflow's own pass as they are."""
    try:
        yield
    except SlipwayError as error:
        proper = f" ({error.hint})" if error.hint else ""
        code = RESOURCE_ALREADY_EXISTS if error.code == TAKEN else CODES[type(error)]
        raise MlflowException(f"{error.message}{proper}", error_code=code) from error
