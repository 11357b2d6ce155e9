"""Large models to and from S3: our way beside MLflow's and beside the fastest that boto3 can, direct and proxied."""

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.measure import ROOT, markdown_table
from benchmarks.transfers import WEIGHTS
from slipway.registry.manifest import manifest_of
from tests.servers.ceph import CephServer
from tests.servers.processes import answers, free_port, process, wait_for

MB = 1 << 20
MODEL_BYTES = 1 << 30
REPEATS = 5
PROCESSES = 10
LIMIT = "boto3's transfer manager at its best"
CONCURRENCIES = (8, 16)
PARTS_MB = (8, 16, 64)
# By itself MLflow's client (3.17) goes straight to S3 for downloads, and for uploads of more than 500 MiB.
THROUGH_SERVER = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """A way to transfer the model: a call of `benchmarks.transfers`, where from or to, and variables."""

    call: str
    uri: str
    variables: Mapping[str, str]


class Bench:
    """A model on this disk and in the object store, and how to transfer it in processes of their own."""

    def __init__(self, folder: Path, server: CephServer, size_bytes: int) -> None:
        self.server = server
        self.bucket = server.create_bucket()
        self.uri = f"s3://{self.bucket}/model"
        self.size_bytes = size_bytes
        self._folder = folder
        self.model = folder / "model"
        self.model.mkdir()
        (self.model / "MLmodel").write_text("flavors: {}\n")
        with (self.model / WEIGHTS).open("wb") as file:
            for number in range(size_bytes // MB):
                file.write(Random(number).randbytes(MB))
        (folder / "manifest.json").write_text(manifest_of(self.model).to_json())
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")},
            **server.environment,
            "PYTHONPATH": str(ROOT),
            "MANIFEST": str(folder / "manifest.json"),
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        }
        for path in self.model.iterdir():
            server.client().upload_file(str(path), self.bucket, f"model/{path.name}")

    def download_s(self, contender: Contender) -> float:
        """Return the seconds of one download into an empty folder."""
        with tempfile.TemporaryDirectory(dir=self._folder) as into:
            return self._seconds(contender, Path(into))

    def upload_s(self, contender: Contender) -> float:
        """Return the seconds of one upload; what it overwrites is removed from the store's memory afterwards."""
        try:
            return self._seconds(contender, self.model)
        finally:
            self.server.collect_garbage()

    def obtain_at_once(self, contender: Contender) -> tuple[list[float], int]:
        """Return each process's seconds, when many fill one cache at once, and the bytes that the store sent."""
        before = self.server.bytes_sent()
        with tempfile.TemporaryDirectory(dir=self._folder) as into, ThreadPoolExecutor(PROCESSES) as pool:
            seconds = list(pool.map(lambda _: self._seconds(contender, Path(into)), range(PROCESSES)))
        return seconds, self.server.bytes_sent() - before

    def _seconds(self, contender: Contender, folder: Path) -> float:
        words = [sys.executable, "-m", "benchmarks.transfers", contender.call, contender.uri, str(folder)]
        environment = {**self._environment, **contender.variables}
        done = subprocess.run(words, env=environment, cwd=self._folder, check=True, stdout=subprocess.PIPE, text=True)
        return float(done.stdout.splitlines()[-1])


def run(size_bytes: int = MODEL_BYTES) -> str:
    """Return the section of the report."""
    server = CephServer(size_bytes=max(8 << 30, 6 * size_bytes))
    try:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
            bench = Bench(Path(name), server, size_bytes)
            with _tracking_server(Path(name), bench) as server_uri:
                return "\n\n".join(_sections(bench, server_uri))
    finally:
        server.stop()


def _sections(bench: Bench, server_uri: str) -> Iterator[str]:
    yield f"## A model of {bench.size_bytes // MB:,} MiB to and from S3 (Ceph RGW on this machine)"
    best, said = _best(bench, "boto3_download")
    yield f"Downloads into an empty folder, the call alone; the limit is {LIMIT} ({said}):"
    proxied = partial(Contender, uri="mlflow-artifacts:/model")
    signed = {"MLFLOW_TRACKING_URI": server_uri}
    through = {**signed, **THROUGH_SERVER}
    downloads = {
        LIMIT: best,
        "ours, the bytes": Contender(call="our_download", uri=bench.uri, variables={}),
        "ours, verified and published in the cache": Contender(call="our_obtain", uri=bench.uri, variables={}),
        "MLflow's own": Contender(call="mlflow_download", uri=bench.uri, variables={}),
        "MLflow's own by `mlflow server`, which signs addresses in S3": proxied(
            call="mlflow_download", variables=signed
        ),
        "ours by it: that, verified and published": proxied(call="mlflow_obtain", variables=signed),
        "MLflow's own, every byte through the server": proxied(call="mlflow_download", variables=through),
    }
    yield _table({name: partial(bench.download_s, each) for name, each in downloads.items()}, bench)
    best, said = _best(bench, "boto3_upload")
    yield f"Uploads, which are MLflow's; the limit is {LIMIT} ({said}):"
    uploads = {
        LIMIT: best,
        "MLflow's `log_artifacts`": Contender(call="mlflow_upload", uri=bench.uri, variables={}),
        "the same by `mlflow server`, which signs addresses in S3": proxied(call="mlflow_upload", variables=signed),
        "the same, every byte through the server": proxied(call="mlflow_upload", variables=through),
    }
    yield _table({name: partial(bench.upload_s, each) for name, each in uploads.items()}, bench)
    seconds, sent_bytes = bench.obtain_at_once(downloads["ours, verified and published in the cache"])
    yield (
        f"{PROCESSES} processes that want one model at once, with an empty cache: the first had it after "
        f"{min(seconds):.2f} s, the last after {max(seconds):.2f} s, and the store sent "
        f"{sent_bytes / bench.size_bytes:.3f} times the model."
    )


def _best(bench: Bench, call: str) -> tuple[Contender, str]:
    """Return boto3's transfer manager with the settings that were the fastest here, and what they are."""
    measure = bench.download_s if call == "boto3_download" else bench.upload_s
    taken = {}
    for threads, part_mb in itertools.product(CONCURRENCIES, PARTS_MB):
        settings = {"max_concurrency": threads, "multipart_chunksize": part_mb * MB, "io_chunksize": MB}
        contender = Contender(call=call, uri=bench.uri, variables={"TRANSFER": json.dumps(settings)})
        taken[f"{threads} threads, parts of {part_mb} MiB"] = min(measure(contender) for _ in range(2)), contender
    said = min(taken, key=lambda each: taken[each][0])
    return taken[said][1], said


def _table(calls: Mapping[str, partial[float]], bench: Bench) -> str:
    """Return medians, taken in turns, and each rate as a share of the limit's."""
    taken = [{name: call() for name, call in calls.items()} for _ in range(REPEATS)]
    medians = {name: statistics.median(each[name] for each in taken) for name in calls}
    rows = [
        [name, f"{seconds:.2f}", f"{bench.size_bytes / MB / seconds:,.0f}", f"{medians[LIMIT] / seconds:.2f}"]
        for name, seconds in medians.items()
    ]
    return markdown_table(["", "seconds (median)", "MiB/s", "share of the limit"], rows)


@contextmanager
def _tracking_server(folder: Path, bench: Bench) -> Iterator[str]:
    """Run MLflow's server before the same bucket, and yield its address."""
    port, log = free_port(), folder / "server.log"
    words = ["mlflow", "server", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "2"]
    words += ["--serve-artifacts", "--artifacts-destination", f"s3://{bench.bucket}", "--port", str(port)]
    with process(*words, folder=folder, log=log, **bench.server.environment):
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), within_s=120, log=log)
        yield f"http://127.0.0.1:{port}"


if __name__ == "__main__":
    print(run(int(sys.argv[1]) * MB))
