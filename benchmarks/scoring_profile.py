"""Where the time of a plain request goes inside the engine: each part called in a row, with warm caches."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.apps.naked import opened
from benchmarks.load import Request as Asked
from benchmarks.measure import markdown_table
from slipway.serving.engine.engine import Engine
from slipway.serving.engine.routing import routed
from slipway.serving.protocols.mlflow.forms import encode
from slipway.serving.runtimes.runner import PREDICT
from slipway.serving.scoring.mlflow_protocol import MLFLOW, protocols_of
from slipway.serving.table import joined, split

ROUNDS, CALLS = 60, 200
TOGETHER = (1, 64)
TEXT = """Where the time of a request goes in the engine, in µs (iris, random forest), called in a row in one process.
What a request takes on a connection is more: reading and writing on the socket comes to it, which is all that the bare
handler does, and after each call of the kernel the caches and the branch predictor are cold.

"""


def where_time_goes(model: str, asked: Asked) -> str:
    """Return a table of the parts, for a request that comes alone and for some that come together."""
    loaded = opened(model)
    engine = Engine()
    invocations = protocols_of(None)["invocations"]  # type: ignore[arg-type]
    engine.put_in_place(loaded)
    decoder, runner = loaded.decoders[MLFLOW], loaded.runner
    columns = []
    for count in TOGETHER:
        placement, context = engine.placements[loaded.target], routed("1", 0.0)
        request = engine.arrive(placement, invocations, asked.body, b"application/json", context)
        requests = [request] * count
        tables = [decoder.decode(asked.body).rows] * count
        table = joined(tables)
        parts = split(runner.predict(table, PREDICT, None), tables)
        columns.append(
            _medians_us(
                {
                    "decode": lambda n=count: [decoder.decode(asked.body) for _ in range(n)],
                    "join": lambda tables=tables: joined(tables),
                    "predict": lambda table=table: runner.predict(table, PREDICT, None),
                    "encode": lambda parts=parts: [encode(part) for part in parts],
                    "all, with metrics and both seams": lambda requests=requests: engine.score_now(requests),
                },
                count,
            )
        )
    rows = [[part, *(f"{column[part]:.1f}" for column in columns)] for part in columns[0]]
    return TEXT + markdown_table(["", "alone", f"{TOGETHER[-1]} together"], rows)


def _medians_us(calls: dict[str, Callable[[], Any]], count: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in calls}
    times = max(CALLS // count, 1)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(times):
                call()
            taken[name].append((time.perf_counter() - started) / times / count * 1e6)
    return {name: statistics.median(each) for name, each in taken.items()}
