"""The engine's decoder, runner and encoder on its HTTP stack, with no metrics, no request ids and neither seam."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlflow.artifacts import download_artifacts

from benchmarks.apps.bare import MADE_BY, serve
from slipway.serving.engine.engine import Request
from slipway.serving.engine.loaded import Loaded
from slipway.serving.engine.outcome import Outcome, Predicted
from slipway.serving.preparation.prepared import Prepared
from slipway.serving.protocols.mlflow.forms import encode
from slipway.serving.runtimes.prepare import prepare_runner
from slipway.serving.runtimes.runner import PREDICT
from slipway.serving.scoring.loading import load
from slipway.serving.scoring.mlflow_protocol import MLFLOW
from slipway.serving.table import joined, split
from slipway.serving.target import Target


def opened(model: str) -> Loaded:
    """Return a model in production, prepared and opened as the engine does."""
    folder = Path(download_artifacts(f"models:/{model}@production"))
    with tempfile.TemporaryDirectory() as name:
        prepare_runner(folder, Path(name), accelerate=True, rows=None)
        prepared = Prepared(identity=model, number=1, digest="", folder=str(folder), runner=name, runner_digest="")
        return load(Target(model, "production"), prepared)


def main(port: int, model: str) -> None:
    """Serve a model in production."""
    loaded = opened(model)
    decoder, runner = loaded.decoders[MLFLOW], loaded.runner

    def answers(requests: Sequence[Request]) -> list[Outcome]:
        tables = [decoder.decode(request.body).rows for request in requests]
        parts = split(runner.predict(joined(tables), PREDICT, None), tables)
        return [Predicted(encode(part), MADE_BY) for part in parts]

    serve(port, answers)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
