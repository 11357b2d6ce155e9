"""What an isolated model's process does: load the model, and answer calls.

Our own modules are imported, then forgotten by name, before the model is loaded: what the model imports under our name
is its own.
"""

import pickle
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from slipway.registry.errors import SlipwayError
from slipway.serving.runtimes.mlflow_runner import MlflowRunner, columns_of, load, methods_of
from slipway.serving.runtimes.replies import ANSWERED, FAILED, MOST_REPLY_BYTES, REFUSED, packed
from slipway.serving.runtimes.runner import RunnerReport
from slipway.serving.runtimes.verification.measure import resident_bytes
from slipway.serving.table import Table


def serve(descriptor: int, model_folder: str) -> None:
    """Serve calls from the socket until it is closed."""
    connection = Connection(descriptor)
    _forget_ours()
    calls = _calls(Path(model_folder))
    while True:
        try:
            number, call, *arguments = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError):
            return
        connection.send_bytes(_reply(number, calls[call], arguments))


def _forget_ours() -> None:
    """Free our modules' names; the functions that were imported go on working."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "slipway"]:
        del sys.modules[name]


def _calls(folder: Path) -> Mapping[str, Callable[..., Any]]:
    """Load the model; where that fails, every call says so."""
    try:
        model = load(folder)
        methods = methods_of(model)
        report = RunnerReport(kind="pyfunc", reason="", methods=methods, one_row_s=0.0, resident_bytes=0)
        runner = MlflowRunner(report, model, columns_of(folder))
    except Exception as error:  # whatever a model's own code raises while it is imported
        message = f"{type(error).__name__}: {error}"

        def fail(*_: Any) -> None:
            raise RuntimeError(f"the model cannot be loaded: {message}")

        return {"methods": fail, "predict": fail, "predict_parsed": fail}
    return {
        "methods": lambda: methods,
        "resident_bytes": resident_bytes,
        "predict": lambda table, method, params: runner.predict(Table(*table), method, params),
        "predict_parsed": runner.predict_parsed,
    }


def _reply(number: int, call: Callable[..., Any], arguments: list[Any]) -> bytes:
    try:
        reply = packed([number, ANSWERED, call(*arguments)])
        if len(reply) > MOST_REPLY_BYTES:
            said = f"its answer has {len(reply) / 2**20:,.0f} MiB, and {MOST_REPLY_BYTES // 2**20} are read of one"
            return packed([number, FAILED, said])
        return reply
    except SlipwayError as error:
        return packed([number, REFUSED, error.to_document()])
    except Exception as error:  # whatever the model's own code raises; its class may not exist in the parent
        return packed([number, FAILED, f"{type(error).__name__}: {error}"])
