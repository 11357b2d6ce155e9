"""Whether the libraries that a model was made with are those that serve it."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement

REQUIREMENTS = "requirements.txt"
MLFLOW, MLFLOW_SKINNY = "mlflow", "mlflow-skinny"


def other_libraries(model_folder: Path) -> str:
    """Return in a line which of a model's requirements are not met here; empty where all are.

    MLflow warns of the same while it loads a model, and takes most of a second to map all modules to packages first.
    """
    path = model_folder / REQUIREMENTS
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    found = (_mismatch(line.partition("#")[0].strip()) for line in lines)
    return ", ".join(each for each in found if each)


def _mismatch(line: str) -> str | None:
    try:
        wanted = Requirement(line)
    except InvalidRequirement:  # options and paths of pip's, which say nothing of a version
        return None
    try:
        if wanted.marker is not None and not wanted.marker.evaluate():
            return None
    except (UndefinedComparison, UndefinedEnvironmentName):  # no installer takes it either
        return f"{line} cannot be told"
    try:
        here = _installed(wanted.name)
    except PackageNotFoundError:
        return f"{wanted.name}{wanted.specifier} is not installed"
    if wanted.specifier.contains(here, prereleases=True):
        return None
    return f"{wanted.name}{wanted.specifier} is {here} here"


def _installed(name: str) -> str:
    """Return which release is installed; in an image, what loads models is MLflow's smaller distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        if name != MLFLOW:
            raise
        return version(MLFLOW_SKINNY)
