"""The slow lane with its real process: order, crowds, cancellation, crashes, and what it makes of requests."""

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.models import Model, ModelSignature
from mlflow.types import ParamSpec, Schema, TensorSpec

from slipway.registry.errors import Corrupt, InvalidInput, Unavailable
from slipway.registry.signature import Field
from slipway.serving.protocols.mlflow.content_type import BodyKind
from slipway.serving.runtimes.columns import Columns
from slipway.serving.runtimes.understood import Understood
from slipway.serving.slow_lane.lane import Lane
from slipway.serving.slow_lane.mlflow_lane import MOST_MEMORY_BYTES
from slipway.serving.table import Table
from tests.generators.probe import told
from tests.generators.scoring_requests import case
from tests.servers.processes import wait_for

ROOT = Path(__file__).parent.parent.parent
BODY = b'{"dataframe_split": {"columns": ["b", "a"], "data": [["x", NaN], ["y", 2]]}}'


class Running:
    """A lane and the event loop that it lives on."""

    def __init__(self, **settings: Any) -> None:
        self.runner = asyncio.Runner()
        self.lane = Lane(**settings)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, 120))

    def end(self) -> None:
        self.run(self.lane.close())
        self.runner.close()


def running(**settings: Any) -> Running:
    made = Running(**settings)
    made.run(made.lane.start())
    made.run(made.lane.ready())
    return made


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    made = running(most_waiting=3)
    yield made
    made.end()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return case([("a", "double"), ("b", "string")], ParamSpec("k", "long", 3)).store(tmp_path_factory.mktemp("model"))


def row(value: float) -> bytes:
    """Return a request of one row that holds a number."""
    return json.dumps({"dataframe_records": [{"a": value, "b": "x"}]}).encode()


async def until_waiting(lane: Lane, n: int) -> None:
    """Let the loop turn until so many requests wait."""
    while lane.n_waiting != n:
        await asyncio.sleep(0)


def test_a_request_of_columns_becomes_a_table(shared: Running, folder: Path):
    """MLflow's parsing is what decides: NaN is read, columns are put in order, parameters get their defaults."""
    parsed = shared.run(shared.lane.parse(folder, BODY, BodyKind.JSON))
    assert isinstance(parsed.rows, Table)
    np.testing.assert_array_equal(parsed.rows.numbers, [[np.nan], [2.0]])
    assert parsed.rows.others["b"].tolist() == ["x", "y"]
    assert (parsed.params, parsed.method, parsed.form) == ({"k": 3}, "predict", None)


def test_the_method_is_ours_to_read(shared: Running, folder: Path):
    """`method` never reaches the model's own parameters."""
    body = b'{"inputs": {"a": [1], "b": ["x"]}, "params": {"method": "predict_proba", "k": 7}}'
    parsed = shared.run(shared.lane.parse(folder, body, BodyKind.JSON))
    assert (parsed.params, parsed.method) == ({"k": 7}, "predict_proba")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (BodyKind.CSV, b"b,a\nx,\ny,2\n"),
        (BodyKind.PARQUET, pd.DataFrame({"a": [np.nan, 2.0], "b": ["x", "y"]}).to_parquet()),
        (BodyKind.FEATURES, b'{"features": [[NaN, "x"], [2, "y"]]}'),
    ],
    ids=["csv", "parquet", "features"],
)
def test_files_and_features_become_tables_too(shared: Running, folder: Path, kind: BodyKind, body: bytes):
    """Every form of request has the same lane."""
    table = shared.run(shared.lane.parse(folder, body, kind)).rows
    np.testing.assert_array_equal(table.numbers, [[np.nan], [2.0]])
    assert table.others["b"].tolist() == ["x", "y"]


def test_what_a_table_cannot_tell_comes_as_mlflows_own_frame(shared: Running, folder: Path):
    """Through the process, too: a CSV file's text is of another type than JSON's, and labels of rows are of any."""
    columns = Columns.of([Field(name="a", type="double"), Field(name="b", type="string")])
    dated = pd.DataFrame({"a": [1.0], "b": ["x"]}, index=pd.DatetimeIndex(["2026-01-01"], name="when"))
    csv = shared.run(shared.lane.parse(folder, b"b,a\nx,1\n,2\n", BodyKind.CSV)).rows
    parquet = shared.run(shared.lane.parse(folder, dated.to_parquet(), BodyKind.PARQUET)).rows
    assert told(columns.frame(csv)) == told(pd.read_csv(StringIO("a,b\n1.0,x\n2.0,\n"), dtype={"b": object}))
    assert told(columns.frame(parquet)) == told(pd.read_parquet(BytesIO(dated.to_parquet())))


def test_a_request_of_tensors_is_handed_on_as_mlflow_parsed_it(shared: Running, tmp_path: Path):
    """What is no table comes as the array that `PyFuncModel` takes."""
    tensors = Model(signature=ModelSignature(inputs=Schema([TensorSpec(np.dtype("float32"), (-1, 2))])))
    tensors.save(str(tmp_path / "MLmodel"))
    parsed = shared.run(shared.lane.parse(tmp_path, b'{"inputs": [[1, 2]]}', BodyKind.JSON))
    assert (parsed.rows.dtype, parsed.rows.tolist()) == (np.dtype("float32"), [[1.0, 2.0]])
    with pytest.raises(InvalidInput, match=r"Shape of input \(1, 3\) does not match expected shape \(-1, 2\)"):
        shared.run(shared.lane.parse(tmp_path, b'{"inputs": [[1, 2, 3]]}', BodyKind.JSON))


def test_a_refusal_names_the_field(shared: Running, folder: Path):
    """What MLflow refuses comes back as InvalidInput, in our words."""
    body = b'{"dataframe_records": [{"a": "s3cret", "b": "x"}]}'
    with pytest.raises(InvalidInput) as refusal:
        shared.run(shared.lane.parse(folder, body, BodyKind.JSON))
    assert refusal.value.to_document()["error"] == {
        "kind": "InvalidInput",
        "code": "wrong-input",
        "message": "column 'a' takes a number (double); row 1 has text that is no number",
        "hint": "the model takes a (double), b (string)",
    }


def test_a_model_without_description_is_corrupt(shared: Running, tmp_path: Path):
    """A folder that holds no model is not the caller's fault."""
    with pytest.raises(Corrupt):
        shared.run(shared.lane.parse(tmp_path, BODY, BodyKind.JSON))


def test_requests_are_answered_in_their_order(shared: Running, folder: Path):
    """Each caller gets its own answer, first come first served."""

    async def ask_three() -> list[tuple[int, float]]:
        finished: list[tuple[int, float]] = []

        async def ask(i: int) -> None:
            parsed = await shared.lane.parse(folder, row(i), BodyKind.JSON)
            finished.append((i, parsed.rows.numbers[0, 0]))

        await asyncio.gather(*(ask(i) for i in range(3)))
        return finished

    assert shared.run(ask_three()) == [(0, 0.0), (1, 1.0), (2, 2.0)]


def test_a_full_lane_refuses_at_once(shared: Running, folder: Path):
    """Beyond its queue the lane answers Unavailable, and those who wait are not disturbed."""

    async def crowd() -> list[Understood]:
        with stopped(shared.lane):
            first = asyncio.create_task(shared.lane.parse(folder, row(0), BodyKind.JSON))
            await until_waiting(shared.lane, 1)
            await until_waiting(shared.lane, 0)
            others = [asyncio.create_task(shared.lane.parse(folder, row(i), BodyKind.JSON)) for i in (1, 2, 3)]
            await until_waiting(shared.lane, 3)
            with pytest.raises(Unavailable) as full:
                await shared.lane.parse(folder, row(4), BodyKind.JSON)
            assert full.value.code == "slow-lane-full"
        return await asyncio.gather(first, *others)

    assert [parsed.rows.numbers[0, 0] for parsed in shared.run(crowd())] == [0, 1, 2, 3]


def test_a_caller_that_is_cancelled_gives_up_its_place(shared: Running, folder: Path):
    """Who waits may go, who is being served may go: neither keeps the others from their answers."""

    async def come_and_go() -> float:
        with stopped(shared.lane):
            served = asyncio.create_task(shared.lane.parse(folder, row(0), BodyKind.JSON))
            await until_waiting(shared.lane, 1)
            await until_waiting(shared.lane, 0)
            waits = asyncio.create_task(shared.lane.parse(folder, row(1), BodyKind.JSON))
            stays = asyncio.create_task(shared.lane.parse(folder, row(2), BodyKind.JSON))
            await until_waiting(shared.lane, 2)
            served.cancel()
            waits.cancel()
            await until_waiting(shared.lane, 1)
        return (await stays).rows.numbers[0, 0]

    assert shared.run(come_and_go()) == 2


def test_a_process_that_dies_is_followed_by_another(folder: Path):
    """The request that it was at gets an error, those that wait are served by the next process."""
    made = running()

    async def kill_it() -> float:
        before = made.lane.pid
        with stopped(made.lane):
            struck = asyncio.create_task(made.lane.parse(folder, row(0), BodyKind.JSON))
            await until_waiting(made.lane, 1)
            await until_waiting(made.lane, 0)
            waits = asyncio.create_task(made.lane.parse(folder, row(1), BodyKind.JSON))
            await until_waiting(made.lane, 1)
            os.kill(before, signal.SIGKILL)
            with pytest.raises(Unavailable) as died:
                await struck
        assert died.value.code == "slow-lane-died"
        answer = (await waits).rows.numbers[0, 0]
        assert made.lane.pid not in (None, before)
        return answer

    assert made.run(kill_it()) == 1
    made.end()


def test_a_process_that_dies_idle_is_replaced_before_it_is_missed():
    """Nobody has to ask for the next process to be started."""
    made = running()

    async def kill_it() -> None:
        before = made.lane.pid
        os.kill(before, signal.SIGKILL)
        while made.lane.pid in (None, before):
            await asyncio.sleep(0)
        await made.lane.ready()

    made.run(kill_it())
    made.end()


@pytest.mark.parametrize(
    "program", [(sys.executable, "-c", "raise SystemExit('no MLflow here')"), ("/nowhere/python",)]
)
def test_a_process_that_cannot_start_is_an_error_and_no_endless_loop(folder: Path, program: tuple[str, ...]):
    """Without a process, or where the system has no room for one, each request is refused, and each tries once more."""
    made = Running(program=program)
    made.run(made.lane.start())
    for _ in range(2):
        with pytest.raises(Unavailable, match="did not start"):
            made.run(made.lane.parse(folder, BODY, BodyKind.JSON))
    made.end()


def test_a_closed_lane_refuses_and_leaves_no_process(folder: Path):
    """Closing ends the process and answers who waits; a second call does nothing."""
    made = running()
    pid = made.lane.pid

    async def close_it() -> None:
        with stopped(made.lane):
            asked = [asyncio.create_task(made.lane.parse(folder, row(i), BodyKind.JSON)) for i in range(2)]
            await until_waiting(made.lane, 2)
            await until_waiting(made.lane, 1)
            await made.lane.close()
        for each in asked:
            with pytest.raises(Unavailable) as closed:
                await each
            assert closed.value.code == "slow-lane-closed"
        with pytest.raises(Unavailable):
            await made.lane.parse(folder, BODY, BodyKind.JSON)

    made.run(close_it())
    assert not Path(f"/proc/{pid}").exists()
    made.end()


PARENT = """
import asyncio
from slipway.serving.slow_lane.lane import Lane

async def live():
    lane = Lane()
    await lane.start()
    await lane.ready()
    print(lane.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(live())
"""


def test_the_process_dies_with_its_parent():
    """A worker that is killed leaves no process behind, even where the lane is busy."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, cwd=ROOT)
    pid = int(parent.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or state_of(pid) == "Z", within_s=10)


def state_of(pid: int) -> str:
    """Return the state of a process: Z for one that is dead and not yet collected."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class stopped:
    """Keep the lane's process from working, so that what is put to it is in flight for as long as the test wants."""

    def __init__(self, lane: Lane) -> None:
        self.pid = lane.pid

    def __enter__(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        if Path(f"/proc/{self.pid}").exists():
            os.kill(self.pid, signal.SIGCONT)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by what Linux counts")
def test_a_request_that_takes_all_memory_is_refused_and_the_lane_goes_on(folder: Path):
    """What nothing foretells ends at the limit of the process: with an answer for who sent it, and no other process."""
    made = running()
    pid = made.lane.pid
    most, hard = resource.prlimit(pid, resource.RLIMIT_DATA)
    assert 0 < most < 4 * 2**30
    resource.prlimit(pid, resource.RLIMIT_DATA, (most - MOST_MEMORY_BYTES + 2**26, hard))
    with pytest.raises(InvalidInput) as refusal:
        made.run(made.lane.parse(folder, b'{"inputs":[' + b",".join([b"[]"] * 1_000_000) + b"]}", BodyKind.JSON))
    assert refusal.value.code == "unpacks-too-large"
    assert made.run(made.lane.parse(folder, BODY, BodyKind.JSON)).rows.n_rows == 2
    assert made.lane.pid == pid
    made.end()
