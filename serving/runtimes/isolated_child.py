"""The program of an isolated model's process: it lives and ends with its parent, whatever a terminal sends.

What takes seconds is imported last: until then a Ctrl-C would end it with a traceback, and who lost its parent would
not see that.
"""

import importlib
import os
import signal
import sys
import threading


def main(descriptor: int, model_folder: str) -> None:
    """Serve calls from the socket until it is closed."""
    for asking in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(asking, signal.SIG_IGN)  # they reach the engine too, which lets requests end, and this with them
    threading.Thread(target=_end_with_parent, daemon=True).start()
    importlib.import_module("slipway.serving.runtimes.mlflow_isolated_model").serve(descriptor, model_folder)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1024):  # not by the buffer: Python waits for its lock when it ends
        continue
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
