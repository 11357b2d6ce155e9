"""Stand-ins for what an engine is made of: a decoder, a runner, MLflow's slow lane."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from serving.engine import Engine, Loaded
from serving.protocols.forms import BodyKind
from serving.runtimes.runner import RunnerReport
from serving.table import Table
from serving.target import Target

TARGET = Target("cancer", "production")
ONE_ROW = Table(np.array([[1.0, 2.0]]))


class Decoder:
    """Takes bodies that begin with `{"plain"`; their value is the method."""

    def decode(self, body: bytes) -> Any:
        """Return one row for a plain body."""
        if not body.startswith(b'{"plain"'):
            return None
        return SimpleNamespace(table=ONE_ROW, params=None, method=json.loads(body)["plain"])

    decode_features = decode


class Runner:
    """Answers with what a function returns, or fails as it does."""

    def __init__(self, answer: Callable[[], Any], one_row_s: float) -> None:
        self._answer = answer
        self.closed = False
        self.report = RunnerReport(
            kind="compiled", reason="", methods=("predict",), one_row_s=one_row_s, resident_bytes=0
        )

    def predict(self, table: Table, method: str, params: Any) -> Any:
        """Return the answer for a table."""
        return self._answer()

    def predict_parsed(self, parsed: Any, method: str, params: Any) -> Any:
        """Return the answer for what MLflow parsed."""
        return self._answer()

    def close(self) -> None:
        """Note that nobody needs it any more."""
        self.closed = True


class Lane:
    """MLflow's parsing, as it would be: takes everything but what is said to be wrong."""

    def __init__(self) -> None:
        self.refuses: Exception | None = None
        self.asked: list[bytes] = []

    async def parse(self, folder: Path, body: bytes, kind: BodyKind) -> Any:
        """Return a row, or refuse."""
        self.asked.append(body)
        if self.refuses:
            raise self.refuses
        return SimpleNamespace(data=ONE_ROW, params=None, method="predict", is_unwrapped=False)


def loaded(
    answer: Callable[[], Any] = lambda: np.array([7]),
    *,
    number: int = 1,
    one_row_s: float = 1e-5,
    target: Target = TARGET,
) -> Loaded:
    """Return a version that answers."""
    return Loaded(
        target=target,
        number=number,
        digest=f"sha256:{number}",
        folder=Path("nowhere"),
        runner=Runner(answer, one_row_s),
        decoder=Decoder(),
        columns=("a", "b"),
    )


def engine_with(*versions: Loaded, **seams: Any) -> tuple[Engine, Lane]:
    """Return an engine with versions put in place one after the other, and its lane."""
    lane = Lane()
    engine = Engine(lane, **seams)
    for version in versions:
        engine.put_in_place(version)
    return engine, lane
