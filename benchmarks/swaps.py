"""What swaps cost those who ask meanwhile: a fixed rate of requests, with the alias moved every five seconds."""

import asyncio
import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient

from benchmarks import contenders
from benchmarks.measure import markdown_table, python
from tests.generators.paced import Sent, send_paced
from tests.servers.processes import wait_for

RATE, COUNT = 2000.0, 100_000
SWAP_EVERY_S = 5.0
# From version 1 on: every other move goes back to a warm version, the others open one that was prepared before.
CYCLE = (2, 3, 2, 1)
LATE_S = 1.0
TRAIN = ("train", "--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", "random_forest")
COLUMNS = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]
BODY = json.dumps({"dataframe_split": {"columns": COLUMNS, "data": [[5.1, 3.5, 1.4, 0.2]]}}).encode()


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        for seed in range(3):
            python("-m", "slipway", *TRAIN, "--seed", str(seed), folder=folder)
        _point(1)
        with contenders.slipway(folder, "iris") as url:
            port = int(url.split(":")[2].split("/")[0])
            for number in (2, 3, 1):
                _point(number)
                _wait_for(port, number)
            quiet = asyncio.run(send_paced(port, BODY, rate=RATE, count=COUNT))
            moving, moves = asyncio.run(_with_swaps(port))
    return _told(quiet, moving, moves)


async def _with_swaps(port: int) -> tuple[list[Sent], list[tuple[float, int]]]:
    sending = asyncio.create_task(send_paced(port, BODY, rate=RATE, count=COUNT))
    moves: list[tuple[float, int]] = []
    while True:
        await asyncio.wait([sending], timeout=SWAP_EVERY_S)
        if sending.done():
            return await sending, moves
        number = CYCLE[len(moves) % len(CYCLE)]
        moves.append((time.monotonic(), number))
        await asyncio.to_thread(_point, number)


def _wait_for(port: int, number: int) -> None:
    """Wait until a version is in place: a new one is prepared first, which takes longer than the time between moves."""

    def is_there() -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/models/iris", timeout=10) as response:
            return bool(json.loads(response.read())["version"] == number)

    wait_for(is_there, within_s=120)


def _point(number: int) -> None:
    MlflowClient().set_registered_model_alias("iris", "production", str(number))


def _told(quiet: list[Sent], moving: list[Sent], moves: list[tuple[float, int]]) -> str:
    rows = [[label, *_quantiles(sent)] for label, sent in (("without swaps", quiet), ("with swaps", moving))]
    ratio = _p99_s(moving) / _p99_s(quiet)
    failed = sum(each.status != 200 for each in moving)
    stale, switches = followed(moving)
    seen = [
        (i, min((at - moved for at, to in switches if to == number and at > moved), default=None))
        for i, (moved, number) in enumerate(moves)
    ]
    taken = {i: delay for i, delay in seen if delay is not None}
    back = [delay for i, delay in taken.items() if i >= 2 and moves[i - 2][1] == moves[i][1]]
    return (
        f"## Swaps under load\n\n{COUNT:,} requests, {RATE:,.0f} a second, one worker, the alias moved every "
        f"{SWAP_EVERY_S:g} s among three versions:\n\n"
        + markdown_table(["", "p50 ms", "p99 ms", "longest ms"], rows)
        + f"\n\n{len(taken)} of {len(moves)} moves were seen in answers (the last may have come too late); "
        f"{failed} requests failed, {stale} were answered by a version after another had taken its place; p99 "
        f"{ratio:.1f} times that without swaps. From the move of the alias to the first answer: "
        f"{statistics.median(taken.values()):.2f} s (median), back to a warm version at most {max(back):.2f} s."
    )


def followed(sent: list[Sent]) -> tuple[int, list[tuple[float, int]]]:
    """Return how many requests were sent after a swap was seen and answered by the version before, and the swaps."""
    stale, places = 0, [(0.0, 0)]
    for each in sorted(sent, key=lambda one: one.received):
        since, version = places[-1]
        if each.version == version:
            continue
        if len(places) > 1 and each.version == places[-2][1] and each.received < since + LATE_S:
            stale += each.due > since
        else:
            places.append((each.received, each.version))
    return stale, places[2:]


def _quantiles(sent: list[Sent]) -> list[str]:
    latencies = [(each.received - each.due) * 1e3 for each in sent]
    return [f"{value:.2f}" for value in np.quantile(latencies, [0.5, 0.99, 1])]


def _p99_s(sent: list[Sent]) -> float:
    return float(np.quantile([each.received - each.due for each in sent], 0.99))
