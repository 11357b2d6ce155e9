"""`slipway up` for real: it serves what is in production, follows it, and leaves no process behind."""

import os
import signal
import sys
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient
from sklearn.dummy import DummyClassifier

from tests.servers.processes import answers, free_port, post, process, wait_for

pytestmark = pytest.mark.slow
ROWS = '{"dataframe_split": {"columns": ["x"], "data": [[1.0]]}}'


def register(says: int) -> None:
    """Register a version that always says the same."""
    model = DummyClassifier(strategy="constant", constant=says).fit([[0.0], [1.0]], [says, says + 1])
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="m", registered_model_name="m", pip_requirements=["mlflow"])


def alive_in_session(leader: int) -> list[str]:
    """Return the processes whose group or session the leader made, or whose parent it is, from /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, parent, group, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z" and leader in (int(parent), int(group), int(session)):
            found.append((entry / "cmdline").read_text())
    return found


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_production_is_served_followed_and_stopped(store: Path):
    """The new version answers after the alias moved; after Ctrl-C nothing runs, and the status is 0."""
    register(1)
    register(2)
    MlflowClient().set_registered_model_alias("m", "production", "1")
    ui, scoring = free_port(), free_port()
    words = (sys.executable, "-m", "slipway", "up", "--port", str(ui), "--scoring-port", str(scoring))
    log = store / "up.log"
    with process(*words, folder=store, log=log) as up:
        wait_for(lambda: "/invocations" in log.read_text(), within_s=120, log=log)
        assert answers(f"http://127.0.0.1:{ui}/")
        url = f"http://127.0.0.1:{scoring}/models/m/invocations"
        assert f"m/1  {url}" in log.read_text()
        assert post(url, ROWS) == '{"predictions":[1]}'
        MlflowClient().set_registered_model_alias("m", "production", "2")
        wait_for(lambda: f"m/2  {url}" in log.read_text(), within_s=180, log=log)
        assert post(url, ROWS) == '{"predictions":[2]}'
        sessions = children_of(up.pid)
        assert len(sessions) == 2
        os.kill(up.pid, signal.SIGINT)
        assert up.wait(30) == 0
        assert [alive_in_session(leader) for leader in sessions] == [[], []]
    assert log.read_text().splitlines()[-1] == "stopped"


def test_a_taken_port_is_said_and_nothing_is_started(store: Path):
    """Before any process."""
    port = free_port()
    holder = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port))
    with process(*holder, folder=store, log=store / "holder.log"):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/"), within_s=20)
        log = store / "up.log"
        with process(sys.executable, "-m", "slipway", "up", "--port", str(port), folder=store, log=log) as up:
            assert up.wait(30) == 1
        assert f"error: port {port} on 127.0.0.1 cannot be used" in log.read_text()
        assert not (store / ".slipway").exists()


def test_a_model_that_cannot_be_loaded_is_shown_and_stops_no_other(store: Path):
    """What is wrong with it is on the terminal; the others serve."""
    register(1)
    MlflowClient().set_registered_model_alias("m", "production", "1")
    for stored in store.glob("mlruns/0/models/*/artifacts/model.*"):
        stored.write_bytes(b"broken")
    register(2)
    MlflowClient().copy_model_version("models:/m/2", "other")
    MlflowClient().set_registered_model_alias("other", "production", "1")
    log, scoring = store / "up.log", free_port()
    words = (sys.executable, "-m", "slipway", "up", "--port", str(free_port()), "--scoring-port", str(scoring))
    with process(*words, folder=store, log=log) as up:
        wait_for(lambda: "/invocations" in log.read_text(), within_s=120, log=log)
        assert post(f"http://127.0.0.1:{scoring}/models/other/invocations", ROWS) == '{"predictions":[2]}'
        wait_for(lambda: "warning: m/1 cannot be served" in log.read_text(), within_s=20, log=log)
        os.kill(up.pid, signal.SIGTERM)
        assert up.wait(30) == 0
    assert not alive_in_session(up.pid)
