"""Where the runs of an experiment keep their artifacts."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ExperimentRoot:
    """An experiment, and where its runs keep their artifacts."""

    experiment: str
    location: str
