"""What memory costs: commands that read the ledger as whole processes, a long chain verified, one promotion decided."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.commands import train
from benchmarks.measure import ROOT, beside, markdown_table, median_seconds_side_by_side, python
from slipway.registry.ledger.chain import record_of
from slipway.registry.ledger.events import Event, EventKind, first_hash
from slipway.registry.ledger.sql_history import RECORD
from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.ledger.sql_tables import EVENTS
from tests.servers.postgres import PostgresServer, binaries

REPEATS = 7
LONG_CHAIN = 100_000
FEW, MANY = 10, 10_000
PROMOTION = """One promotion, decided and applied in a process that is warm (median). It asks for as many things of many
versions as of few; what grows is MLflow's: each time that it shows a model, by whichever call, it ranks all versions to
find the latest of each stage. A promotion looks at the model four times, since somebody may decide in between.

"""
MEASURE = """
import resource, subprocess, sys, time
started = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        sections = ["## The ledger", _commands(Path(name) / "commands"), _long_chain(Path(name) / "chain")]
        sections.append(_promotions(Path(name)))
    return "\n\n".join(sections)


def _commands(folder: Path) -> str:
    folder.mkdir()
    for _ in range(2):
        python(*train("iris"), folder=folder)
    calls = {
        "import mlflow": ("-c", "import mlflow"),
        "slipway history iris": ("-m", "slipway", "history", "iris"),
        "slipway status": ("-m", "slipway", "status"),
        "slipway versions iris": ("-m", "slipway", "versions", "iris"),
    }
    seconds = median_seconds_side_by_side(
        {label: (lambda words=words: python(*words, folder=folder)) for label, words in calls.items()}, repeats=REPEATS
    )
    return "Whole processes, on two versions:\n\n" + beside(seconds, reference="import mlflow")


def _long_chain(folder: Path) -> str:
    """Write a chain that is as long as a busy model's in years, and verify it by the command."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'history.db'}"
    open_history(url, beside_mlflow=False)
    uid, before, rows = "default/1/long", first_hash("default/1/long"), []
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for seq in range(1, LONG_CHAIN + 1):
        record = record_of(_event(uid, seq, start + timedelta(minutes=seq)), seq=seq, before=before)
        rows.append({"model_uid": uid, **{name: getattr(record, name) for name in RECORD}})
        before = record.hash
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.insert(EVENTS), rows)
    taken, peak = _seconds_and_mb("slipway", "history", "long", "--verify", folder=folder, url=url)
    return f"`slipway history --verify` on {LONG_CHAIN:,} events: {taken:.1f} s, with at most {peak} MB of memory."


def _seconds_and_mb(*module: str, folder: Path, url: str) -> tuple[float, int]:
    """Run a module as a process, and return its wall time and peak memory.

    A process begins with its parent's peak on Linux, so a small one starts what is measured.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SLIPWAY_REGISTRY__HISTORY_URI": url}
    words = [sys.executable, "-c", MEASURE, sys.executable, "-m", *module]
    said = subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    taken, peak_kb = said.split()
    return float(taken), int(peak_kb) // 1024


def _event(uid: str, seq: int, at: datetime) -> Event:
    return Event(
        kind=EventKind.VERSION_PROMOTED,
        model_uid=uid,
        model="long",
        version=seq,
        stage="production",
        actor="somebody",
        actor_authenticated=False,
        at=at,
        reason="better on held-out rows",
        digests={"manifest": f"sha256:{seq:064x}"},
        details={"verdict": "PASS", "verdict_seq": seq},
    )


def _promotions(folder: Path) -> str:
    rows = []
    with _databases(folder) as databases:
        for name, url_of in databases.items():
            few, many = (_promotion_s(folder / f"{name}-{n}", url_of(n), n) for n in (FEW, MANY))
            rows.append([name, f"{few * 1000:.0f}", f"{many * 1000:.0f}", f"{many / few:.2f}"])
    headers = ["", f"ms at {FEW} versions", f"ms at {MANY:,}", "ratio"]
    return PROMOTION + markdown_table(headers, rows)


@contextmanager
def _databases(folder: Path) -> Iterator[dict]:
    found = {"SQLite": lambda n: f"sqlite:///{folder / f'mlflow-{n}.db'}"}
    programs = binaries()
    if programs is None:
        print("PostgreSQL is not installed: its row is left out", file=sys.stderr)
        yield found
        return
    server = PostgresServer(programs)
    try:
        yield {**found, "PostgreSQL": lambda n: server.create_database()}
    finally:
        server.stop()


def _promotion_s(folder: Path, url: str, versions: int) -> float:
    """Measure in a process of its own, since MLflow keeps its stores for the whole process."""
    folder.mkdir()
    said = subprocess.run(
        [sys.executable, "-m", "benchmarks.promotion", url, str(versions)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": url},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(said.stdout.splitlines()[-1]))
