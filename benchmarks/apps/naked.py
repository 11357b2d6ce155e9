"""The engine's decoder, runner and encoder on its HTTP stack, with no metrics, no request ids and neither seam."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlflow.artifacts import download_artifacts

from benchmarks.apps.bare import MADE_BY, serve
from serving.engine.answer import Answer
from serving.engine.engine import Loaded, Request
from serving.engine.loading import load
from serving.preparation.prepared import Prepared
from serving.protocols.mlflow.forms import encode
from serving.runtimes.prepare import prepare_runner
from serving.runtimes.runner import PREDICT
from serving.table import joined, split
from serving.target import Target


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
    decoder, runner = loaded.decoder, loaded.runner

    def answers(requests: Sequence[Request]) -> list[Answer]:
        tables = [decoder.decode(request.body).table for request in requests]
        parts = split(runner.predict(joined(tables), PREDICT, None), tables)
        return [Answer(200, encode(part), MADE_BY) for part in parts]

    serve(port, answers)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
