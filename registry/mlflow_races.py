"""Calls in which MLflow looks first and inserts then: who loses against another process asks again.

MLflow 3.17 does so for the datasets of an experiment, an experiment that is named for its first run, and
the next version of a model (there it asks three times itself). The winner has committed when the loser
is told, so that the second look finds what the winner made.
"""

from collections.abc import Callable
from typing import TypeVar

from mlflow.exceptions import MlflowException

ATTEMPTS = 5
LOST = ("IntegrityError", "UniqueViolation", "Giving up after")
ResultT = TypeVar("ResultT")


def repeated_after_races(act: Callable[[], ResultT]) -> ResultT:
    """Return what the call gives, asking up to five times where others inserted the same meanwhile."""
    for _ in range(ATTEMPTS - 1):
        try:
            return act()
        except MlflowException as error:
            if not _was_lost(error):
                raise
    return act()


def _was_lost(error: MlflowException) -> bool:
    """Tell a lost race: for a row that breaks a unique key MLflow has words, but no code of its own."""
    return error.error_code == "RESOURCE_ALREADY_EXISTS" or any(words in error.message for words in LOST)
