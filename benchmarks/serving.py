"""How fast the engine answers, beside what people use instead and beside the limit of its own HTTP stack."""

import contextlib
import io
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient

from benchmarks import contenders
from benchmarks.load import Load, Request, closed_loop
from benchmarks.measure import markdown_table, python
from benchmarks.scoring_profile import where_time_goes

SECONDS = 2.0
CONNECTIONS = (1, 16, 64)
ROUNDS = 3
SIZES = (1, 100, 10_000)
PARQUET = "application/vnd.apache.parquet"
REPEATS = 30
ONE_ROW = """The bare handler is our HTTP stack that reads the same body and sends the same bytes:
the limit, without a model.
The naked engine decodes, predicts and encodes, with no metrics, request ids or seams.

"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A model in production, and what it is asked."""

    model: str
    rows: pd.DataFrame

    def request(self, count: int = 1) -> Request:
        """Return a request of so many rows as MLflow's clients send it."""
        frame = self.rows.iloc[np.arange(count) % len(self.rows)]
        split = json.loads(frame.to_json(orient="split", index=False))
        return Request(body=json.dumps({"dataframe_split": split}).encode())

    def file(self, count: int, media_type: str) -> Request:
        """Return the same rows as a file."""
        frame = self.rows.iloc[np.arange(count) % len(self.rows)]
        if media_type == PARQUET:
            return Request(body=frame.to_parquet(index=False), media_type=media_type)
        return Request(body=frame.to_csv(index=False).encode(), media_type=media_type)


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = _prepare(folder)
        iris = cases["iris, random forest"]
        parts = [
            lambda: _one_row(folder, cases),
            lambda: where_time_goes(iris.model, iris.request()),
            lambda: _everybody(folder, iris),
            lambda: _many_rows(folder, cases["breast_cancer, random forest"]),
            lambda: _not_compiled(folder),
            lambda: _to_ready(folder, iris),
        ]
        sections = ["## Serving, one worker each"]
        for part in parts:
            sections.append(part())
            print(sections[-1], file=sys.stderr)
    return "\n\n".join(sections)


def _prepare(folder: Path) -> dict[str, Case]:
    """Train the models with Slipway and put their aliases; the gate is not what is measured here."""
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    rng = np.random.default_rng(7)
    mixed = pd.DataFrame({f"x{i}": rng.normal(size=2000).round(2) for i in range(8)})
    mixed = mixed.mask(rng.random(mixed.shape) < 0.1)
    for i in range(4):
        mixed[f"c{i}"] = rng.choice(["red", "green", "blue", None], 2000)
    mixed["target"] = (mixed.x0.fillna(0) + (mixed.c0 == "red") > 0.3).map({True: "yes", False: "no"})
    mixed.to_csv(folder / "mixed.csv", index=False)
    wanted = {
        "iris, random forest": ("sklearn:iris", "random_forest"),
        "breast_cancer, random forest": ("sklearn:breast_cancer", "random_forest"),
        "breast_cancer, logistic regression": ("sklearn:breast_cancer", "logistic"),
        "breast_cancer, histogram gradient boosting": ("sklearn:breast_cancer", "hist_gradient_boosting"),
        "strings and missing values, random forest": (str(folder / "mixed.csv"), "random_forest"),
    }
    cases = {}
    for number, (label, (data, estimator)) in enumerate(wanted.items()):
        model = f"m{number}"
        words = ["train", "--data", data, "--target", "target", "--model", model, "--estimator", estimator]
        python("-m", "slipway", *words, folder=folder)
        MlflowClient().set_registered_model_alias(model, "production", "1")
        cases[label] = Case(model=model, rows=_rows(f"models:/{model}/1", mixed if data.endswith(".csv") else None))
    return cases


def _rows(uri: str, mixed: pd.DataFrame | None) -> pd.DataFrame:
    if mixed is not None:
        return mixed.drop(columns="target").iloc[:50]
    example = json.loads(Path(mlflow.artifacts.download_artifacts(f"{uri}/serving_input_example.json")).read_text())
    return pd.DataFrame(**example["dataframe_split"])


def _measured(urls: dict[str, str], requests: dict[str, Request], connections: int) -> dict[str, Load]:
    """Return each server's medians over rounds in turn, so that a noisy moment hits all of them."""
    rounds: dict[str, list[Load]] = {label: [] for label in urls}
    for label, url in urls.items():
        closed_loop(url, requests[label], connections=connections, seconds=1)
    for _ in range(ROUNDS):
        for label, url in urls.items():
            rounds[label].append(closed_loop(url, requests[label], connections=connections, seconds=SECONDS))
    return {label: _median(loads) for label, loads in rounds.items()}


def _median(loads: list[Load]) -> Load:
    return Load(
        rate=statistics.median(load.rate for load in loads),
        failed=sum(load.failed for load in loads),
        p50_s=statistics.median(load.p50_s for load in loads),
        p99_s=statistics.median(load.p99_s for load in loads),
    )


def _one_row(folder: Path, cases: dict[str, Case]) -> str:
    rows = []
    for label, case in cases.items():
        request = case.request()
        with (
            contenders.slipway(folder, case.model) as ours,
            contenders.naked(folder, case.model) as naked,
            contenders.mlflow_server(folder, case.model) as theirs,
            contenders.bare(folder, _post(ours, request)) as limit,
        ):
            urls = {"slipway": ours, "naked": naked, "bare": limit, "mlflow": theirs}
            for connections in CONNECTIONS:
                found = _measured(urls, dict.fromkeys(urls, request), connections)
                rows.append(_row(label, connections, found))
    headers = [
        "one row, JSON",
        "connections",
        "answers/s",
        "÷ bare handler",
        "÷ naked",
        "÷ mlflow models serve",
        "p99 ÷ p50",
    ]
    return ONE_ROW + markdown_table(headers, rows)


def _row(label: str, connections: int, found: dict[str, Load]) -> list[str]:
    ours = found["slipway"]
    if ours.failed:
        raise SystemExit(f"{label}: {ours.failed} requests failed")
    return [
        label,
        str(connections),
        f"{ours.rate:,.0f}",
        f"{ours.rate / found['bare'].rate:.2f}",
        f"{ours.rate / found['naked'].rate:.2f}",
        f"{ours.rate / found['mlflow'].rate:,.0f}",
        f"{ours.p99_s / ours.p50_s:.1f}",
    ]


def _everybody(folder: Path, case: Case) -> str:
    request = case.request()
    array = Request(body=json.dumps({"rows": case.rows.head(1).to_numpy().tolist()}).encode())
    servers = {
        "slipway serve": contenders.slipway(folder, case.model),
        "mlflow models serve": contenders.mlflow_server(folder, case.model),
        "Flask, gunicorn": contenders.flask(folder, case.model),
        "FastAPI, uvicorn": contenders.fastapi(folder, case.model),
        "BentoML, batching": contenders.bentoml(folder, case.model),
    }
    rows = []
    with contextlib.ExitStack() as stack:
        urls = {label: stack.enter_context(server) for label, server in servers.items()}
        requests = {label: array if label.startswith("BentoML") else request for label in urls}
        for label, url in urls.items():
            _post(url, requests[label])  # raises where a contender fails: nothing is won against a broken one
        for connections in CONNECTIONS:
            found = _measured(urls, requests, connections)
            ours = found["slipway serve"].rate
            rows += [
                [label, str(connections), f"{load.rate:,.0f}", f"{ours / load.rate:,.0f}", f"{load.failed:,}"]
                for label, load in found.items()
            ]
    return markdown_table(["iris, random forest, one row", "connections", "answers/s", "slipway ÷ it", "failed"], rows)


def _many_rows(folder: Path, case: Case) -> str:
    model = mlflow.sklearn.load_model(f"models:/{case.model}@production")
    rows = []
    with contenders.slipway(folder, case.model) as ours, contenders.mlflow_server(folder, case.model) as theirs:
        for count in SIZES:
            frame = case.rows.iloc[np.arange(count) % len(case.rows)]
            requests = {
                "JSON": case.request(count),
                "CSV": case.file(count, "text/csv"),
                "Parquet": case.file(count, PARQUET),
            }
            parquet = requests["Parquet"].body
            alone = _seconds(lambda frame=frame: model.predict(frame))
            read = _seconds(lambda parquet=parquet: model.predict(pd.read_parquet(io.BytesIO(parquet))))
            for kind, request in requests.items():
                mine = _seconds(lambda request=request: _post(ours, request))
                other = _seconds(lambda request=request: _post(theirs, request))
                beside = f"{mine / read:.2f}" if kind == "Parquet" else ""
                rows.append([f"{count:,}", kind, f"{mine * 1e3:.1f}", f"{other / mine:.1f}", beside])
            rows.append([f"{count:,}", "predict alone", f"{alone * 1e3:.1f}", "", ""])
    headers = ["rows", "body", "ms", "mlflow models serve ÷ it", "÷ reading and predict"]
    return "breast_cancer, random forest, one connection:\n\n" + markdown_table(headers, rows)


def _not_compiled(folder: Path) -> str:
    """Measure what the engine adds to a model that it cannot compile, at one connection."""
    rows = pd.DataFrame(np.arange(60.0).reshape(2, 30), columns=[f"x{i}" for i in range(30)])
    source = folder / "own.py"
    source.write_text(OWN_MODEL)
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(source),
            input_example=rows,
            registered_model_name="own",
            signature=mlflow.models.infer_signature(rows, rows.sum(axis=1).to_numpy()),
        )
    MlflowClient().set_registered_model_alias("own", "production", "1")
    case = Case(model="own", rows=rows)
    numbers, unwrapped = rows.head(1).to_numpy(), mlflow.pyfunc.load_model("models:/own/1").unwrap_python_model()
    alone = _seconds(lambda: unwrapped.predict(None, pd.DataFrame(numbers, columns=rows.columns)))
    with contenders.slipway(folder, "own") as url, contenders.bare(folder, _post(url, case.request())) as limit:
        found = _measured({"own": url, "bare": limit}, dict.fromkeys(("own", "bare"), case.request()), 1)
    added = found["own"].p50_s - alone
    return (
        "A pyfunc that cannot be compiled, 30 columns, one row, one connection: "
        f"{found['own'].p50_s * 1e3:.2f} ms (median), "
        f"{added * 1e3:.2f} ms over the model's own `predict`; "
        f"the bare handler takes {found['bare'].p50_s * 1e3:.2f} ms."
    )


OWN_MODEL = """
import mlflow


class Own(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return model_input.sum(axis=1).to_numpy()


mlflow.models.set_model(Own())
"""


def _to_ready(folder: Path, case: Case) -> str:
    """Measure from the start of the command to the first answer that says ready."""
    taken: dict[str, list[float]] = {}
    for _ in range(3):
        with tempfile.TemporaryDirectory() as cache:
            starts = {
                "mlflow models serve": contenders.mlflow_server(folder, case.model),
                "slipway serve, from the registry": contenders.slipway(folder, case.model, "--cache", cache),
                "slipway serve, from the cache": contenders.slipway(folder, case.model),
            }
            for label, start in starts.items():
                taken.setdefault(label, []).append(_until_ready(start))
    medians = {label: statistics.median(seconds) for label, seconds in taken.items()}
    reference = medians["mlflow models serve"]
    rows = [[label, f"{seconds:.2f}", f"{seconds / reference:.2f}"] for label, seconds in medians.items()]
    return markdown_table(["start to ready", "seconds (median of 3)", "÷ mlflow models serve"], rows)


def _until_ready(server: AbstractContextManager[str]) -> float:
    started = time.perf_counter()
    with server:
        return time.perf_counter() - started


def _post(url: str, request: Request) -> bytes:
    sent = urllib.request.Request(url, request.body, {"Content-Type": request.media_type})
    with urllib.request.urlopen(sent, timeout=300) as response:
        body: bytes = response.read()
        return body


def _seconds(call: Callable[[], object]) -> float:
    """Return a call's median wall time, after three calls that do not count."""
    for _ in range(3):
        call()
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)
