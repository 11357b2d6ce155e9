"""What serving holds: seven models by `slipway up` beside MLflow's own servers, and a worker over many swaps."""

import contextlib
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.neighbors import KNeighborsRegressor

from benchmarks import contenders
from benchmarks.measure import markdown_table, python
from tests.servers.processes import answers, free_port, process, wait_for

MODELS = 7
TRAIN = ("train", "--data", "sklearn:iris", "--target", "target", "--model", "m0", "--estimator", "random_forest")
MOVES, SHOWN_EACH = 100, 20
ROWS, COLUMNS = 260_000, 50  # 100 MB of doubles


def run() -> str:
    """Return the section of the report."""
    return f"{_seven_models()}\n\n{_swaps()}"


def _seven_models() -> str:
    names = [f"m{number}" for number in range(MODELS)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        python("-m", "slipway", *TRAIN, folder=folder)
        for each in names[1:]:
            MlflowClient().copy_model_version("models:/m0/1", each)
        for each in names:
            MlflowClient().set_registered_model_alias(each, "production", "1")
        taken = {
            f"`mlflow server` and {MODELS} × `mlflow models serve`": _measured(_mlflow(folder, names)),
            "`slipway up`, for the first time": _measured(_up(folder)),
            "`slipway up`, from its cache": _measured(_up(folder)),
        }
    rows = [[label, f"{seconds:.0f}", f"{size_bytes / 1e9:.2f}"] for label, (seconds, size_bytes) in taken.items()]
    return f"## {MODELS} models in production\n\n" + markdown_table(["", "s until all answer", "GB held"], rows)


def _measured(starting: "contextlib.AbstractContextManager[int]") -> tuple[float, float]:
    """Return how long it takes until all answer, and what all processes hold then."""
    began = time.monotonic()
    with starting as leader:
        return time.monotonic() - began, sum(map(_held_bytes, _family(leader)))


@contextlib.contextmanager
def _mlflow(folder: Path, names: list[str]) -> Iterator[int]:
    ports = [free_port() for _ in names]
    uri = f"sqlite:///{folder}/mlflow.db"
    words = [f"{sys.executable} -m mlflow server --backend-store-uri {uri} --workers 1 --port {free_port()} &"]
    words += [
        f"{sys.executable} -m mlflow models serve -m models:/{name}@production --env-manager local --port {port} &"
        for name, port in zip(names, ports, strict=True)
    ]
    script = "\n".join([*words, "wait"])
    with process("bash", "-c", script, folder=folder, log=folder / "mlflow.log", MLFLOW_TRACKING_URI=uri) as started:
        for port in ports:
            wait_for(lambda port=port: answers(f"http://127.0.0.1:{port}/ping"), within_s=300)  # type: ignore[misc]
        yield started.pid


@contextlib.contextmanager
def _up(folder: Path) -> Iterator[int]:
    words = ("-m", "slipway", "up", "--port", str(free_port()), "--scoring-port", str(free_port()), "--json")
    log = folder / "up.log"
    with process(sys.executable, *words, folder=folder, log=log) as started:
        wait_for(lambda: log.read_text().count("/invocations") == MODELS, within_s=300, log=log)
        yield started.pid


def _swaps() -> str:
    """Return what a worker holds after so many moves among three versions of 100 MB each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        for number in (1, 2, 3):
            _log_large(number)
        _point(1)
        with contenders.slipway(folder, "large", "--poll-s", "0.2") as url:
            port = int(url.split(":")[2].split("/")[0])
            held = [f"{_worker_bytes(port) / 1e6:,.0f}"]
            for move in range(1, MOVES + 1):
                number = move % 3 + 1
                _point(number)
                wait_for(lambda number=number: _version(port) == number, within_s=120)  # type: ignore[misc]
                if move % SHOWN_EACH == 0:
                    held.append(f"{_worker_bytes(port) / 1e6:,.0f}")
    headers = ["moves", *(str(move) for move in range(0, MOVES + 1, SHOWN_EACH))]
    return "## A worker over swaps of a 100 MB model\n\n" + markdown_table(headers, [["MB held", *held]])


def _log_large(number: int) -> None:
    rng = np.random.default_rng(number)
    rows = rng.normal(size=(ROWS, COLUMNS))
    model = KNeighborsRegressor(1, algorithm="brute").fit(rows, rng.normal(size=ROWS))
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model, name="m", registered_model_name="large", input_example=rows[:1], pip_requirements=["scikit-learn"]
        )


def _point(number: int) -> None:
    MlflowClient().set_registered_model_alias("large", "production", str(number))


def _version(port: int) -> int | None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/models/large", timeout=10) as response:
        found: int | None = json.loads(response.read())["version"]
        return found


def _worker_bytes(port: int) -> float:
    """Return what the worker that listens on a port holds, a moment after its last move."""
    time.sleep(2)
    workers = [
        pid
        for pid in map(int, (each.name for each in Path("/proc").glob("[0-9]*")))
        if b"slipway.serving.supervision.worker" in _command(pid)
    ]
    return max(map(_held_bytes, workers))


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _family(leader: int) -> list[int]:
    """Return a process and all that it started."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, waiting = [], [leader]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def _held_bytes(pid: int) -> float:
    """Return a process' share of the memory that it uses: pages that several have count in parts."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0.0)
