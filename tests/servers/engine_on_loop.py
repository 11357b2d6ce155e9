"""The real supervisor with real workers, in a thread of the test: its registry is what the test says."""

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Collection, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from slipway.registry.artifacts.artifact_cache import FILES, ArtifactCache
from slipway.registry.errors import Unavailable
from slipway.registry.manifest import manifest_of
from slipway.registry.versions.aliases import AliasHolder
from slipway.registry.versions.occupants import StageView
from slipway.serving.preparation.prepared import Prepared, PreparedVersions
from slipway.serving.runtimes.prepare import prepare_runner
from slipway.serving.settings import ServingSettings
from slipway.serving.supervision.following import Seen
from slipway.serving.supervision.supervisor import Supervisor, only_stable
from slipway.serving.supervision.worker_plan import plan_of
from slipway.serving.supervision.worker_pool import StartedWorker, WorkerPool
from slipway.serving.target import Target, Variant
from slipway.serving.transports.names import HTTP
from tests.doubles.fakes import FakeHeartbeats
from tests.doubles.lines_transport import LINES

ROOT = Path(__file__).parents[2]
FAULTY = ("env", f"PYTHONPATH={ROOT}", sys.executable, "-P", "-m", "tests.servers.faulty_worker")
REGISTRY = "a registry"
BODY = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[0.0, 0.0]]}}).encode()


def make_version(number: int, folder: Path) -> Prepared:
    """Store and prepare a version of whose answers the number is one."""
    rows = pd.DataFrame({"a": [0.0, 1.0, 0.0, 1.0], "b": [0.0, 1.0, 0.1, 0.9]})
    model = LogisticRegression().fit(rows, np.array([number, number + 100] * 2))
    stored, runner = folder / f"model-{number}", folder / f"runner-{number}"
    signature = infer_signature(rows, model.predict(rows))
    mlflow.sklearn.save_model(model, str(stored), signature=signature, pip_requirements=[], input_example=rows.head(1))
    prepare_runner(stored, runner, accelerate=True, rows=None)
    return Prepared(
        identity=f"default/{number}",
        number=number,
        digest=manifest_of(stored).digest,
        folder=str(stored),
        runner=str(runner),
        runner_digest=manifest_of(runner).digest,
    )


def _copied(folder: Path, into: Path) -> None:
    shutil.copytree(folder, into, dirs_exist_ok=True)


def _listener() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    listener.set_inheritable(True)
    return listener


class Told:
    """A registry that shows what a test says; `away` while it cannot be read."""

    def __init__(self) -> None:
        self.holds: dict[str, int] = {}
        self.away = False
        self.has_history = True

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the models that have a version in the stage."""
        self._require_there()
        return tuple(self.holds)

    def look(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StageView]:
        """Return what is in the stage."""
        self._require_there()
        return {each: _view(self.holds[each[0]]) for each in wanted if each[0] in self.holds}

    def _require_there(self) -> None:
        if self.away:
            raise Unavailable("nobody is there", code="registry-away", hint=None)


def _view(number: int) -> StageView:
    held = AliasHolder(number=number, identity=f"default/{number}")
    return StageView(holder=held, occupant=held, number=number, is_recorded=True)


@dataclass(frozen=True, slots=True)
class Scored:
    """An answer: its status, the version and variant that it names, and the version that it came from."""

    status: int
    version: int | None
    variant: str | None
    label: int | None


class EngineOnLoop:
    """A running engine. It follows what comes into production, or what is named; `candidates` is model → number."""

    def __init__(self, folder: Path, versions: Mapping[int, Prepared], *, workers: int, named: tuple[str, ...] = ()):
        self.registry = Told()
        self.heartbeats = FakeHeartbeats()
        self.candidates: dict[str, int] = {}
        self.folder, self._versions, self._n_workers = folder, versions, workers
        self._faults = folder / "faults.json"
        self._faults.write_text("{}")
        os.environ["SLIPWAY_TEST_FAULTS"] = str(self._faults)
        self.cache = folder / "cache"
        index = PreparedVersions(self.cache, registry=REGISTRY, accelerate=True)
        files = ArtifactCache(self.cache / FILES, max_bytes=2**30)
        for prepared in versions.values():
            _, kept = files.adopt(partial(_copied, Path(prepared.folder)))
            index.keep(replace(prepared, folder=str(kept)))
        self._settings = ServingSettings(
            cache=self.cache, poll_s=0.1, drain_s=0, stop_within_s=5, targets=named, workers=workers
        )
        self._listeners = {HTTP: _listener(), LINES: _listener()}
        self.port = self._listeners[HTTP].getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.supervisor: Supervisor
        self.pool: WorkerPool

    def __enter__(self) -> "EngineOnLoop":
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        for listener in self._listeners.values():
            listener.close()

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the supervisor's loop."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(120)

    async def _start(self) -> None:
        targets = [Target(*name.rsplit("@", 1)) for name in self._settings.targets]
        self.supervisor = Supervisor(
            targets,
            self._settings,
            engine="e",
            address="http://e",
            registry=REGISTRY,
            stage_views=self.registry,  # type: ignore[arg-type]
            heartbeats=self.heartbeats,
            decided_at_server=False,
            variants=self._variants,
        )
        self.supervisor._placing._prove = self._prove
        self._pids: set[int] = set()
        self.pool = WorkerPool(
            self._listeners,
            plan_of(self._settings),
            answer=self.supervisor.answer,
            complete=self._complete,
            program=FAULTY,
        )
        self.supervisor.employ(self.pool)
        await self.pool.start(self._n_workers)
        self._following = asyncio.create_task(self.supervisor.run())

    async def _complete(self, worker: StartedWorker) -> None:
        self._pids.add(worker.pid)
        await self.supervisor.complete(worker)

    async def _stop(self) -> None:
        self._faults.write_text("{}")
        await self.pool.stop(5)
        self._following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._following

    def _variants(self, seen: Mapping[Target, Any]) -> Mapping[Variant, Any]:
        beside = {
            Variant(target, "candidate"): Seen(sighting=self._versions[self.candidates[target.model]].sighting)
            for target in seen
            if target.model in self.candidates
        }
        return {**only_stable(seen), **beside}

    async def _prove(self, variant: Variant, prepared: Prepared) -> Prepared:
        """Prepare a version anew, as far as the test lets it be opened."""
        if json.loads(self._faults.read_text()).get(str(prepared.number)) in ("dies", "fails"):
            raise Unavailable("a child could not open it", code="told-so", hint=None)
        return prepared

    def fault(self, **how: str | None) -> None:
        """Have versions open as is said: `v3="dies"`; `None` heals one."""
        now = json.loads(self._faults.read_text())
        now |= {name.removeprefix("v"): each for name, each in how.items()}
        draft = self._faults.with_suffix(".draft")
        draft.write_text(json.dumps({number: each for number, each in now.items() if each}))
        os.replace(draft, self._faults)

    def heal(self) -> None:
        """Have every version open."""
        self.fault(**{f"v{number}": None for number in self._versions})

    def n_started(self) -> int:
        """Return how many workers there have been."""
        return len(self._pids)

    def workers(self) -> list[StartedWorker]:
        """Return the workers that accept connections."""
        return self.pool.accepting

    def kill(self, which: int) -> None:
        """Kill a worker, as the kernel does when memory is short."""
        pids = [worker.pid for worker in self.pool._workers if worker.is_alive]
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[which % len(pids)], signal.SIGKILL)

    def served(self) -> list[dict[str, int]]:
        """Return what each accepting worker really serves as stable: model → version."""
        return self.run(self._served())

    async def _served(self) -> list[dict[str, int]]:
        found = []
        for worker in self.workers():
            with contextlib.suppress(Unavailable):
                state = await worker.ask("state", {}, within_s=10)
                rows = state["variants"]
                found.append({target[0]: number for target, name, _, number, _ in rows if name == "stable"})
        return found

    def score(self, model: str, request_id: str = "") -> Scored:
        """Ask a model on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Content-Type": "application/json", **({"X-Request-Id": request_id} if request_id else {})}
            connection.request("POST", f"/models/{model}/invocations", BODY, headers)
            response = connection.getresponse()
            body = json.loads(response.read())
            version = response.headers.get("x-slipway-version")
            label = body["predictions"][0] if response.status == 200 else None
            variant = response.headers.get("x-slipway-variant")
            return Scored(response.status, int(version) if version else None, variant, label)
        finally:
            connection.close()

    def line(self, name: str, body: bytes = BODY) -> list[bytes]:
        """Ask a model by a line; return the words of the answer."""
        return self.send_line(name.encode() + b" " + body).split(maxsplit=3)

    def send_line(self, line: bytes) -> bytes:
        """Send a line on a connection of its own, and return the one that comes back; nothing where that ends."""
        with socket.create_connection(self._listeners[LINES].getsockname(), timeout=60) as connection:
            connection.sendall(line + b"\n")
            with connection.makefile("rb") as answers:
                return answers.readline()

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def counted(self, name: str) -> float:
        """Return the sum of a counter over everything that it tells apart."""
        lines = self.get("/metrics")[1].decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))
