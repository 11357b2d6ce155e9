"""Stages: the rungs that a version climbs, and MLflow's own label for each."""

import re
from collections.abc import Mapping, Sequence

from slipway.registry.errors import InvalidInput
from slipway.registry.nearest import did_you_mean

# MLflow 3.17 knows these labels; `models:/NAME/LABEL` finds the highest number among them.
MLFLOW_STAGES: Mapping[str, str] = {"staging": "Staging", "production": "Production"}
MLFLOW_ARCHIVED = "Archived"
MLFLOW_NONE = "None"
RESERVED = ("latest", "none", "archived")


def require_stage_names(stages: Sequence[str]) -> None:
    """Refuse names that cannot be aliases beside others.

    Raises
    ------
    ValueError
        None is given, one is reserved or not a plain word, or two differ only in case.
    """
    if not stages:
        raise ValueError("at least one stage is needed")
    for stage in stages:
        if stage.casefold() in RESERVED or re.fullmatch(r"[vV][0-9]+", stage):
            raise ValueError(f"'{stage}' is reserved by MLflow and cannot be a stage")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", stage):
            raise ValueError(f"'{stage}' is no stage name: letters, digits, - and _, a letter first")
    if len({stage.casefold() for stage in stages}) < len(stages):
        raise ValueError("stages are compared without case, and two of these are the same")


def find_stage(asked: str, stages: Sequence[str]) -> str:
    """Return the declared stage that a name means, without regard to case.

    Raises
    ------
    InvalidInput
        There is no such stage; the nearest is named.
    """
    for stage in stages:
        if stage.casefold() == asked.casefold():
            return stage
    raise InvalidInput(
        f"no stage '{asked}'{did_you_mean(asked, stages)}; there are: {', '.join(stages)}",
        code="unknown-stage",
        hint=None,
    )


def mlflow_stage_of(stage: str) -> str | None:
    """Return MLflow's label for a stage, or `None` where MLflow has none."""
    return MLFLOW_STAGES.get(stage.casefold())
