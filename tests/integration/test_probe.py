"""What the check servable starts: a worker of the engine, or MLflow's scoring server, on a stored model."""

import os
from collections.abc import Iterator
from pathlib import Path

import mlflow.pyfunc
import mlflow.sklearn
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from slipway.serving.local.probe import ENOUGH, WARM_UP, serve_once

ROWS = pd.DataFrame({"x": [0.0, 1.0, 2.0, 3.0], "z": [1.0, 0.0, 1.0, 0.0]})
MODEL = LogisticRegression().fit(ROWS, [0, 0, 1, 1])
TYPES = ["numpy.dtype", "sklearn.compose._column_transformer._RemainderColsList"]
SIGNATURE = infer_signature(ROWS, MODEL.predict(ROWS))


def saved(folder: Path) -> tuple[Path, str]:
    """Store a model, and return where, and the body that asks it about its example."""
    mlflow.sklearn.save_model(MODEL, folder, signature=SIGNATURE, input_example=ROWS, pip_requirements=[])
    return folder, (folder / "serving_input_example.json").read_text()


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """See that no process is left that this one has forked, or that was started with what its environment says."""
    mark = f"MARK={tmp_path}"
    monkeypatch.setenv("MARK", str(tmp_path))
    before = children()
    yield
    assert children() <= before
    assert [pid for pid in processes() if mark.encode() in read(pid, "environ").split(b"\0")] == []


def processes() -> list[str]:
    """Return the numbers of all processes."""
    return [place.name for place in Path("/proc").glob("[0-9]*")]


def children() -> set[str]:
    """Return the numbers of this process's children."""
    parents = {pid: read(pid, "stat").rpartition(b")")[2].split()[1:2] for pid in processes()}
    return {pid for pid, parent in parents.items() if parent == [str(os.getpid()).encode()]}


def read(pid: str, name: str) -> bytes:
    """Return what the system says of a process; nothing of one that is gone, or somebody else's."""
    try:
        return (Path("/proc") / pid / name).read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
@pytest.mark.parametrize("server", ["engine", "mlflow"])
def test_a_model_is_served_and_nothing_is_left_of_its_server(server: str, tmp_path: Path):
    """Each request is answered as the model answers; time and memory are measured."""
    folder, body = saved(tmp_path / "model")
    found = serve_once(folder, body, server=server, requests=3, load_within_s=120)
    assert found.problem is None
    assert [each["predictions"] for each in found.bodies] == [MODEL.predict(ROWS).tolist()] * len(found.bodies)
    assert len(found.bodies) == len(found.latencies_s) + WARM_UP
    assert 3 <= len(found.latencies_s) == len(found.waited_s) <= ENOUGH
    assert all(waited >= 0 for waited in found.waited_s)
    assert found.load_s > 0
    assert found.peak_memory_bytes is not None
    assert found.peak_memory_bytes > 10_000_000


def test_what_is_started_for_the_first_request_is_loading(tmp_path: Path):
    """An example with a missing value is read by another process, which is started when one is asked for."""
    rows = ROWS.assign(city=["Oslo", None, "Rome", None])
    model = make_pipeline(make_column_transformer(("passthrough", ["x", "z"])), LogisticRegression())
    model.fit(rows, [0, 0, 1, 1])
    signature = infer_signature(rows, MODEL.predict(ROWS))
    mlflow.sklearn.save_model(
        model,
        tmp_path / "model",
        signature=signature,
        input_example=rows,
        pip_requirements=[],
        skops_trusted_types=TYPES,
    )
    body = (tmp_path / "model" / "serving_input_example.json").read_text()
    assert "NaN" in body
    found = serve_once(tmp_path / "model", body, server="engine", requests=5, load_within_s=120)
    assert found.problem is None
    assert len(found.latencies_s) >= 5
    assert max(found.latencies_s) < found.load_s / 2


def test_the_engine_serves_what_ships_code(tmp_path: Path):
    """It runs in a process of its own there, which ends with the engine."""
    (tmp_path / "twice.py").write_text(
        "import mlflow\n\n\nclass Twice(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n        return model_input.x.to_numpy() * 2\n\n\n"
        "mlflow.models.set_model(Twice())\n"
    )
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "beside.py").write_text("")
    folder = tmp_path / "model"
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(tmp_path / "twice.py"),
        code_paths=[str(tmp_path / "shipped")],
        signature=infer_signature(ROWS, ROWS.x.to_numpy()),
        input_example=ROWS,
        pip_requirements=[],
    )
    body = (folder / "serving_input_example.json").read_text()
    found = serve_once(folder, body, server="engine", requests=1, load_within_s=120)
    assert found.problem is None
    assert found.bodies[0]["predictions"] == [0.0, 2.0, 4.0, 6.0]


def test_what_an_engine_would_not_put_in_place_is_said(tmp_path: Path):
    """A model whose example does not suit its signature is refused while it is prepared."""
    folder, body = saved(tmp_path / "model")
    (folder / "input_example.json").write_text('{"columns": ["x", "z"], "data": [["no", "number"]]}')
    found = serve_once(folder, body, server="engine", requests=1, load_within_s=120)
    assert found.problem is not None
    assert "ended by itself: the model cannot be loaded: " in found.problem


def test_a_server_that_takes_too_long_is_stopped(tmp_path: Path):
    """Whatever it is doing then."""
    folder, body = saved(tmp_path / "model")
    found = serve_once(folder, body, server="engine", requests=1, load_within_s=0.001)
    assert found.problem == "the scoring server did not answer within 0.001 s"


def test_a_request_that_is_refused_is_said_with_its_answer(tmp_path: Path):
    """Status and words are the engine's."""
    folder, _ = saved(tmp_path / "model")
    found = serve_once(folder, '{"inputs": "no"}', server="engine", requests=1, load_within_s=120)
    assert found.problem is not None
    assert found.problem.startswith("the scoring server answers the input example with 400: ")
