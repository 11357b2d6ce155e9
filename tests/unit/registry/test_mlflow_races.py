"""Races that MLflow lets its callers lose."""

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, RESOURCE_ALREADY_EXISTS

from slipway.registry.mlflow_races import ATTEMPTS, repeated_after_races

LOST = [
    MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.name", error_code=BAD_REQUEST),
    MlflowException(
        "(psycopg.errors.UniqueViolation) duplicate key value violates unique constraint", error_code=BAD_REQUEST
    ),
    MlflowException("Model Version creation error (name=churn). Giving up after 3 attempts."),
    MlflowException("Experiment 'first' already exists.", error_code=RESOURCE_ALREADY_EXISTS),
]


@pytest.mark.parametrize("error", LOST, ids=lambda error: error.message[:24])
def test_the_loser_of_a_race_asks_again(error: MlflowException):
    """What the second call gives is the answer."""
    answers = iter([error, "found"])

    def act() -> str:
        answer = next(answers)
        if isinstance(answer, MlflowException):
            raise answer
        return answer

    assert repeated_after_races(act) == "found"


@pytest.mark.parametrize(("error", "calls"), [(LOST[0], ATTEMPTS), (MlflowException("the disk is full"), 1)])
def test_it_ends(error: MlflowException, calls: int):
    """Who always loses is told after a few attempts; what no race explains is told at once."""
    made: list[int] = []

    def act() -> None:
        made.append(1)
        raise error

    with pytest.raises(MlflowException):
        repeated_after_races(act)
    assert len(made) == calls
