"""Swaps under load drop no request, and none is answered by a version that was not in place."""

import asyncio
import json
import time
from pathlib import Path

import mlflow
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from tests.generators.paced import Sent, send_paced
from tests.integration.test_serve import BODY, ROWS, TREES, point, serving

SWAP_EVERY_S = 2.0
SWAPS = 4
RATE = 200.0
TAKES_EFFECT_WITHIN_S = 3.0  # a look each second, and a crowded machine


def train_number(number: int) -> None:
    """Register a forest whose answers tell its number."""
    labels = load_iris().target + 10 * number
    forest = RandomForestClassifier(5, random_state=0).fit(ROWS, labels)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            forest,
            name="model",
            input_example=ROWS.head(2),
            registered_model_name="iris",
            skops_trusted_types=TREES,
            pip_requirements=["scikit-learn"],
        )


async def swap_under_load(port: int) -> tuple[list[Sent], list[tuple[float, int]]]:
    """Send, and move the alias meanwhile; return the answers, and when the alias was moved to what."""
    moves = [(time.monotonic(), 1)]
    sending = asyncio.create_task(send_paced(port, BODY, rate=RATE, count=int(RATE * SWAP_EVERY_S * (SWAPS + 1))))
    for swap in range(SWAPS):
        await asyncio.sleep(SWAP_EVERY_S)
        number = 2 if swap % 2 == 0 else 1
        moves.append((time.monotonic(), number))
        await asyncio.to_thread(point, number)
    return await sending, moves


def test_swaps_under_load_drop_nothing_and_mix_nothing(store: Path):
    """The version in the header is the one that answered, and was in place when it did."""
    for number in (1, 2):
        train_number(number)
        point(number)
    with serving(store, "iris@production", "--workers", "2") as served:
        point(1)
        served.wait_for_version(1)
        sent, moves = asyncio.run(swap_under_load(served.port))
    assert len(sent) == RATE * SWAP_EVERY_S * (SWAPS + 1)
    assert {each.status for each in sent} == {200}
    assert {each.version for each in sent} == {1, 2}
    for each in sent:
        assert {label // 10 for label in json.loads(each.body)["predictions"]} == {each.version}
        begun = each.due - TAKES_EFFECT_WITHIN_S
        before = [number for moment, number in moves if moment <= begun][-1:] or [1]
        assert each.version in {*before, *(number for moment, number in moves if begun < moment <= each.received)}
