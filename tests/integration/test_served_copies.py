"""What was put into a stage, on real stores: MLflow serves the bytes that were chosen, whatever becomes of others."""

import gzip
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import mlflow
import pytest

from tests.servers.ceph import CephServer
from tests.servers.guarded import Answer, GuardedServer, Made, query, serve

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("served copies")]
UPLOADERS = 3
LOGGED = b"flavors: {}"
OTHER = b"x" * 2_000_000


@dataclass(frozen=True)
class Store:
    """A server, and how its artifacts are changed past it: as an upload does that a store ends hours later."""

    server: GuardedServer
    overwrite: Callable[[str], None]
    remove: Callable[[str], None]

    def artifact(self, method: str, path: str, content: bytes | None = None) -> Answer:
        """Ask for an artifact that the server passes on."""
        return self.server.ask(method, f"api/2.0/mlflow-artifacts/artifacts/{path}", content)

    def served(self, uri: str) -> dict[str, bytes]:
        """Return the model's files that MLflow's client gets for a name."""
        with tempfile.TemporaryDirectory() as into:
            folder = Path(mlflow.artifacts.download_artifacts(uri, dst_path=into))
            found = {each.relative_to(folder).as_posix(): each.read_bytes() for each in folder.rglob("*")}
        return {name: content for name, content in found.items() if name != "registered_model_meta"}

    def place(self, made: Made) -> str:
        """Return where MLflow reads a version's files."""
        asked = query("api/2.0/mlflow/model-versions/get-download-uri", name=made.model, version=str(made.number))
        return str(self.server.ask("GET", asked).document["artifact_uri"])


@pytest.fixture(scope="module", params=["folder", "bucket"])
def store(
    request: pytest.FixtureRequest, database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Return a server of two workers with its artifacts in a folder or in an object store."""
    folder, at, keys = tmp_path_factory.mktemp("copies"), None, {}
    if request.param == "bucket":
        ceph: CephServer = request.getfixturevalue("ceph")
        bucket, client = f"race-{secrets.token_hex(4)}", ceph.client()
        client.create_bucket(Bucket=bucket)
        at, keys = f"s3://{bucket}/mlflow", ceph.environment
    with serve(folder, database(folder), workers=2, artifacts=at, **keys) as running:
        if at is None:
            kept = folder / "artifacts"
            yield Store(
                running, lambda path: (kept / path).write_bytes(OTHER) and None, lambda path: (kept / path).unlink()
            )
        else:
            yield Store(
                running,
                lambda path: client.put_object(Bucket=bucket, Key=f"mlflow/{path}", Body=OTHER),
                lambda path: client.delete_object(Bucket=bucket, Key=f"mlflow/{path}"),
            )


@pytest.fixture
def asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Return a server that MLflow's own functions ask."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.server.url)
    return store


def fresh(store: Store) -> Made:
    """Return a version of a new model, whose files were recorded."""
    made = store.server.make(f"m-{secrets.token_hex(4)}")
    return recorded(store, made)


def recorded(store: Store, made: Made) -> Made:
    """Return a version whose files were recorded."""
    assert store.server.ask("POST", "slipway/registrations", {"version": str(made), "reason": "x"}).status == 200
    return made


def test_what_comes_late_is_not_served(asked: Store):
    """By number and by alias, in a stage and when it was there before; a version of none is what lies there."""
    one = asked.server.in_stage(fresh(asked), "production")
    two = recorded(asked, asked.server.make(one.model))
    asked.overwrite(f"{one.files}/MLmodel")
    asked.overwrite(f"{one.files}/extra.py")
    assert asked.served(f"models:/{one}") == asked.served(f"models:/{one.model}@production") == {"MLmodel": LOGGED}
    asked.server.in_stage(two, "production")
    assert asked.served(f"models:/{one}") == {"MLmodel": LOGGED}
    body = {"model": one.model, "stage": "production", "reason": "x"}
    assert asked.server.ask("POST", "slipway/rollbacks", body).status == 200
    asked.overwrite(f"{two.files}/MLmodel")
    assert asked.served(f"models:/{two}") == {"MLmodel": LOGGED}, "its alias was asked for just before"
    in_none = fresh(asked)
    asked.overwrite(f"{in_none.files}/MLmodel")
    assert asked.served(f"models:/{in_none}") == {"MLmodel": OTHER}


def test_a_file_that_is_called_packed_is_served_as_it_is(asked: Store):
    """MLflow says of `….gz` in S3 that it is encoded so, and its clients unpack what they get."""
    made, packed = asked.server.make(f"m-{secrets.token_hex(4)}"), gzip.compress(b"one") + b"two"
    assert asked.artifact("PUT", f"{made.files}/table.csv.gz", packed).status == 200
    asked.server.in_stage(recorded(asked, made), "production")
    assert asked.served(f"models:/{made.model}@production") == {"MLmodel": LOGGED, "table.csv.gz": packed}


def test_a_rollback_needs_nothing_but_the_copy(asked: Store):
    """What was logged may be changed or gone; what was promoted then is rolled back to, and served."""
    one = asked.server.in_stage(fresh(asked), "production")
    asked.server.in_stage(recorded(asked, asked.server.make(one.model)), "production")
    asked.remove(f"{one.files}/MLmodel")
    back = asked.server.ask("POST", "slipway/rollbacks", {"model": one.model, "stage": "production", "reason": "x"})
    assert (back.status, back.document["version"]) == (200, str(one)), back
    assert asked.served(f"models:/{one.model}@production") == {"MLmodel": LOGGED}


def test_a_copy_that_was_lost_is_made_anew(asked: Store):
    """By the same decision once more, or by a rollback: from what was logged."""
    one = asked.server.in_stage(fresh(asked), "production")
    asked.remove(f"{asked.place(one).removeprefix('mlflow-artifacts:/')}/MLmodel")
    again = {"version": str(one), "stage": "production", "reason": "its copy is gone"}
    assert asked.server.ask("POST", "slipway/promotions", again).document["kind"] is None
    assert asked.served(f"models:/{one.model}@production") == {"MLmodel": LOGGED}
    asked.server.in_stage(recorded(asked, asked.server.make(one.model)), "production")
    asked.overwrite(f"{asked.place(one).removeprefix('mlflow-artifacts:/')}/extra.py")
    back = asked.server.ask("POST", "slipway/rollbacks", {"model": one.model, "stage": "production", "reason": "x"})
    assert back.status == 200, back
    assert asked.served(f"models:/{one.model}@production") == {"MLmodel": LOGGED}


def test_a_damaged_version_is_put_nowhere(asked: Store):
    """Bytes that the decision does not name are neither copied nor served."""
    made = fresh(asked)
    verdict = asked.server.verdict(made, "production")
    assert asked.server.ask("POST", "slipway/verdicts", verdict).status == 200
    asked.overwrite(f"{made.files}/MLmodel")
    refused = asked.server.ask(
        "POST", "slipway/promotions", {"version": str(made), "stage": "production", "reason": "x"}
    )
    assert (refused.status, "is not stored as it was registered" in refused.text) == (500, True), refused
    assert asked.artifact("GET", f"{made.files}/../slipway-kept").status in (400, 404)
    assert "slipway-kept" not in asked.place(made)


@pytest.mark.parametrize("is_archived", [False, True])
def test_nobody_writes_or_deletes_where_copies_lie(asked: Store, is_archived: bool):
    """Neither into one, nor beside it, nor all around it; also where the version itself is free again."""
    made = asked.server.in_stage(fresh(asked), "production")
    copy = asked.place(made).removeprefix("mlflow-artifacts:/")
    around = f"{made.experiment_id}/models/{made.model_id}"
    assert copy.startswith(f"{around}/slipway-kept/")
    if is_archived:
        for act in ("demotions", "archivals"):
            assert asked.server.ask("POST", f"slipway/{act}", {"version": str(made), "reason": "x"}).status == 200
    for path in (
        f"{copy}/MLmodel",
        f"{copy}/new",
        f"{copy}-2",
        f"{around}/slipway-kept",
        f"{around}/slipway-kept/x/MLmodel",
    ):
        assert asked.artifact("PUT", path, b"x").status == 403, path
        assert asked.artifact("DELETE", path).status == 403, path
    assert asked.artifact("DELETE", around).status == (200 if is_archived else 403)
    assert (asked.artifact("GET", f"{made.files}/MLmodel").status == 200) is not is_archived
    assert asked.artifact("GET", f"{copy}/MLmodel").text == LOGGED.decode()


def test_no_run_keeps_its_artifacts_among_copies(asked: Store):
    """An experiment's artifacts may be anywhere; what its runs store there is refused."""
    made = asked.server.in_stage(fresh(asked), "production")
    client = asked.server.client()
    name = f"e-{secrets.token_hex(4)}"
    refused = asked.server.ask(
        "POST", "api/2.0/mlflow/experiments/create", {"name": name, "artifact_location": f"{asked.place(made)}/deep"}
    )
    assert refused.status == 403, refused
    assert client.get_experiment_by_name(name) is None


def test_a_version_made_of_a_served_one_is_of_what_was_logged(asked: Store):
    """By where its files lie is told who made them; it is judged for itself."""
    made = asked.server.in_stage(fresh(asked), "production")
    copied = asked.server.client().copy_model_version(f"models:/{made}", f"{made.model}-too")
    assert (
        asked.server.client().get_model_version_download_uri(copied.name, copied.version)
        == f"mlflow-artifacts:/{made.files}"
    )


def test_a_file_is_stored_as_it_is_whatever_its_name(asked: Store, tmp_path: Path):
    """Also one that is called packed: clients that fetch it from the store itself would unpack what nobody judged."""
    content = gzip.compress(b"one") + b"two"
    (tmp_path / "model.skops.gz").write_bytes(content)
    run_id = asked.server.client().create_run("0").info.run_id
    asked.server.client().log_artifact(run_id, str(tmp_path / "model.skops.gz"))
    found = asked.server.client().download_artifacts(run_id, "model.skops.gz", str(tmp_path / "."))
    assert Path(found).read_bytes() == content


def race(store: Store, made: Made, pause_s: float) -> tuple[Answer, list[Answer]]:
    """Promote while others store and delete files; return what the server said to each."""
    start = threading.Barrier(UPLOADERS + 1)
    around = made.files.removesuffix("/artifacts")

    def change(number: int) -> Answer:
        start.wait()
        calls = (("PUT", f"{made.files}/extra.py"), ("PUT", f"{made.files}/MLmodel"), ("DELETE", around))
        method, path = calls[number]
        return store.artifact(method, path, OTHER if method == "PUT" else None)

    def decide() -> Answer:
        start.wait()
        threading.Event().wait(pause_s)
        body = {"version": str(made), "stage": "production", "reason": "race"}
        return store.server.ask("POST", "slipway/promotions", body)

    with ThreadPoolExecutor(UPLOADERS + 1) as pool:
        changing = [pool.submit(change, number) for number in range(UPLOADERS)]
        deciding = pool.submit(decide)
        return deciding.result(), [each.result() for each in changing]


@pytest.mark.parametrize("rounds", [10, pytest.param(100, marks=pytest.mark.long)])
def test_whenever_an_upload_comes_what_is_served_was_chosen(asked: Store, rounds: int):
    """Promoted and served as it was registered, or refused for what came in between."""
    random, outcomes = Random(0), set[int]()
    for _ in range(rounds):
        made = fresh(asked)
        assert asked.server.ask("POST", "slipway/verdicts", asked.server.verdict(made, "production")).status == 200
        decided, _ = race(asked, made, random.random() * 0.05)
        outcomes.add(decided.status)
        if decided.status == 200:
            assert asked.served(f"models:/{made.model}@production") == {"MLmodel": LOGGED}
        else:
            assert "production" not in asked.server.client().get_registered_model(made.model).aliases, decided
    assert (
        asked.artifact("PUT", f"{asked.server.in_stage(fresh(asked), 'production').files}/MLmodel", OTHER).status == 403
    )
    assert outcomes - {200}, "no upload ever came first: nothing was raced"
