"""What a call over gRPC costs, beside a handler of the same library that answers with fixed bytes."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import mlflow

from benchmarks.measure import ROOT, markdown_table
from slipway.serving.protocols.oip.messages import SERVICE
from tests.generators.tensor_requests import Column, message_of
from tests.servers.processes import free_port, process
from tests.servers.served import registered, serving

SECONDS, ROUNDS = 3.0, 3
CALLERS = (1, 16, 64)
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
# An address, and the processes whose time is counted.
Server = tuple[str, list[int]]


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        registered("cancer")
        row = Column(name="input-0", datatype="FP64", shape=[1, 2], values=[1.0, 2.0], is_binary=True)
        request = message_of([row], is_raw=True).SerializeToString()
        found: dict[str, list[list[tuple[float, float]]]] = {}
        with _engine(folder) as ours:
            answer = _answer(ours[0], request)
            with _bare(folder, answer) as bare:
                for _ in range(ROUNDS):
                    for label, server in (("the engine", ours), ("a bare handler", bare)):
                        found.setdefault(label, []).append([_measured(server, request, n) for n in CALLERS])
    head = ["", *(f"{n} at once: calls a second, \u00b5s of CPU a call" for n in CALLERS)]
    rows = [[label, *map(_told, zip(*rounds, strict=True))] for label, rounds in found.items()]
    words = "One row of two numbers, raw, on one connection; the bare handler is gRPC's library on the same event loop."
    return f"## Calls over gRPC, one worker\n\n{words}\n\n{markdown_table(head, rows)}"


def _told(rounds: tuple[tuple[float, float], ...]) -> str:
    rate, cpu = (statistics.median(each) for each in zip(*rounds, strict=True))
    return f"{rate:.0f}, {cpu * 1e6:.0f}"


@contextmanager
def _engine(folder: Path) -> Iterator[Server]:
    port = free_port()
    with serving(folder, "cancer@production", "--grpc-port", str(port)) as served:
        yield f"127.0.0.1:{port}", served.children()


@contextmanager
def _bare(folder: Path, answer: bytes) -> Iterator[Server]:
    port = free_port()
    words = (sys.executable, "-m", "benchmarks.apps.bare_grpc", str(port), answer.hex())
    with process(*words, folder=folder, log=folder / "bare.log", PYTHONPATH=str(ROOT)) as started:
        yield f"127.0.0.1:{port}", [started.pid]


def _answer(address: str, request: bytes) -> bytes:
    with grpc.insecure_channel(address) as channel:
        call: Callable[..., bytes] = channel.unary_unary(f"/{SERVICE}/ModelInfer")
        return call(request, timeout=60)


def _measured(server: Server, request: bytes, callers: int) -> tuple[float, float]:
    """Return calls a second, and the server's CPU for each in seconds."""
    address, pids = server
    before = sum(map(_cpu_s, pids))
    words = (sys.executable, "-m", "benchmarks.grpc_load", address, request.hex(), str(callers), str(SECONDS))
    said = subprocess.check_output(words, cwd=ROOT, text=True)
    count, seconds = json.loads(said.strip().splitlines()[-1])
    return count / seconds, (sum(map(_cpu_s, pids)) - before) / count


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S
