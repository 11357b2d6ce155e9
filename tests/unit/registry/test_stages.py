"""Stages are plain words, told apart without regard to case."""

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.stages import find_stage, mlflow_stage_of, require_stage_names


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ([], "at least one stage"),
        (["latest"], "'latest' is reserved"),
        (["v7"], "'v7' is reserved"),
        (["Archived"], "'Archived' is reserved"),
        (["two words"], "'two words' is no stage name"),
        (["Prod", "prod"], "two of these are the same"),
    ],
)
def test_names_that_cannot_be_aliases_are_refused(stages: list[str], said: str):
    """MLflow gives `latest` and `v7` a meaning of their own."""
    with pytest.raises(ValueError, match=said):
        require_stage_names(stages)


def test_a_stage_is_found_without_regard_to_case():
    """MLflow's aliases are case-sensitive, people are not."""
    assert find_stage("Production", ("staging", "production")) == "production"


def test_an_unknown_stage_is_refused_with_the_nearest():
    """The declared ones are listed."""
    with pytest.raises(
        InvalidInput, match=r"no stage 'prodution' \(did you mean 'production'\?\); there are: staging, p"
    ):
        find_stage("prodution", ("staging", "production"))


def test_only_mlflows_own_labels_are_mirrored():
    """A stage that MLflow does not know has none."""
    assert (mlflow_stage_of("PRODUCTION"), mlflow_stage_of("canary")) == ("Production", None)
