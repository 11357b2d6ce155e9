"""An engine with models for tests over tensors, asked by HTTP and by gRPC, and what `/invocations` says of the same."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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

from tests.servers.processes import free_port
from tests.servers.served import Served, registered, serving

AGE_S = "0.5"
BATCH = {
    "age": ("FP64", [41.5, 18.0, 70.25]),
    "visits": ("INT64", [3, 0, 12]),
    "member": ("BOOL", [True, False, True]),
    "plan": ("BYTES", ["basic", "größe", "pro"]),
}
NUMBERS = {"a": ("FP64", [1.0, -1.0]), "b": ("FP64", [2.0, -2.0])}


@contextmanager
def serving_tensors(folder: Path, database: Path) -> Iterator[Served]:
    """Run an engine of two workers with a model of numbers, texts and truth values, and ones of numbers alone.

    Of `cancer` a second version waits; `store` is where its alias may be moved.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(database, folder / "mlflow.db")
        register_columns("mixed", BATCH, ["stays", "leaves", "leaves"])
        for _ in range(2):  # the alias is at the first
            register_columns("cancer", NUMBERS, [1, 0])
        registered("matrix")
    targets, grpc = (f"{name}@production" for name in ("mixed", "cancer", "matrix")), str(free_port())
    words = (*targets, "--workers", "2", "--grpc-port", grpc)
    with serving(folder, *words, SLIPWAY_SERVING__GRPC_CONNECTION_AGE_S=AGE_S) as engine:
        engine.store, engine.grpc = f"sqlite:///{folder}/mlflow.db", f"127.0.0.1:{grpc}"
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


def invoked(served: Served, model: str, batch: Any, **params: str) -> Any:
    """Return the predictions of `/invocations` for the same rows."""
    names, columns = list(batch), [values for _, values in batch.values()]
    rows = {"columns": names, "data": list(zip(*columns, strict=True))}
    body = json.dumps({"dataframe_split": rows, "params": params}).encode()
    status, told, _ = served.ask(f"/models/{model}/invocations", body)
    assert status == 200, told
    return told["predictions"]
