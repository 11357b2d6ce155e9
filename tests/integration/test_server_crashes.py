"""A server's worker that dies in the middle of a decision: the next request finishes it, whoever answers that."""

import os
from collections.abc import Callable, Iterator
from http.client import RemoteDisconnected
from pathlib import Path

import pytest

from tests.servers.crashing_app import FUSE
from tests.servers.guarded import GuardedServer, Made, serve
from tests.servers.processes import wait_for

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LEAST_WRITES, MOST_WRITES = 6, 20


@pytest.fixture(scope="module")
def crashing(database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    """Return a server with four workers, each of which can be made to die before a write."""
    folder = tmp_path_factory.mktemp("crashing")
    about = folder / "site" / "crashing-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[mlflow.app]\nslipway-crashing = tests.servers.crashing_app:create_app\n")
    path = os.pathsep.join([str(folder / "site"), str(ROOT)])
    with serve(folder, database(folder), app="slipway-crashing", workers=4, PYTHONPATH=path) as running:
        yield running


def decided(server: GuardedServer, before: int, path: str, body: dict[str, object]) -> bool:
    """Ask for a decision whose worker dies before a write; return whether it lived."""
    (server.folder / FUSE).write_text(str(before))
    try:
        answer = server.ask("POST", path, body)
    except (RemoteDisconnected, ConnectionError):
        return False
    assert answer.status == 200, answer
    (server.folder / FUSE).unlink()
    return True


def in_production(server: GuardedServer, made: dict[int, Made]) -> int:
    """Return the version that is in production, after requiring that everybody says the same."""
    wait_for(lambda: _status(server) is not None, within_s=60, log=server.log)
    (row,) = [row for row in _status(server) or () if row["stage"] == "production"]
    number = int(row["version"])
    assert row["wrong"] is None
    client = server.client()
    assert client.get_registered_model("m").aliases == {"production": str(number)}
    labels = {n: client.get_model_version("m", str(n)).current_stage for n in made}
    assert [n for n, label in labels.items() if label == "Production"] == [number], labels
    tags = {n: client.get_model_version("m", str(n)).tags.get("slipway.stage") for n in made}
    assert [n for n, stage in tags.items() if stage == "production"] == [number], tags
    assert server.ask("GET", "slipway/models/m/history?verify=true").document["defects"] == []
    return number


def _status(server: GuardedServer) -> list[dict[str, str]] | None:
    """Return what the server says of its stages; `None` while a dying worker took the request."""
    try:
        answer = server.ask("GET", "slipway/status")
    except (OSError, RemoteDisconnected):
        return None
    return answer.document["stages"] if answer.status == 200 else None


def test_a_worker_killed_before_any_write_leaves_what_the_next_request_finishes(crashing: GuardedServer):
    """Promotion and way back in turn, dying before the first write, the second, and so on until none is left."""
    made = {number: crashing.make("m") for number in (1, 2)}
    crashing.in_stage(made[1], "production")
    assert crashing.ask("POST", "slipway/verdicts", crashing.verdict(made[2], "production")).status == 200
    moves = {
        2: ("promotions", {"version": "m/2", "stage": "production", "reason": "better"}),
        1: ("rollbacks", {"model": "m", "reason": "worse", "from_version": 2}),
    }
    for before in range(MOST_WRITES):
        new, old = (2, 1) if before % 2 else (1, 2)
        assert crashing.ask("POST", *_to(moves[old])).status == 200
        assert in_production(crashing, made) == old
        lived = decided(crashing, before, *_to(moves[new]))
        assert in_production(crashing, made) == (new if before else old), f"killed before write {before}"
        if lived:
            break
    assert lived
    assert before >= LEAST_WRITES, "the decision, alias, stages, tags, head and what is applied were each cut off"


def _to(move: tuple[str, dict[str, object]]) -> tuple[str, dict[str, object]]:
    return f"slipway/{move[0]}", move[1]
