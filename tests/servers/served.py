"""A running engine for tests, as a client sees it."""

import json
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

from tests.servers.processes import answers, free_port, process, wait_for


class Served:
    """A running engine, as a client sees it; `grpc` is where it speaks gRPC, and `store` where its registry is."""

    grpc: str
    store: str

    def __init__(self, port: int, log: Path, pid: int) -> None:
        self.port, self.log, self.pid = port, log, pid
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path: str, body: bytes | None = None, kind: str = "application/json") -> tuple[int, Any, Any]:
        """Return status, document and headers."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": kind} if body else {})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read()), response.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read()), error.headers

    def model(self, name: str = "iris") -> Any:
        """Return what the engine says of a model."""
        return self.ask(f"/models/{name}")[1]

    def wait_for_version(self, number: int, name: str = "iris") -> None:
        """Wait until a version is in place."""
        wait_for(lambda: self.model(name)["version"] == number, within_s=120, log=self.log)

    def children(self) -> list[int]:
        """Return the engine's worker processes."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            words = (folder / "cmdline").read_bytes().split(b"\0") if (folder / "cmdline").exists() else []
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1] if words else ""
            if b"slipway.serving.supervision.worker" in words and parent == str(self.pid):
                found.append(int(folder.name))
        return found


def registered(name: str) -> None:
    """Register a small model of two columns, which answers with their sum's sign, and put it into production."""
    rows = np.array([[1.0, 2.0], [-1.0, -2.0]])
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            LogisticRegression().fit(rows, [1, 0]),
            name="model",
            input_example=rows,
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
        )
    MlflowClient().set_registered_model_alias(name, "production", "1")


@contextmanager
def serving(folder: Path, *words: str, name: str = "serve", ready: bool = True, **more: str) -> Iterator[Served]:
    """Run an engine until the block ends, with more variables; it is waited for until it is ready, or else alive."""
    port, log = free_port(), folder / f"{name}.log"
    words = (sys.executable, "-m", "slipway", "serve", *words, "--port", str(port))
    with process(*words, folder=folder, log=log, **more) as started:
        served = Served(port, log, started.pid)
        wait_for(lambda: answers(f"{served.url}/{'ready' if ready else 'live'}"), within_s=180, log=log)
        yield served
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 0, log.read_text()[-2000:]
