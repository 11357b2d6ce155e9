"""How long the command line takes as whole processes, beside a bare import of MLflow."""

import tempfile
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

from benchmarks.measure import beside, median_seconds_side_by_side, python

REPEATS = 7
GATES = 3
MOVED, JUDGED = "iris", "digits"
ANYTHING_GOES = "stages: {production: {enter_from: any, checks: {lineage: {}}}}"


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _prepare(folder)
        back_and_forth = cycle("12")

        def slipway(*words: str) -> Callable[[], None]:
            return lambda: python("-m", "slipway", *words, folder=folder)

        def roll_back() -> None:
            python(*_rollback_to(next(back_and_forth)), folder=folder)

        bare = {
            "python -c pass": lambda: python("-c", "pass", folder=folder),
            "import mlflow": lambda: python("-c", "import mlflow", folder=folder),
        }
        light = {
            "slipway --help": slipway("--help"),
            "slipway history": slipway("history", MOVED),
            "slipway versions": slipway("versions", MOVED),
            "slipway compare": slipway("compare", f"{MOVED}/1", f"{MOVED}/2"),
            "slipway status": slipway("status"),
            "slipway rollback": roll_back,
        }
        gates = {
            "slipway gate, into staging": slipway("gate", f"{JUDGED}/2", "--to", "staging"),
            "slipway gate, into production": slipway("gate", f"{JUDGED}/2", "--to", "production"),
        }
        commands = median_seconds_side_by_side({**bare, **light}, repeats=REPEATS)
        judging = median_seconds_side_by_side({**bare, **gates}, repeats=GATES)
    return (
        "## Commands, as whole processes\n\n"
        f"{beside(commands, reference='import mlflow')}\n\n"
        "Gates on a nearest-neighbours model of 1,797 × 64, by the default policy (staging serves it by the "
        "engine; production compares with the version there, in the engine as well):\n\n"
        f"{beside(judging, reference='import mlflow')}"
    )


def _prepare(folder: Path) -> None:
    """Train two versions of two models: both of one were in production, and one of the other is."""
    (folder / "anything.yaml").write_text(ANYTHING_GOES)
    for model in (MOVED, JUDGED):
        for _ in "12":
            python(*train(model), folder=folder)
    for version in (f"{MOVED}/1", f"{MOVED}/2", f"{JUDGED}/1"):
        words = ("promote", version, "--to", "production", "--reason", "bench")
        python("-m", "slipway", *words, folder=folder, SLIPWAY_REGISTRY__POLICY="anything.yaml")


def train(model: str) -> tuple[str, ...]:
    """Return the words that train a nearest-neighbours model on the dataset of its name."""
    words = ("--data", f"sklearn:{model}", "--target", "target", "--model", model, "--estimator", "knn")
    return ("-m", "slipway", "train", *words)


def _rollback_to(number: str) -> tuple[str, ...]:
    return ("-m", "slipway", "rollback", MOVED, "--to-version", number, "--reason", "bench")
