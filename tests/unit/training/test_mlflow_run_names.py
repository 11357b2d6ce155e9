"""Whether a run's name is one that somebody chose."""

import pytest
from mlflow.utils.name_utils import _generate_random_name

from slipway.training.mlflow_run_names import RUN_NAME_CHARACTERS, is_generated, run_name


def test_what_mlflow_makes_up_is_known_as_such():
    """All of 500 names of its own."""
    assert all(is_generated(_generate_random_name()) for _ in range(500))


@pytest.mark.parametrize(
    "name", ["", "nightly-churn-7", "bemused-fox", "a-b-c-1", "cancer/3: ridge", "--", "bemused--1", "-fox-1"]
)
def test_other_names_are_somebodys(name: str):
    """They have the form at most, and not the words."""
    assert not is_generated(name)


def test_a_name_fits_mlflows_column():
    """PostgreSQL refuses a longer one."""
    assert len(run_name("m" * 256, "ridge")) == RUN_NAME_CHARACTERS
