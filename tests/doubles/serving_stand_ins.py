"""Stand-ins for what an engine is made of: a runner, and MLflow's slow lane."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from slipway.registry.signature import Field, Signature
from slipway.serving.engine.engine import Engine
from slipway.serving.engine.loaded import Loaded
from slipway.serving.protocols.mlflow.forms import BodyKind, compile_decoder
from slipway.serving.protocols.oip.mapping import TensorMapping
from slipway.serving.runtimes.runner import RunnerReport
from slipway.serving.runtimes.understood import Understood
from slipway.serving.scoring.mlflow_protocol import MLFLOW
from slipway.serving.scoring.oip_protocol import OIP
from slipway.serving.table import Table
from slipway.serving.target import STABLE, Target

TARGET = Target("cancer", "production")
ONE_ROW = Table(np.array([[1.0, 2.0]]))


SIGNATURE = Signature(inputs=(Field(name="a", type="double"), Field(name="b", type="double")), outputs=(), params=())
PLAIN = b'{"dataframe_split":{"columns":["a","b"],"data":[[1.0,2.0]]}}'


class Runner:
    """Answers each row with what a function returns, or fails as it does."""

    def __init__(self, answer: Callable[[], Any], one_row_s: float, kind: str = "compiled") -> None:
        self._answer = answer
        self.closed = False
        self.report = RunnerReport(kind=kind, reason="", methods=("predict",), one_row_s=one_row_s, resident_bytes=0)

    def predict(self, table: Table, method: str, params: Any) -> Any:
        """Return the answers for a table."""
        return np.concatenate([self._answer()] * len(table.numbers))

    def predict_parsed(self, parsed: Any, method: str, params: Any) -> Any:
        """Return the answer for what MLflow parsed."""
        return self._answer()

    def break_off(self) -> None:
        """End what is under way: nothing is."""

    def close(self) -> None:
        """Note that nobody needs it any more."""
        self.closed = True


class Adding(Runner):
    """Answers each row with its sum, refuses negative numbers, and notes how many rows it was asked at once."""

    def __init__(self, kind: str = "compiled") -> None:
        super().__init__(lambda: None, 1e-5, kind)
        self.asked: list[int] = []

    def predict(self, table: Table, method: str, params: Any) -> Any:
        """Return the sums."""
        self.asked.append(len(table.numbers))
        if (table.numbers < 0).any():
            raise ValueError("negative")
        return table.numbers.sum(axis=1)


class Lane:
    """MLflow's parsing, as it would be: takes everything but what is said to be wrong."""

    def __init__(self) -> None:
        self.refuses: Exception | None = None
        self.asked: list[tuple[bytes, BodyKind]] = []

    async def parse(self, folder: Path, body: bytes, kind: BodyKind) -> Any:
        """Return a row, or refuse."""
        self.asked.append((body, kind))
        if self.refuses:
            raise self.refuses
        return Understood(ONE_ROW)


class EngineWithLane(Engine):
    """An engine that knows which lane its tests' protocols have."""

    lane: Lane


def loaded(
    answer: Callable[[], Any] = lambda: np.array([7]),
    *,
    number: int = 1,
    one_row_s: float = 1e-5,
    target: Target = TARGET,
    runner: Runner | None = None,
    variant: str = STABLE,
) -> Loaded:
    """Return a version that answers."""
    return Loaded(
        target=target,
        number=number,
        digest=f"sha256:{number}",
        folder=Path("nowhere"),
        runner=runner or Runner(answer, one_row_s),
        decoders={MLFLOW: compile_decoder(SIGNATURE), OIP: TensorMapping(SIGNATURE)},
        columns=("a", "b"),
        variant=variant,
    )


def engine_with(*versions: Loaded, **seams: Any) -> tuple[EngineWithLane, Lane]:
    """Return an engine with versions put in place one after the other, and the lane of its protocols."""
    lane = Lane()
    engine = EngineWithLane(**seams)
    engine.lane = lane
    for version in versions:
        engine.put_in_place(version)
    return engine, lane
