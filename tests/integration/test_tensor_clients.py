"""Triton's and KServe's own clients, unmodified, each in an environment of its own, score on a real engine."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from mlflow import MlflowClient

from slipway.serving.protocols.oip.descriptor import DESCRIPTOR
from tests.conftest import missing
from tests.integration.test_grpc import ask, batch_of
from tests.servers.processes import environment, wait_for
from tests.servers.served import Served
from tests.servers.tensor_models import BATCH, NUMBERS, invoked

pytestmark = pytest.mark.xdist_group("tensors")
CLIENTS = Path(__file__).parent.parent / "clients"
PAGE = Path(__file__).parent.parent.parent / "docs" / "protocols.md"
# Their pins (protobuf, ml-dtypes, pandas < 3) are none that the engine could have beside its own.
TRITON, KSERVE = "tritonclient[http,grpc]==2.73.0", "kserve==0.21.0"


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


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a Python that has Triton's client."""
    return python_with(TRITON, tmp_path_factory.mktemp("triton") / "env")


@pytest.mark.parametrize(("model", "batch"), [("mixed", BATCH), ("cancer", NUMBERS)])
def test_tritons_client_is_answered_as_invocations_is(tensor_engine: Served, triton: str, model: str, batch: Any):
    """Both its forms, by JSON and by bytes, compressed either way and not; labels and probabilities in one answer."""
    told = said_by(triton, "triton", tensor_engine.url.removeprefix("http://"), model, json.dumps(batch))
    labels, shares = invoked(tensor_engine, model, batch), invoked(tensor_engine, model, batch, method="predict_proba")
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


@pytest.mark.parametrize(("model", "batch"), [("mixed", BATCH), ("cancer", NUMBERS)])
def test_tritons_client_for_grpc_is_answered_alike(tensor_engine: Served, triton: str, model: str, batch: Any):
    """All its forms but streams, compressed and not, with a deadline; labels and probabilities in one answer."""
    told = said_by(triton, "triton_grpc", tensor_engine.grpc, model, json.dumps(batch))
    labels, shares = invoked(tensor_engine, model, batch), invoked(tensor_engine, model, batch, method="predict_proba")
    expected = ["mine", "1", labels, shares]
    assert told["sync"]["answers"] == [expected] * 4
    assert told["asyncio"] == {"live": [True] * 3, "answers": [expected] * 4}
    assert told["sync"]["version"] == told["sync"]["later"] == expected
    assert told["sync"]["live"] == [True] * 3
    assert told["sync"]["server"] == "slipway"
    assert told["sync"]["inputs"] == [[name, datatype] for name, (datatype, _) in batch.items()]
    status, message = told["sync"]["refused"]
    assert status == "StatusCode.INVALID_ARGUMENT"
    assert message.startswith(f"missing inputs '{next(iter(batch))}'")
    assert told["sync"]["absent"][0] == "StatusCode.NOT_FOUND"
    assert told["stream"][0] == "StatusCode.UNIMPLEMENTED"


def test_every_field_is_that_of_tritons_client(triton: str):
    """By its name, number, type and kind; Triton has calls and messages beside those of the protocol."""
    told = json.loads(subprocess.check_output((triton, str(CLIENTS / "triton_descriptor.py")), text=True))
    theirs = fields_of([bytes.fromhex(each) for each in told])
    ours = fields_of([DESCRIPTOR])
    assert len(ours) > 60
    assert {name: theirs.get(name) for name in ours} == ours


def fields_of(files: Any) -> dict[str, Any]:
    """Return each field of each message, and each call."""
    found: dict[str, Any] = {}
    for content in files:
        file = FileDescriptorProto.FromString(content)
        for service in file.service:
            found |= {f"{service.name}/{each.name}": (each.input_type, each.output_type) for each in service.method}
        waiting = [(file.package, each) for each in file.message_type]
        while waiting:
            within, message = waiting.pop()
            name = f"{within}.{message.name}"
            waiting += [(name, each) for each in message.nested_type]
            for each in message.field:
                packed = each.options.packed if each.options.HasField("packed") else None
                found[f"{name}.{each.name}"] = (each.number, each.type, each.label, each.type_name, packed)
    return found


def test_the_clients_lines_on_the_page_run(tensor_engine: Served, triton: str):
    """As they stand in docs/protocols.md."""
    lines = [line.strip() for line in PAGE.read_text().splitlines() if line.startswith("    ")]
    code = "\n".join(line for line in lines if not line.startswith(("curl", "slipway", "pip")))
    code = code.replace("127.0.0.1:8080", tensor_engine.url.removeprefix("http://"))
    code = code.replace("127.0.0.1:9000", tensor_engine.grpc)
    done = subprocess.run((triton, "-c", code), check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert [line[:2] for line in done.stdout.splitlines() if line.startswith("[[")] == ["[["] * 2


@pytest.mark.long
def test_kserves_client_is_answered(tensor_engine: Served, tmp_path: Path):
    """By V2 in JSON and in bytes, and by V1."""
    told = said_by(python_with(KSERVE, tmp_path / "env"), "kserve", tensor_engine.url, "matrix")
    answer = ["mine", "matrix", [1, 0]]
    assert told == {"v2": [True, True, True, answer, answer], "v1": [True, True, {"predictions": [1, 0]}]}


class Caller:
    """A client that asks for ever, and stops at what is no answer."""

    def __init__(self, address: str) -> None:
        self.versions: Counter[str] = Counter()
        self.ended_by: grpc.RpcError | None = None
        self.address = address
        self.thread = threading.Thread(target=self.ask_for_ever)

    def ask_for_ever(self) -> None:
        """Ask, and note who answered."""
        request = batch_of(NUMBERS, "cancer", is_raw=True)
        with grpc.insecure_channel(self.address) as channel:
            while self.ended_by is None:
                try:
                    self.versions[ask(channel, "ModelInfer", request)[1]["x-slipway-version"]] += 1
                except grpc.RpcError as error:
                    self.ended_by = error


def test_no_call_fails_over_a_swap_and_a_stop(tensor_engine: Served):
    """The last test here: callers are answered until nobody listens any more, and none is told of a cancelled call."""
    callers = [Caller(tensor_engine.grpc) for _ in range(8)]
    for caller in callers:
        caller.thread.start()
    wait_for(lambda: all(caller.versions["1"] > 5 for caller in callers), within_s=60, log=tensor_engine.log)
    MlflowClient(tensor_engine.store, tensor_engine.store).set_registered_model_alias("cancer", "production", "2")
    wait_for(lambda: all(caller.versions["2"] > 5 for caller in callers), within_s=60, log=tensor_engine.log)
    os.kill(tensor_engine.pid, signal.SIGTERM)
    for caller in callers:
        caller.thread.join(60)
    os.waitid(os.P_PID, tensor_engine.pid, os.WEXITED | os.WNOWAIT)  # it is not asked to stop once more while it does
    assert {caller.ended_by.code() for caller in callers} == {grpc.StatusCode.UNAVAILABLE}
    assert all("Connection refused" in caller.ended_by.details() for caller in callers)
