"""The door through which a database is first used: MLflow's tables are made once, however many begin at once.

MLflow looks whether its tables are there and then makes them, with no lock in between (3.17): of several processes
that begin in an empty folder, some fail in the middle of another's migration.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from slipway.registry.artifacts.file_locks import held_alone
from slipway.registry.errors import InvalidInput, Unavailable
from slipway.registry.versions.sql_examined import MLFLOW, ExaminedDatabase, revisions_of

LOCK_WITHIN_S = 300.0
OTHERS_WITHIN_S = 60.0
LOOK_EVERY_S = 0.2


def made_once(url: str, make: Callable[[], object], *, with_runs: bool) -> None:
    """Have MLflow's tables made where a database has none, while nobody else does.

    Whoever makes them without our lock (`mlflow run`, `mlflow server`) is waited for. `with_runs` says that runs are
    kept there too, and not only the registry.

    Raises
    ------
    InvalidInput
        The folder has a name that MLflow cannot record.
    Unavailable
        The database does not answer, or its tables are half made and nobody goes on making them.
    """
    database = ExaminedDatabase(url)
    if not _is_ready(database, with_runs=with_runs):
        if with_runs:
            require_recordable(Path.cwd())
        with _held(url, database):
            _make(database, make, with_runs=with_runs)


def require_recordable(folder: Path) -> None:
    """Refuse a folder whose path MLflow (3.17) would record otherwise: it writes it into SQL as Python shows it.

    Raises
    ------
    InvalidInput
        The path has quotes of both kinds, a backslash, or what cannot be seen.
    """
    if repr(str(folder))[1:-1] != str(folder):
        raise InvalidInput(
            f"MLflow cannot record the folder {str(folder)!r}: its path has quotes of both kinds, a backslash, or a "
            "character that cannot be seen",
            code="folder-not-recordable",
            hint="rename the folder, or work in another one",
        )


def _make(database: ExaminedDatabase, make: Callable[[], object], *, with_runs: bool) -> None:
    deadline = time.monotonic() + OTHERS_WITHIN_S
    while not _is_ready(database, with_runs=with_runs):
        if _is_begun(database) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
            continue
        try:
            make()
        except (SQLAlchemyError, CommandError, Unavailable) as error:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"MLflow's tables in {database.shown} are half made, and cannot be finished: {_first_line(error)}",
                    code="half-made-tables",
                    hint="if nothing was kept there yet: remove the database, then slipway init",
                ) from error
        else:
            return


def _is_begun(database: ExaminedDatabase) -> bool:
    return database.is_begun() and bool(database.tables())


def _is_ready(database: ExaminedDatabase, *, with_runs: bool) -> bool:
    """Return whether all is there: MLflow makes its default experiment last; a registry alone has none."""
    if not database.is_begun():
        return False
    if with_runs:
        return database.has_experiments()
    return database.revision(MLFLOW) == revisions_of(MLFLOW).needed


@contextmanager
def _held(url: str, database: ExaminedDatabase) -> Iterator[None]:
    """Hold the database's first use: by a file beside SQLite's, by an advisory lock of PostgreSQL's."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        with database.prepared_alone():
            yield
        return
    path = Path(f"{parsed.database}.slipway-init.lock")
    try:
        path.touch()
    except OSError as error:
        raise Unavailable(
            f"no database can be made in {path.absolute().parent}: {error.strerror}",
            code="database-unavailable",
            hint="make the folder, or be given the right to write into it; MLFLOW_TRACKING_URI names another place",
        ) from error
    with held_alone(path, wait_s=LOCK_WITHIN_S):
        yield
        path.unlink()


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
