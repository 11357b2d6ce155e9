"""Triton's and KServe's own clients, unmodified, each in an environment of its own, score on a real engine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from tests.conftest import missing
from tests.servers.processes import environment
from tests.servers.served import Served, registered, serving

CLIENTS = Path(__file__).parent.parent / "clients"
PAGE = Path(__file__).parent.parent.parent / "docs" / "protocols.md"
# Their pins (protobuf, ml-dtypes, pandas < 3) are none that the engine could have beside its own.
TRITON, KSERVE = "tritonclient[http]==2.73.0", "kserve==0.21.0"
BATCH = {
    "age": ("FP64", [41.5, 18.0, 70.25]),
    "visits": ("INT64", [3, 0, 12]),
    "member": ("BOOL", [True, False, True]),
    "plan": ("BYTES", ["basic", "größe", "pro"]),
}
NUMBERS = {"a": ("FP64", [1.0, -1.0]), "b": ("FP64", [2.0, -2.0])}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Served]:
    """Return an engine with a model of numbers, texts and truth values, and one of numbers alone."""
    folder = tmp_path_factory.mktemp("tensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(empty_database, folder / "mlflow.db")
        register_columns("mixed", BATCH, ["stays", "leaves", "leaves"])
        register_columns("cancer", NUMBERS, [1, 0])
        registered("matrix")
        with serving(folder, *(f"{name}@production" for name in ("mixed", "cancer", "matrix"))) as engine:
            yield engine


def register_columns(name: str, batch: Any, labels: list[Any]) -> None:
    """Register a classifier of these columns and put it into production."""
    frame = pd.DataFrame({column: values for column, (_, values) in batch.items()})
    texts = [column for column, (datatype, _) in batch.items() if datatype == "BYTES"]
    prepared = make_column_transformer((OneHotEncoder(), texts), remainder="passthrough")
    model = make_pipeline(prepared, LogisticRegression()).fit(frame, labels)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(frame, model.predict(frame)),
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
            skops_trusted_types=["numpy.dtype"],
        )
    MlflowClient().set_registered_model_alias(name, "production", "1")


def python_with(package: str, folder: Path) -> str:
    """Return the Python of a new environment with a package; skip loudly where it cannot be had, in CI fail."""
    uv, python = str(Path(sys.executable).with_name("uv")), str(folder / "bin" / "python")
    for words in (
        ("venv", "-q", "--python", sys.executable, str(folder)),
        ("pip", "install", "-q", "--python", python, package),
    ):
        done = subprocess.run((uv, *words), check=False, capture_output=True, text=True, timeout=600)
        if done.returncode:
            missing(f"{package} cannot be installed: its client is NOT tested\n{done.stderr[-500:]}")
    return python


def said_by(python: str, client: str, *words: str) -> Any:
    """Return what a client printed."""
    arguments = (python, str(CLIENTS / f"score_{client}.py"), *words)
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def invoked(served: Served, model: str, batch: Any, **params: str) -> Any:
    """Return the predictions of `/invocations` for the same rows."""
    names, columns = list(batch), [values for _, values in batch.values()]
    rows = {"columns": names, "data": list(zip(*columns, strict=True))}
    body = json.dumps({"dataframe_split": rows, "params": params}).encode()
    status, told, _ = served.ask(f"/models/{model}/invocations", body)
    assert status == 200, told
    return told["predictions"]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a Python that has Triton's client."""
    return python_with(TRITON, tmp_path_factory.mktemp("triton") / "env")


@pytest.mark.parametrize(("model", "batch"), [("mixed", BATCH), ("cancer", NUMBERS)])
def test_tritons_client_is_answered_as_invocations_is(served: Served, triton: str, model: str, batch: Any):
    """Both its forms, by JSON and by bytes, compressed either way and not; labels and probabilities in one answer."""
    told = said_by(triton, "triton", served.url.removeprefix("http://"), model, json.dumps(batch))
    labels, shares = invoked(served, model, batch), invoked(served, model, batch, method="predict_proba")
    expected = ["mine", "1", labels, shares]
    assert told["sync"]["answers"] == [expected] * 6
    assert told["asyncio"] == {"live": [True] * 3, "answers": [expected] * 6}
    assert told["sync"]["version"] == expected
    assert told["sync"]["live"] == [True] * 3
    assert told["sync"]["absent"] == [False, False]
    assert told["sync"]["inputs"] == [[name, datatype] for name, (datatype, _) in batch.items()]
    assert told["sync"]["config"]
    assert [f"{model}@production", "1"] in told["sync"]["index"]
    status, message = told["sync"]["refused"]
    assert status == "400"
    assert message.startswith(f"missing inputs '{next(iter(batch))}'")


def test_the_clients_lines_on_the_page_run(served: Served, triton: str):
    """As they stand in docs/protocols.md."""
    lines = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    ")]
    code = "\n".join(line for line in lines if not line.startswith("curl"))
    code = code.replace("127.0.0.1:8080", served.url.removeprefix("http://"))
    done = subprocess.run((triton, "-c", code), check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[[")


@pytest.mark.long
def test_kserves_client_is_answered(served: Served, tmp_path: Path):
    """By V2 in JSON and in bytes, and by V1."""
    told = said_by(python_with(KSERVE, tmp_path / "env"), "kserve", served.url, "matrix")
    answer = ["mine", "matrix", [1, 0]]
    assert told == {"v2": [True, True, True, answer, answer], "v1": [True, True, {"predictions": [1, 0]}]}
