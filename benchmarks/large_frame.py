"""What profile, row ids and digest of 1,000,000 × 30 rows cost beside a logistic regression on them."""

import threading
import time

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from benchmarks.measure import beside, median_seconds_side_by_side
from slipway.registry.profile import profile_columns
from slipway.registry.rows import content_digest, row_ids

ROWS, COLUMNS = 1_000_000, 30
REPEATS = 3


def run() -> str:
    """Return the section of the report."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(ROWS, COLUMNS)), columns=[f"x{i}" for i in range(COLUMNS)])
    y = pd.Series((frame.sum(axis=1) + rng.normal(0, 3, ROWS) > 0).astype(int), name="y")

    def describe() -> None:
        profile_columns(frame)
        content_digest([*frame.columns, "y"], row_ids(frame), row_ids(y.to_frame()))

    seconds = median_seconds_side_by_side(
        {
            "logistic regression": lambda: LogisticRegression(max_iter=1000).fit(frame, y),
            "profile, row ids, digest": describe,
        },
        repeats=REPEATS,
    )
    frame_bytes = int(frame.memory_usage().sum())
    total = 1 + _peak_bytes_beside(describe) / frame_bytes
    return "\n\n".join(
        [
            f"## Describing {ROWS:,} × {COLUMNS} rows",
            beside(seconds, reference="logistic regression"),
            f"Peak memory while describing, the frame included: {total:.2f} times the frame.",
        ]
    )


def _peak_bytes_beside(call: object) -> int:
    """Return by how much this process grew at most during a call, looked at every 5 ms."""
    before = _resident_bytes()
    peak, done = before, threading.Event()

    def look() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, _resident_bytes())
            time.sleep(0.005)

    looker = threading.Thread(target=look)
    looker.start()
    call()  # type: ignore[operator]
    done.set()
    looker.join()
    return peak - before


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096
