"""What memory costs: commands that read the ledger as whole processes, a long chain verified, one promotion decided."""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.commands import TRAIN
from benchmarks.measure import ROOT, beside, markdown_table, median_seconds_side_by_side, python
from registry.events import Event, EventKind, first_hash
from registry.history import record_of
from registry.sql_history import RECORD
from registry.sql_migrate import open_history
from registry.sql_tables import EVENTS
from tests.postgres import PostgresServer, binaries

REPEATS = 7
LONG_CHAIN = 100_000
FEW, MANY = 10, 10_000
PROMOTIONS = 11
DECIDE = "from benchmarks.ledger import decide; decide()"


def run() -> str:
    """Return the section of the report."""
    with tempfile.TemporaryDirectory() as name:
        sections = ["## The ledger", _commands(Path(name) / "commands"), _long_chain(Path(name) / "chain")]
        sections.append(_promotions(Path(name)))
    return "\n\n".join(sections)


def _commands(folder: Path) -> str:
    folder.mkdir()
    for _ in range(2):
        python(*TRAIN, folder=folder)
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
    started = time.perf_counter()
    said = subprocess.run(
        [sys.executable, "-m", "slipway", "history", "long", "--verify"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SLIPWAY_REGISTRY__HISTORY_URI": url},
        check=True,
        capture_output=True,
    )
    taken = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    assert said.returncode == 0
    return f"`slipway history --verify` on {LONG_CHAIN:,} events: {taken:.1f} s, with at most {peak} MB of memory."


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
    return "One promotion, decided and applied in a process that is warm (median):\n\n" + markdown_table(headers, rows)


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
        [sys.executable, "-c", DECIDE, url, str(versions)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": url},
        check=True,
        capture_output=True,
        text=True,
    )
    return float(json.loads(said.stdout.splitlines()[-1]))


def decide() -> None:
    """Register versions, promote some of them in turn, and print the median time of one promotion in seconds."""
    from tests.deciding import MODEL, Place, prepare, promote  # noqa: PLC0415 - imports MLflow, in the child alone

    url, versions = sys.argv[1], int(sys.argv[2])
    place = Place(folder=Path.cwd(), uri=url)
    prepare(place, FEW)
    _more_versions(url, versions - FEW)
    ledger, taken = place.ledger(), []
    for number in [2, 3] * PROMOTIONS:
        started = time.perf_counter()
        promote(ledger, f"{MODEL}/{number}", "staging")
        taken.append(time.perf_counter() - started)
    print(json.dumps(statistics.median(taken)))


def _more_versions(url: str, count: int) -> None:
    """Copy the last version's row: making each through MLflow takes longer than all that is measured."""
    if count <= 0:
        return
    engine = sa.create_engine(url)
    table = sa.Table("model_versions", sa.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        row = connection.execute(sa.select(table).order_by(table.c.version.desc()).limit(1)).mappings().one()
        connection.execute(sa.insert(table), [{**row, "version": row["version"] + i} for i in range(1, count + 1)])
