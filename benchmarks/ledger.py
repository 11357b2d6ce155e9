"""What the history costs: the commands that read it, its verification, and a promotion among many versions."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.measure import markdown_table, median_seconds_side_by_side, peak_bytes, python
from registry.decide import Ledger, carry_out, look
from registry.events import Event, EventKind, first_hash
from registry.gate_commands import deciding
from registry.history import record_of
from registry.promote import Grounds, say_why
from registry.sql_history import RECORD
from registry.sql_migrate import open_history
from registry.sql_tables import EVENTS
from registry.verdict import Finding, Outcome, Verdict
from registry.version import Version, VersionRef
from tests.deciding import MODEL, Place, prepare
from tests.postgres import PostgresServer, binaries

REPEATS = 7
PROMOTIONS = 15
EVENTS_TO_VERIFY = 100_000
FEW, MANY = 10, 10_000
LISTED = 20
START = datetime(2026, 1, 1, tzinfo=UTC)
MOST_SECONDS = {
    "slipway history": "0.5",
    "slipway status": "import mlflow + 0.5",
    "slipway versions": "import mlflow + 0.5",
}
MANIFEST = ",".join(f'{{"path":"file{i}","sha256":"{"0" * 64}","size_bytes":1000}}' for i in range(6))


def run() -> str:
    """Return the section of the report."""
    return "\n\n".join(["## The history", commands(), verification(), promotions()])


def commands() -> str:
    """Measure the commands as whole processes, on a model with as many versions as `slipway versions` lists."""
    with tempfile.TemporaryDirectory() as name, working_as_before():
        folder = Path(name)
        prepare(Place(folder=folder, uri=f"sqlite:///{folder}/mlflow.db"), LISTED)
        seconds = median_seconds_side_by_side(
            {
                "import mlflow": lambda: python("-c", "import mlflow", folder=folder),
                "slipway history": lambda: python("-m", "slipway", "history", MODEL, folder=folder),
                "slipway status": lambda: python("-m", "slipway", "status", folder=folder),
                "slipway versions": lambda: python("-m", "slipway", "versions", MODEL, folder=folder),
            },
            repeats=REPEATS,
        )
    bare = seconds["import mlflow"]
    rows = [
        [name, f"{value:.2f}", f"{value - bare:+.2f}", MOST_SECONDS.get(name, "")] for name, value in seconds.items()
    ]
    headers = ["", "seconds (median)", "beside import mlflow", "meant to be at most"]
    return f"Whole processes, on SQLite, {LISTED} versions with a run each:\n\n" + markdown_table(headers, rows)


def verification() -> str:
    """Measure `history --verify` as a whole process on a short and on a long chain."""
    with tempfile.TemporaryDirectory() as short, tempfile.TemporaryDirectory() as long:
        rows = [verified(Path(short), FEW), verified(Path(long), EVENTS_TO_VERIFY)]
    headers = ["events", "seconds (median)", "peak memory (MB)"]
    return "`slipway history --verify`, as a whole process, on SQLite:\n\n" + markdown_table(headers, rows)


def verified(folder: Path, events: int) -> list[str]:
    """Fill a history, and return the row that says what its verification takes."""
    url, model_uid = f"sqlite:///{folder}/mlflow.db", f"default/1/{MODEL}"
    open_history(url, beside_mlflow=False)
    append_many(url, model_uid, count=events, after_seq=0, before=first_hash(model_uid))
    words = ("history", MODEL, "--verify")
    calls = {"verify": lambda: python("-m", "slipway", *words, folder=folder)}
    seconds = median_seconds_side_by_side(calls, repeats=3)["verify"]
    return [f"{events:,}", f"{seconds:.2f}", f"{peak_bytes(*words, folder=folder) / 1e6:.0f}"]


def promotions() -> str:
    """Measure one promotion, in process and warm, among few and many versions, on each database that is here."""
    with ExitStack() as stack:
        stack.enter_context(working_as_before())
        turns = {
            (database, versions): turn_of(place_on(database, versions, server, stack), versions)
            for database, server in databases(stack)
            for versions in (FEW, MANY)
        }
        seconds = median_seconds_side_by_side({key: turn.take for key, turn in turns.items()}, repeats=PROMOTIONS)
    found = {database for database, _ in seconds}
    rows = [
        [
            database,
            *(f"{1000 * seconds[database, versions]:.0f}" for versions in (FEW, MANY)),
            f"{seconds[database, MANY] / seconds[database, FEW]:.2f}",
        ]
        for database in sorted(found, reverse=True)
    ]
    headers = ["", f"ms at {FEW} versions (median)", f"ms at {MANY:,} versions", "ratio, meant to be flat"]
    missing = "" if "PostgreSQL" in found else "\n\nPostgreSQL is not installed here: NOT measured."
    about = "One promotion in process, warm (PostgreSQL without fsync). Of each version the history has two events:"
    return f"{about}\n\n" + markdown_table(headers, rows) + missing


@dataclass
class Turn:
    """Two versions that take turns in staging, and the ledger that they do it in; the first is there."""

    ledger: Ledger
    there: Version
    next: Version
    policy: str

    def take(self) -> None:
        """Carry out the promotion of the one that is not there."""
        why = say_why("bench", authenticated=False, at=datetime.now(UTC), reason="the other one's turn")
        verdict = Verdict(
            model=MODEL,
            version=self.next.number,
            stage="staging",
            at=why.at,
            findings=(Finding(check="lineage", outcome=Outcome.PASS, reason="given"),),
            digests={"policy": self.policy, "manifest": "sha256:0"},
            champion=self.there.number,
        )
        decision = deciding(self.next, "staging", why, Grounds(verdict=verdict, seq=1))
        if carry_out(MODEL, decision, self.ledger).event is None:
            raise RuntimeError(f"{self.next} was in staging already: nothing was measured")
        self.there, self.next = self.next, self.there


def turn_of(place: Place, versions: int) -> Turn:
    """Return two versions of a registry that has so many, made ready to take turns."""
    prepare(place, FEW)
    ledger = place.ledger()
    situation = look(MODEL, ledger)
    add_versions(place.uri, FEW + 1, versions)
    before = situation.head.hash if situation.head else first_hash(situation.model_uid)
    append_many(place.uri, situation.model_uid, count=2 * versions, after_seq=situation.seq, before=before)
    numbers = (situation.occupant("staging"), versions)
    first, second = (ledger.registry.version(VersionRef(model=MODEL, number=number)) for number in numbers)
    return Turn(ledger=ledger, there=first, next=second, policy=situation.policy.digest)


def place_on(database: str, versions: int, server: PostgresServer | None, stack: ExitStack) -> Place:
    """Return an empty place."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{database}-{versions}-")))
    return Place(folder=folder, uri=server.create_database() if server else f"sqlite:///{folder}/mlflow.db")


def databases(stack: ExitStack) -> dict[str, PostgresServer | None]:
    """Return the databases that are here, each with the server that was started for it."""
    programs = binaries()
    if programs is None:
        print("PostgreSQL is NOT measured: it is not installed (apt-get install postgresql-15)", file=sys.stderr)
        return {"SQLite": None}
    server = PostgresServer(programs)
    stack.callback(server.stop)
    return {"SQLite": None, "PostgreSQL": server}


def add_versions(uri: str, first: int, last: int) -> None:
    """Add versions like the last one to MLflow's tables, each with five tags; its client would take minutes."""
    engine = sa.create_engine(uri)
    versions, tags = (
        sa.Table(name, sa.MetaData(), autoload_with=engine) for name in ("model_versions", "model_version_tags")
    )
    with engine.begin() as connection:
        newest = connection.execute(sa.select(versions).order_by(versions.c.version.desc()).limit(1)).mappings().one()
        numbers = range(first, last + 1)
        shared = {key: newest[key] for key in ("workspace", "name")}
        if numbers:
            connection.execute(sa.insert(versions), [{**newest, "version": number} for number in numbers])
            rows = [{**shared, "version": n, "key": f"tag{i}", "value": "x" * 40} for n in numbers for i in range(5)]
            connection.execute(sa.insert(tags), rows)
    engine.dispose()


def append_many(url: str, model_uid: str, *, count: int, after_seq: int, before: str) -> None:
    """Append a registration and a verdict in turns, chained as `SqlHistory.append` does, in one transaction."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        rows = []
        for seq in range(after_seq + 1, after_seq + count + 1):
            record = record_of(event_number(seq, model_uid), seq=seq, before=before)
            rows.append({"model_uid": model_uid, **{name: getattr(record, name) for name in RECORD}})
            before = record.hash
        for begin in range(0, count, 1000):
            connection.execute(sa.insert(EVENTS), rows[begin : begin + 1000])
    engine.dispose()


def event_number(seq: int, model_uid: str) -> Event:
    """Return an event as large as those of a scikit-learn model are."""
    kind = (EventKind.VERSION_REGISTERED, EventKind.GATE_ASSESSED)[seq % 2]
    details = {"manifest": MANIFEST} if kind is EventKind.VERSION_REGISTERED else {"outcome": "PASS", "why": "x" * 600}
    return Event(
        kind=kind,
        model_uid=model_uid,
        model=MODEL,
        version=1 + seq // 2,
        stage=None,
        actor="bench",
        actor_authenticated=False,
        at=START + timedelta(seconds=seq),
        reason="trained",
        digests={"manifest": f"sha256:{'0' * 64}"},
        details=details,
    )


@contextmanager
def working_as_before() -> Iterator[None]:
    """Go back to this folder and this environment afterwards."""
    folder, environment = Path.cwd(), dict(os.environ)
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
