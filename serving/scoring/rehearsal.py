"""How the engine would answer, before anything is served: what the gate asks about the rows that it judges by.

The engine may compile a model, and is fast by that; the gate measures what MLflow makes of the same files. What is
verified in between are rows that a version's own files suggest. Here the rows are those that decide.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from slipway.registry.errors import InvalidInput
from slipway.registry.mlmodel import PYFUNC, read_mlmodel
from slipway.registry.signature import stored_signature
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.protocols.mlflow.forms import compile_decoder
from slipway.serving.runtimes.mlflow_loaded import ships_code
from slipway.serving.runtimes.open import open_runner
from slipway.serving.runtimes.prepare import Possible, prepare_each
from slipway.serving.runtimes.understood import PickledRows
from slipway.serving.slow_lane.mlflow_parsing import judge, stored_model

OURS_TO_RUN = "mlflow.sklearn"


class Rehearsal:
    """A model as the engine has it, in this process."""

    def __init__(self, folder: Path, possible: Possible) -> None:
        self._runner, self._holds = open_runner(possible.place, folder), possible.holds
        self._decoder = compile_decoder(stored_signature(folder))
        self._stored = stored_model(folder)

    @property
    def kind(self) -> str:
        """Return which runner answers."""
        return self._runner.report.kind

    @property
    def methods(self) -> tuple[str, ...]:
        """Return what a request may ask for."""
        return self._runner.report.methods

    def is_chosen(self, held_out: pd.DataFrame | None) -> bool:
        """Return whether an engine may choose this runner, as verified with its version's held-out rows or without."""
        return any(self._holds(self._runner, rows) for rows in (None, held_out))

    def close(self) -> None:
        """Free what the runner holds."""
        self._runner.close()

    def answer(self, body: bytes) -> Any:
        """Return what the engine predicts for a JSON body of MLflow's scoring protocol; `None` where it refuses it."""
        plain = self._decoder.decode(body) if self._decoder else None
        if plain is not None:
            return self._runner.predict(plain.rows, plain.method, plain.params)
        try:
            asked = judge(self._stored, body, BodyKind.JSON)
            rows = asked.rows.read() if isinstance(asked.rows, PickledRows) else asked.rows
            return self._runner.predict_parsed(rows, asked.method, asked.params)
        except InvalidInput:
            return None


@contextmanager
def rehearsal(folder: Path) -> Iterator[tuple[Rehearsal, ...]]:
    """Prepare and open the model in a folder in every way in which an engine may, for as long as asked.

    None where MLflow's own code answers in the engine, too: other flavors than scikit-learn's, and models that ship
    code.

    Raises
    ------
    NotApproved, InvalidInput, NotFound, Unavailable
        The engine could not serve it.
    """
    if ships_code(folder) or read_mlmodel(folder)["flavors"].get(PYFUNC, {}).get("loader_module") != OURS_TO_RUN:
        yield ()
        return
    with tempfile.TemporaryDirectory(prefix="slipway-rehearsal-") as place, ExitStack() as opened:
        found = [Rehearsal(folder, possible) for possible in prepare_each(folder, Path(place))]
        for each in found:
            opened.callback(each.close)
        # The engine's workers have one thread each; of equally near neighbours, another number of them finds others.
        with threadpool_limits(1):
            yield tuple(found)
