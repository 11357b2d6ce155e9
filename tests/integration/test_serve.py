"""`slipway serve`: started as its user starts it, followed through the registry's moves, outages and ends."""

import json
import os
import shutil
import signal
import sys
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.models import validate_serving_input
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from tests.servers.processes import answers, process, wait_for
from tests.servers.served import Served, serving

TREES = ["sklearn.tree._tree.Tree"]
ROWS: pd.DataFrame = load_iris(as_frame=True).data
BODY = json.dumps({"dataframe_split": ROWS.head(3).to_dict(orient="split", index=False)}).encode()


def own_model() -> mlflow.pyfunc.PythonModel:
    """Return a model of one's own, stored with its class: what a server imports is not this file."""

    class Own(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            if (model_input.iloc[:, 0] < 0).any():
                raise RuntimeError("no negative petals")
            return [params["word"]] * len(model_input)

    return Own()


def train(seed: int) -> RandomForestClassifier:
    """Register a forest as the next version of iris, and return it."""
    forest = RandomForestClassifier(7, random_state=seed).fit(ROWS, load_iris().target)
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            forest,
            name="model",
            input_example=ROWS.head(2),
            registered_model_name="iris",
            skops_trusted_types=TREES,
            pip_requirements=["scikit-learn"],
        )
    return forest


def point(number: int, model: str = "iris") -> None:
    """Move the alias."""
    MlflowClient().set_registered_model_alias(model, "production", str(number))


def test_an_engine_follows_its_stage_through_all_that_happens(store: Path):
    """Swaps, a way back, a broken version, dead workers, a registry that is gone, and a restart without it."""
    forests = {1: train(1), 2: train(2), 3: train(3)}
    point(1)
    with serving(store, "iris@production", "--workers", "2") as served:
        status, document, headers = served.ask("/invocations", BODY)
        assert (status, document) == (200, {"predictions": forests[1].predict(ROWS.head(3)).tolist()})
        assert (headers["x-slipway-model"], headers["x-slipway-version"]) == ("iris", "1")
        assert headers["x-request-id"]
        runner = served.model()["runner"]
        assert runner["kind"] == "compiled"
        assert "answered as by scikit-learn" in runner["reason"]

        client = ScoringServerClient("127.0.0.1", served.port)
        client.wait_server_ready()
        np.testing.assert_array_equal(client.invoke(ROWS).get_predictions().to_numpy()[:, 0], forests[1].predict(ROWS))

        point(2)
        served.wait_for_version(2)
        assert served.ask("/invocations", BODY)[2]["x-slipway-version"] == "2"
        point(1)
        assert served.ask("/admin/refresh", b"{}")[1]["models"][0]["version"] == 1, "a look at once, and it was warm"

        broken = Path(mlflow.artifacts.download_artifacts("models:/iris/3"))
        for file in broken.glob("*.skops"):
            file.write_bytes(b"no model")
        point(3)
        wait_for(lambda: served.model()["problem"], within_s=120, log=served.log)
        assert served.model()["version"] == 1
        assert "iris/3 cannot be served" in served.model()["problem"]
        assert served.ask("/ready")[0] == 200
        assert 'slipway_target_problem{model="iris",stage="production"}' in metrics(served)

        point(1)
        assert served.ask("/admin/refresh", b"{}")[1]["models"][0]["problem"] is None, "what is serving is wanted again"
        for worker in served.children():
            os.kill(worker, signal.SIGKILL)
        wait_for(lambda: answers(f"{served.url}/ready"), within_s=60, log=served.log)
        assert served.ask("/invocations", BODY)[0] == 200

        shutil.move(store / "mlflow.db", store / "gone.db")
        shutil.move(store / "mlruns", store / "gone")
        wait_for(lambda: "the registry cannot be read" in served.log.read_text(), within_s=30, log=served.log)
        assert served.ask("/invocations", BODY)[0] == 200
    with serving(store, "iris@production", name="again") as served:
        assert served.model()["version"] == 1
        assert served.ask("/invocations", BODY)[1] == {"predictions": forests[1].predict(ROWS.head(3)).tolist()}
    assert not (store / "mlflow.db").exists(), "looking must not make an empty database"


def metrics(served: Served) -> str:
    """Return the exposition."""
    with urllib.request.urlopen(f"{served.url}/metrics", timeout=10) as response:
        return response.read().decode()


def test_any_model_is_answered_and_wrong_requests_are_told_what_is_wrong(store: Path):
    """A pyfunc of one's own with parameters; every refusal in one shape, and none repeats what was sent."""
    signature = mlflow.models.infer_signature(ROWS.head(2), ["word"], params={"word": "hello"})
    with mlflow.start_run():
        logged = mlflow.pyfunc.log_model(
            name="model",
            python_model=own_model(),
            signature=signature,
            input_example=(ROWS.head(2), {"word": "hi"}),
            registered_model_name="own",
            pip_requirements=["mlflow"],
        )
    train(1)
    point(1)
    point(1, "own")
    with serving(store) as served:
        assert {each["name"] for each in served.ask("/models")[1]["models"]} == {"iris", "own"}
        body = json.dumps({**json.loads(BODY), "params": {"word": "hey"}}).encode()
        assert served.ask("/models/own/invocations", body)[1] == {"predictions": ["hey"] * 3}
        assert served.ask("/models/own@production/predict", b'{"features": [1, 2, 3, 4]}')[1] == {
            "predictions": ["hello"]
        }
        sent = b'{"features": [-1, 2, 3, 4]}'
        status, document, headers = served.ask("/models/own/predict", sent)
        assert (status, document["error"]["code"]) == (500, "model-failed")
        assert document["error"]["request_id"] == headers["x-request-id"]
        assert "petals" not in json.dumps(document)
        wrong = [
            ("/models/iris/predict", b'{"features": [1, 2, 3]}', "application/json", 400, "wrong-input"),
            ("/models/iris/predict", b'{"features": ["secret", 2, 3, 4]}', "application/json", 400, "wrong-input"),
            ("/models/iris/invocations", b"{secret", "application/json", 400, "wrong-input"),
            ("/models/iris/invocations", b"secret", "text/xml", 415, "wrong-content-type"),
            ("/models/other/invocations", BODY, "application/json", 404, "unknown-model"),
            ("/invocations", BODY, "application/json", 404, "which-model"),
            ("/models/iris/predict", b" " * 65 * 2**20, "application/json", 413, "body-too-large"),
        ]
        for path, body, kind, status, code in wrong:
            found, document, _ = served.ask(path, body, kind)
            assert (found, document["error"]["code"]) == (status, code), document
            assert "secret" not in json.dumps(document)
        assert served.ask("/models/iris/predict", BODY[:-1] + b',"params":{"method":"predict_proba"}}')[0] == 400
        probabilities = b'{"features": [[5.1, 3.5, 1.4, 0.2]], "params": {"method": "predict_proba"}}'
        (row,) = served.ask("/models/iris/predict", probabilities)[1]["predictions"]
        assert sum(row) == pytest.approx(1)
        shown = slipway_status(store)
        assert f"iris in production is served by {served.url}: 1 since " in shown
    assert validate_serving_input(logged.model_uri, BODY.decode()) is not None


def slipway_status(folder: Path) -> str:
    """Return what `slipway status` says."""
    log = folder / "status.log"
    with process(sys.executable, "-m", "slipway", "status", folder=folder, log=log) as status:
        assert status.wait(120) == 0
    return log.read_text()
