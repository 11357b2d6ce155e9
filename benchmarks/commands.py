"""How long the command line takes as whole processes, beside a bare import of MLflow."""

import tempfile
from pathlib import Path

from benchmarks.measure import beside, median_seconds_side_by_side, python

REPEATS = 7
TRAIN = (
    "-m",
    "slipway",
    "train",
    "--data",
    "sklearn:iris",
    "--target",
    "target",
    "--model",
    "iris",
    "--estimator",
    "knn",
)


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python(*TRAIN, folder=folder)
        seconds = median_seconds_side_by_side(
            {
                "python -c pass": lambda: python("-c", "pass", folder=folder),
                "slipway --help": lambda: python("-m", "slipway", "--help", folder=folder),
                "import mlflow": lambda: python("-c", "import mlflow", folder=folder),
                "slipway versions iris": lambda: python("-m", "slipway", "versions", "iris", folder=folder),
            },
            repeats=REPEATS,
        )
    return "## Commands, as whole processes\n\n" + beside(seconds, reference="import mlflow")
