"""A pool that shares PostgreSQL's sessions among its clients: no lock holds there, and nothing is decided."""

import shutil
import tempfile
from pathlib import Path

import pytest

from slipway.registry.errors import InvalidInput
from slipway.registry.ledger.sql_history import SqlHistory
from slipway.registry.ledger.sql_migrate import open_history
from tests.conftest import missing
from tests.servers.postgres import PostgresServer, pooled


@pytest.mark.parametrize("size", [1, 3])
def test_where_sessions_are_shared_nothing_is_locked(postgres: PostgresServer, size: int):
    """Two would hold one model at once, each believing that it is alone; without the pool all is well."""
    if not shutil.which("pgbouncer"):
        missing("PgBouncer is not installed (Debian: apt-get install pgbouncer): shared sessions are NOT tested")
    database = postgres.create_database()
    history = open_history(database, beside_mlflow=False)
    with history.lock("default/1/m"):
        pass
    folder = Path(tempfile.mkdtemp(prefix="slipway-pool-"))  # PgBouncer's user may not read what is below pytest's
    try:
        with pooled(postgres, database, size=size, folder=folder) as url:
            held = SqlHistory(url).lock("default/1/m")
            with pytest.raises(InvalidInput, match="connections share its sessions") as caught, held:
                pass
            assert caught.value.code == "sessions-shared"
    finally:
        shutil.rmtree(folder)
