"""Single probes of `slipway doctor`: each asks one thing at its door, and has the rules judge it.

What cannot be reached is one finding, not one for each thing that could have been asked there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from slipway.registry.http_client import SlipwayServer, understood
from slipway.registry.setup.auth_config import AuthConfig
from slipway.registry.setup.doctor import (
    Health,
    Probe,
    Side,
    Symptom,
    Tables,
    diagnose,
    judge_access,
    judge_administrators,
    judge_cache,
    judge_clock,
    judge_credentials,
    judge_disk,
    judge_place,
    judge_region,
    judge_roots,
    judge_tables,
    judge_users_file,
    judge_versioning,
    judge_versions,
    ok,
    warn,
)
from slipway.registry.setup.local_examined import Folder, examined_cache
from slipway.registry.setup.mlflow_examined import HERE, ExaminedServer
from slipway.registry.setup.s3_examined import ExaminedBucket
from slipway.registry.text import counted
from slipway.registry.versions.sql_examined import MLFLOW, OURS, USERS, ExaminedDatabase, revisions_of

INIT_TEAM = "slipway init --team"
Clock = Callable[[], datetime]
Room = Callable[[Iterable[Path]], Mapping[Path, int]]


def team_database(url: str, history_url: str) -> Sequence[Symptom]:
    """Probe a team's database, and the history's where that is another."""
    database = ExaminedDatabase(url)
    return [
        ok("database", f"{database.shown}, {database.server()}"),
        judge_tables(_mlflow_tables(database, INIT_TEAM)),
        judge_tables(_tables("history's tables", OURS, ExaminedDatabase(history_url), INIT_TEAM, INIT_TEAM)),
    ]


def own_database(url: str) -> Sequence[Symptom]:
    """Probe a folder's own database, whose history may not have begun."""
    database = ExaminedDatabase(url)
    if not database.is_begun():
        return [
            warn("database", f"{database.shown} is not there yet", "slipway init makes it, and so does a first run")
        ]
    found = [
        ok("database", f"{database.shown}, {database.server()}"),
        judge_tables(_mlflow_tables(database, "slipway init")),
    ]
    ours = _tables("history's tables", OURS, database, "slipway status", "slipway status")
    if ours.revision is not None:
        found.append(judge_tables(ours))
    return [*found, *diagnose({"artifact roots": lambda: database_roots(url, Side.ALONE)})]


def database_roots(url: str, side: Side) -> Sequence[Symptom]:
    """Find where the experiments of a database keep their artifacts; that there are no tables is another finding."""
    database = ExaminedDatabase(url)
    return [judge_roots(database.roots(), side)] if database.revision(MLFLOW) else []


def users(config: AuthConfig) -> Sequence[Symptom]:
    """Probe MLflow's file about its users, their tables, and whether one of them is an administrator."""
    file = judge_users_file(config.path, is_current=config.is_there())
    database = ExaminedDatabase(config.database_url)
    upgrade = f"back it up, then: {INIT_TEAM}"
    tables = judge_tables(_tables("users' tables", USERS, database, INIT_TEAM, upgrade))
    if tables.outcome is not Health.OK:
        return [file, tables]
    return [file, tables, judge_administrators(database.administrators())]


def folder(place: Folder) -> Sequence[Symptom]:
    """Probe a folder of artifacts."""
    found = judge_place("artifacts", str(place.path), is_there=place.is_there())
    return [found, judge_access("artifacts access", place.tried())] if found.outcome is Health.OK else [found]


def bucket(place: ExaminedBucket, now: Clock) -> Sequence[Symptom]:
    """Probe a bucket: who asks, whether it is there, what may be done in it."""
    credentials = judge_credentials(place.credentials())
    if credentials.outcome is not Health.OK:
        return [credentials]
    found = judge_place("bucket", place.uri, is_there=place.is_there())
    probes: dict[str, Probe] = {"clock (S3)": lambda: _clock("S3", place.clock, now)}
    if found.outcome is Health.OK:
        probes["region"] = lambda: [judge_region(place.region, place.actual_region())]
        probes["bucket access"] = lambda: [judge_access("bucket access", place.tried())]
        probes["bucket versioning"] = lambda: [judge_versioning(place.has_versions())]
    return [credentials, found, *diagnose(probes)]


def server(uri: str, environ: Mapping[str, str], now: Clock, side: Side | None = None) -> Sequence[Symptom]:
    """Probe a tracking server, and from a side the artifacts of its experiments."""
    asked = ExaminedServer(uri, environ)
    versions = judge_versions(HERE, asked.version())
    probes: dict[str, Probe] = {
        "Slipway's API": lambda: _api(SlipwayServer(uri, environ)),
        "clock (server)": lambda: _clock("server", asked.clock, now),
    }
    if side is not None:
        probes["artifact roots"] = lambda: [judge_roots(asked.roots(), side)]
    return [versions, *diagnose(probes)]


def disks(paths: Iterable[Path], room: Room) -> Sequence[Symptom]:
    """Tell how much room there is on the disks of some paths."""
    return [judge_disk(path, free) for path, free in room(paths).items()]


def cache(root: Path, max_bytes: int) -> Sequence[Symptom]:
    """Probe the serving engine's cache."""
    return [judge_cache(examined_cache(root, max_bytes))]


def _mlflow_tables(database: ExaminedDatabase, make: str) -> Tables:
    return _tables("MLflow's tables", MLFLOW, database, make, f"back it up, then: mlflow db upgrade {database.shown}")


def _tables(name: str, version_table: str, database: ExaminedDatabase, make: str, upgrade: str) -> Tables:
    revisions = revisions_of(version_table)
    return Tables(
        name=name,
        revision=database.revision(version_table),
        needed=revisions.needed,
        known=revisions.known,
        make=make,
        upgrade=upgrade,
    )


@understood()
def _api(asked: SlipwayServer) -> Sequence[Symptom]:
    models = {row["model"] for row in asked.get("/status")["stages"]}
    return [ok("Slipway's API", f"{asked.shown}, {counted(len(models), 'model')}")]


def _clock(whose: str, tell: Callable[[], datetime | None], now: Clock) -> Sequence[Symptom]:
    there = tell()
    return [judge_clock(whose, there=there, here=now())] if there else []
