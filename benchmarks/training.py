"""What the `train` entry point costs beside the same pipeline fitted bare, and where the difference goes."""

import importlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measure import ROOT, beside, markdown_table, median_seconds_side_by_side, python

REPEATS = 5
DATA = ("--data", "sklearn:digits", "--target", "target", "--model", "digits")
BARE = """
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
frame = load_digits(as_frame=True).frame
X, y = frame.drop(columns="target"), frame["target"]
prepare = ColumnTransformer([("numbers", SimpleImputer(strategy="median"), list(X.columns))])
Pipeline([("prepare", prepare), ("estimator", RandomForestClassifier(random_state=0, n_jobs=-1))]).fit(X, y).score(X, y)
"""


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds = median_seconds_side_by_side(
            {
                "bare fit": lambda: python("-c", BARE, folder=folder),
                "bare fit and import mlflow": lambda: python("-c", BARE + "import mlflow.sklearn", folder=folder),
                "slipway train": lambda: python("-m", "slipway", "train", *DATA, folder=folder),
            },
            repeats=REPEATS,
        )
        python("-m", "benchmarks.training", "phases.json", folder=folder)
        phases: dict[str, float] = json.loads((folder / "phases.json").read_text())
    rows = [[name, f"{value:.2f}"] for name, value in phases.items()]
    return "\n\n".join(
        [
            "## Training a random forest on digits (1,797 × 64), as whole processes",
            beside(seconds, reference="bare fit"),
            "Where the time of one training goes:",
            markdown_table(["phase", "seconds"], rows),
        ]
    )


def phases() -> dict[str, float]:
    """Do what `slipway train` does, and return the seconds of each part."""
    taken: dict[str, float] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        taken[name] = time.perf_counter() - started

    with timed("import everything"):
        commands = importlib.import_module("slipway.training.commands")
        log = importlib.import_module("slipway.training.log")
    with timed("open the store and the run"):
        commands.require_usable_store()
        opened = commands.open_run()
        run = opened.__enter__()
    spec = commands.parse_spec({"data": "sklearn:digits", "target": "target", "model": "digits"})
    with timed("read, type and digest the data"):
        dataset = commands.load(spec.data, spec.target, sources=None)
    with timed("split, fit, predict both sides"):
        trained = commands.fit_and_predict(dataset, spec)
    with tempfile.TemporaryDirectory() as folder:
        with timed("plots"):
            log.write_plots(trained.on_holdout, Path(folder))
        with timed("permutation importance"):
            importance = commands.importance_of(trained)
    with timed("all of log: metrics, plots, profile, saving the model"):
        logged = log.log(trained, importance, run=run, code=None, holdout_rows_max_bytes=50_000_000)
    with timed("register, with the manifest"):
        commands.register_trained(logged, "digits")
    opened.__exit__(None, None, None)
    return taken


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    Path(sys.argv[1]).write_text(json.dumps(phases()))
