"""Uploads against promotions, on real stores: what is promoted has the bytes that were registered, and keeps them."""

import gzip
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from tests.servers.ceph import CephServer
from tests.servers.guarded import Answer, GuardedServer, Made, serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("upload races")]
UPLOADERS = 3
OTHER = b"x" * 2_000_000


@pytest.fixture(scope="module", params=["folder", "bucket"])
def racing(
    request: pytest.FixtureRequest, database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedServer]:
    """Return a server of two workers with its artifacts in a folder or in an object store."""
    folder, at, keys = tmp_path_factory.mktemp("races"), None, {}
    if request.param == "bucket":
        ceph: CephServer = request.getfixturevalue("ceph")
        bucket = f"race-{secrets.token_hex(4)}"
        ceph.client().create_bucket(Bucket=bucket)
        at, keys = f"s3://{bucket}/mlflow", ceph.environment
    with serve(folder, database(folder), workers=2, artifacts=at, **keys) as running:
        yield running


def upload(server: GuardedServer, made: Made, name: str) -> Answer:
    """Store other bytes than were registered."""
    return server.ask("PUT", f"api/2.0/mlflow-artifacts/artifacts/{made.files}/{name}", OTHER)


def stored(server: GuardedServer, made: Made) -> dict[str, bytes]:
    """Return what lies in the version's folder, by name."""
    path = "api/2.0/mlflow-artifacts/artifacts"
    listed = server.ask("GET", f"{path}?path={made.files}").document.get("files", [])
    names = [each["path"] for each in listed]
    return {name: server.ask("GET", f"{path}/{made.files}/{name}").text.encode() for name in names}


def race(server: GuardedServer, made: Made, pause_s: float) -> tuple[Answer, list[Answer]]:
    """Promote while others store files; return what the server said to each."""
    start = threading.Barrier(UPLOADERS + 1)

    def store(number: int) -> Answer:
        start.wait()
        return upload(server, made, "MLmodel" if number else "extra.py")

    def decide() -> Answer:
        start.wait()
        threading.Event().wait(pause_s)
        body = {"version": str(made), "stage": "production", "reason": "race"}
        return server.ask("POST", "slipway/promotions", body)

    with ThreadPoolExecutor(UPLOADERS + 1) as pool:
        storing = [pool.submit(store, number) for number in range(UPLOADERS)]
        deciding = pool.submit(decide)
        return deciding.result(), [each.result() for each in storing]


def test_a_file_is_stored_as_it_is_whatever_its_name(racing: GuardedServer, tmp_path: Path):
    """Also one that is called packed: clients that fetch it from the store itself would unpack what nobody judged."""
    content = gzip.compress(b"one") + b"two"
    (tmp_path / "model.skops.gz").write_bytes(content)
    run_id = racing.client().create_run("0").info.run_id
    racing.client().log_artifact(run_id, str(tmp_path / "model.skops.gz"))
    found = racing.client().download_artifacts(run_id, "model.skops.gz", str(tmp_path / "."))
    assert Path(found).read_bytes() == content


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.long)])
def test_no_upload_gets_between_the_check_and_the_decision(racing: GuardedServer, rounds: int):
    """Whenever it comes: promoted with what was registered, or refused for what came in between; nothing after it."""
    random, promoted = Random(0), 0
    for number in range(rounds):
        made = racing.make(f"m-{rounds}-{number}")
        assert racing.ask("POST", "slipway/registrations", {"version": str(made), "reason": "x"}).status == 200
        assert racing.ask("POST", "slipway/verdicts", racing.verdict(made, "production")).status == 200
        decided, uploads = race(racing, made, random.random() * 0.05)
        if decided.status == 200:
            promoted += 1
            assert stored(racing, made) == {"MLmodel": b"flavors: {}"}
            assert {each.status for each in uploads} == {403}
        else:
            assert "is not stored as it was registered" in decided.text, decided
            assert 200 in {each.status for each in uploads}
    made = racing.in_stage(racing.make(f"m-{rounds}-last"), "production")
    assert upload(racing, made, "MLmodel").status == 403
    assert promoted < rounds, "no upload ever came first: nothing was raced"
