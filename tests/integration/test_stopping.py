"""How an engine stops: no client is reset, a closed terminal stops none that was started to outlive it."""

import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient

from tests.servers.processes import answers, free_port, process, wait_for
from tests.servers.served import Served, registered, serving

CLIENTS = 16
BODY = json.dumps({"inputs": [[1.0, 2.0]]}).encode()


class Client:
    """A client that keeps its connection and asks for ever, until it is refused one."""

    def __init__(self, port: int) -> None:
        self.answers = self.announced = 0
        self.ended_by: list[Exception] = []
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.thread = threading.Thread(target=self.ask_for_ever)

    def ask_for_ever(self) -> None:
        """Ask, and note with what it ends."""
        try:
            while True:
                self.connection.request("POST", "/invocations", BODY, {"Content-Type": "application/json"})
                response = self.connection.getresponse()
                assert len(json.loads(response.read())["predictions"]) == 1
                self.answers += 1
                self.announced += response.will_close
        except Exception as error:
            self.ended_by.append(error)


def test_no_client_is_reset_when_an_engine_stops(store: Path):
    """Each is answered until the end of its connection is announced, and is refused a new one in the end."""
    registered("model")
    with serving(store, "model@production", "--workers", "2") as served:
        clients = [Client(served.port) for _ in range(CLIENTS)]
        for client in clients:
            client.thread.start()
        wait_for(lambda: all(client.answers > 20 for client in clients), within_s=60, log=served.log)
        os.kill(served.pid, signal.SIGTERM)
        for client in clients:
            client.thread.join(30)
        os.waitid(os.P_PID, served.pid, os.WEXITED | os.WNOWAIT)  # it is not asked to stop once more while it does
    assert [type(error) for client in clients for error in client.ended_by] == [ConnectionRefusedError] * CLIENTS
    assert all(client.announced > 0 for client in clients)


@pytest.mark.parametrize("started_by", [("nohup",), ()])
def test_a_closed_terminal_stops_an_engine_unless_it_was_told_not_to(store: Path, started_by: tuple[str, ...]):
    """Its processes get the signal together; the workers leave it to the supervisor."""
    port, log = free_port(), store / "serve.log"
    words = (*started_by, sys.executable, "-m", "slipway", "serve", "--port", str(port))
    with process(*words, folder=store, log=log) as started:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/live"), within_s=60, log=log)
        for worker in Served(port, log, started.pid).children():
            os.kill(worker, signal.SIGHUP)
        time.sleep(0.5)
        assert "ended with status" not in log.read_text()
        os.killpg(started.pid, signal.SIGHUP)
        if started_by:
            time.sleep(1.5)
            assert answers(f"http://127.0.0.1:{port}/live")
            started.send_signal(signal.SIGTERM)
        assert started.wait(30) == 0, log.read_text()[-2000:]


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_address_of_ipv6_is_shown_as_clients_take_it(store: Path, host: str):
    """In brackets, so that what is shown can be asked."""
    log = store / "serve.log"
    words = (sys.executable, "-m", "slipway", "serve", "--host", host, "--port", "0")
    with process(*words, folder=store, log=log):
        wait_for(lambda: "/ready" in log.read_text(), within_s=60, log=log)
        shown = re.search(r"health (http://\[::1\]:[0-9]+)/ready", log.read_text())
        assert shown, log.read_text()
        wait_for(lambda: answers(f"{shown[1]}/live"), within_s=60, log=log)


def test_an_engine_ends_though_its_registry_does_not_answer(store: Path):
    """What waits for it in a thread, for minutes and with tries of its own, keeps nobody."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port, log = free_port(), store / "serve.log"
        words = (sys.executable, "-m", "slipway", "serve", "m@production", "--port", str(port))
        away = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with process(*words, folder=store, log=log, MLFLOW_TRACKING_URI=away) as started:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/live"), within_s=60, log=log)
            started.send_signal(signal.SIGTERM)
            assert started.wait(30) == 0


def test_an_engine_where_no_store_is_says_so_and_makes_none(tmp_path: Path):
    """It was started in another folder than was meant, or before anything is there."""
    with serving(tmp_path, "m@production", ready=False) as served:
        assert f"there is no store here: {tmp_path / 'mlflow.db'}" in served.log.read_text()
    assert not (tmp_path / "mlflow.db").exists()


def test_ctrl_c_ends_an_engine_with_models_in_processes_of_their_own(store: Path):
    """It reaches each of them at once: none says more than that, and none is left."""
    example = pd.DataFrame({"a": [1.0, -1.0]})
    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            python_model=lambda model_input: model_input["a"] > 0,
            name="model",
            input_example=example,
            registered_model_name="apart",
            pip_requirements=["mlflow"],
        )
    MlflowClient().set_registered_model_alias("apart", "production", "1")
    registered("compiled")
    port, log = free_port(), store / "serve.log"
    words = (sys.executable, "-m", "slipway", "serve", "apart@production", "compiled@production", "--port", str(port))
    with process(*words, folder=store, log=log) as started:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/ready"), within_s=180, log=log)
        assert Served(port, log, started.pid).model("apart")["runner"]["kind"] == "isolated"
        session = processes_of(started.pid)
        assert any("isolated_child" in words for words in session.values())
        os.killpg(started.pid, signal.SIGINT)
        assert started.wait(30) == 0, log.read_text()[-2000:]
        assert processes_of(started.pid) == {}
    assert not re.search("Traceback|KeyboardInterrupt|leaked", log.read_text())


def processes_of(session: int) -> dict[int, str]:
    """Return the processes of a session with their command lines; those that ended are none."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, in_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if in_session == str(session) and state != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text()
    return found
