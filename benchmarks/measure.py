"""Measuring whole processes and calls: medians of repeats, side by side in one run, shown as ratios."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def median_seconds_side_by_side(calls: Mapping[str, Callable[[], object]], *, repeats: int) -> dict[str, float]:
    """Return each call's median wall time, taken in turns so that a noisy moment hits all of them."""
    for call in calls.values():
        call()
    taken = [{name: _seconds(call) for name, call in calls.items()} for _ in range(repeats)]
    return {name: statistics.median(each[name] for each in taken) for name in calls}


def python(*words: str, folder: Path, **more: str) -> None:
    """Run a Python process to its end, in a folder, with bytecode and without MLflow's settings but those given."""
    left_out = ("MLFLOW_", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    environment = {**kept, "PYTHONPATH": str(ROOT), **more}
    subprocess.run([sys.executable, *words], cwd=folder, check=True, capture_output=True, env=environment)


def markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def beside(seconds: Mapping[str, float], *, reference: str) -> str:
    """Return a table of medians, each as a ratio to the reference."""
    rows = [[name, f"{value:.2f}", f"{value / seconds[reference]:.2f}"] for name, value in seconds.items()]
    return markdown_table(["", "seconds (median)", f"÷ {reference}"], rows)


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
