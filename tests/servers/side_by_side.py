"""One stored model behind MLflow's own scoring application and behind our engine, both in this process.

MLflow's is `mlflow.pyfunc.scoring_server.init`, as `mlflow models serve` runs it. Ours is the engine with a version
that was prepared and opened as a worker does it; only the lane's process and the sockets are left out.
"""

import asyncio
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import mlflow.pyfunc
import msgspec
from mlflow.pyfunc import scoring_server

from slipway.registry.errors import error_from
from slipway.serving.engine.engine import Engine
from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.routing import routed
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.runtimes.prepare import prepare_runner
from slipway.serving.runtimes.understood import PickledRows, Understood
from slipway.serving.scoring.loading import load
from slipway.serving.scoring.mlflow_protocol import protocols_of
from slipway.serving.slow_lane.lane_process import LaneRequest
from slipway.serving.slow_lane.mlflow_lane import answer
from slipway.serving.target import Target
from slipway.serving.transports.http.answers import answer_to
from tests.doubles.asgi import ask

TARGET = Target("m", "production")


@dataclass(frozen=True)
class Said:
    """What one of the two answered."""

    status: int
    document: Any

    @property
    def predictions(self) -> Any:
        """Return the predictions; `None` where it refused or failed."""
        return self.document["predictions"] if self.status == 200 else None


class LaneHere:
    """The slow lane without its process: what that answers, as its client hands it on."""

    async def parse(self, folder: Path, body: bytes, kind: BodyKind) -> Understood:
        """Return what MLflow makes of a body; raises what the lane's process says."""
        reply = pickle.loads(pickle.dumps(answer(LaneRequest(folder=folder, body=body, kind=kind)), protocol=5))
        if reply.error:
            raise error_from(reply.error)
        understood: Understood = reply.understood
        rows = understood.rows.read() if isinstance(understood.rows, PickledRows) else understood.rows
        return msgspec.structs.replace(understood, rows=rows)


class SideBySide:
    """The two; `ours` and `theirs` put the same request to each."""

    def __init__(self, folder: Path, loaded: Loaded) -> None:
        self._theirs = scoring_server.init(mlflow.pyfunc.load_model(str(folder), suppress_warnings=True))
        self._engine = Engine()
        self._engine.put_in_place(loaded)
        self._protocol = protocols_of(LaneHere())["invocations"]
        self.loaded = loaded

    def theirs(self, body: bytes, kind: str = "application/json") -> Said:
        """Return what MLflow's server answers; 500 where it raises, as Starlette does."""
        try:
            answered = ask(self._theirs, "POST", "/invocations", body, {"content-type": kind})
        except Exception as error:
            return Said(500, f"{type(error).__name__}: {error}")
        return Said(answered.status, answered.document if answered.status == 200 else answered.text)

    def ours(self, body: bytes, kind: str = "application/json") -> Said:
        """Return what our engine answers, at once or off the event loop, as its connections ask it."""
        placement, context = self._engine.placements[TARGET], routed("request", perf_counter())
        request = self._engine.arrive(placement, self._protocol, body, kind.encode(), context)
        outcome = self._engine.score_now([request])[0] or asyncio.run(self._engine.score(request))
        answered = answer_to(outcome, "request")
        return Said(answered.status, json.loads(answered.body))

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


@contextmanager
def side_by_side(folder: Path, *, accelerate: bool = True) -> Iterator[SideBySide]:
    """Prepare the model in a folder, beside it, and put it behind both for as long as the block lasts."""
    runner = folder.parent / f"{folder.name}-runner"
    prepare_runner(folder, runner, accelerate=accelerate, rows=None)
    prepared = Prepared(
        identity="i", number=1, digest="sha256:0", folder=str(folder), runner=str(runner), runner_digest="0"
    )
    both = SideBySide(folder, load(TARGET, prepared))
    try:
        yield both
    finally:
        both.close()
