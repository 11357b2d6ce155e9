"""The commands at a guarded server: through `/slipway/` alone, without a database here."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient

from slipway import command_line
from slipway.registry.engines.heartbeats import Heartbeat
from slipway.registry.ledger.chain import verify
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.model_state import fold
from slipway.registry.ledger.sql_history import SqlHistory
from slipway.serving.registry_doors import open_heartbeats
from tests.generators.deciding import Place, all_at_once, promote_at_server_when
from tests.servers.guarded import GuardedServer, serve
from tests.servers.processes import environment

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("server")]
ROOT = Path(__file__).parents[2]
POLICY = """
stages:
  staging: {enter_from: any, checks: {artifact: {}, lineage: {}}}
  production: {checks: {artifact: {}, lineage: {}}}
models:
  race: {staging: {checks: {artifact: null, lineage: {require: [run]}}}}
"""
PROMOTERS = range(1, 21)


@pytest.fixture(scope="module")
def strict(database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedServer]:
    """Return a server with a policy of its own and four workers, started on a database without our tables."""
    folder = tmp_path_factory.mktemp("strict")
    with serve(folder, database(folder), workers=4, policy=POLICY) as running:
        yield running


def at(server: GuardedServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder without anything, at a server."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)


def call(*words: str) -> int:
    """Run `slipway` in this process."""
    return command_line.run(list(words))


def test_the_whole_life_of_a_version(
    strict: GuardedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Train, gate, promote, look, go back, take out: every decision is the server's, under its policy."""
    at(strict, tmp_path, monkeypatch)
    (tmp_path / "promotion.yaml").write_text("stages: {anything: {checks: {lineage: {}}}}")
    for estimator in ("knn", "random_forest"):
        words = ("--data", "sklearn:iris", "--target", "target", "--model", "iris", "--estimator", estimator, "--json")
        capsys.readouterr()
        assert call("train", *words) == 0
        said = capsys.readouterr()
        assert json.loads(said.out)["version"].startswith("iris/"), "one document, without MLflow's links"
        assert "View run" in said.err
    assert call("gate", "iris/1", "--to", "staging") == 0
    said = capsys.readouterr()
    assert "warning: the policy of iris in your folder is not the server's" in said.err
    for number in ("1", "2"):
        for stage in ("staging", "production"):
            assert call("promote", f"iris/{number}", "--to", stage, "--reason", "better") == 0
    assert MlflowClient().get_registered_model("iris").aliases == {"production": "2"}
    assert call("approve", "iris/2", "--to", "production") == 1, "by its author"
    for more in (["--dry-run"], [], []):
        assert call("rollback", "iris", "--reason", "test", "--from", "2", *more) == 0
    assert MlflowClient().get_registered_model("iris").aliases == {"production": "1"}
    capsys.readouterr()
    assert call("policy", "show", "iris", "--json") == 0
    assert "promotion.yaml of http://127.0.0.1" in capsys.readouterr().out
    assert call("status", "--json") == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    (production,) = [row for row in stages if (row["model"], row["stage"]) == ("iris", "production")]
    assert (production["version"], production["wrong"]) == ("1", None)
    assert call("history", "iris", "--verify", "--json") == 0
    assert json.loads(capsys.readouterr().out)["defects"] == []
    assert call("history", "iris", "--at", "2020-01-01", "--json") == 0
    assert json.loads(capsys.readouterr().out)["stages"] == {}
    assert call("demote", "iris/1", "--reason", "done") == 0
    assert call("archive", "iris/1", "--reason", "done") == 0
    assert not list(tmp_path.rglob("*.db")), "no database was made here"


def test_a_version_from_elsewhere_is_recorded_by_the_server(
    strict: GuardedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """It reads the files where it keeps them."""
    at(strict, tmp_path, monkeypatch)
    made = strict.make("elsewhere")
    capsys.readouterr()  # MLflow's client prints a link
    assert call("register", str(made), "--reason", "by the old pipeline", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["manifest"].startswith("sha256:")
    assert call("register", str(made), "--reason", "again") == 1
    assert "are recorded already" in capsys.readouterr().err


def test_a_name_that_went_round_means_the_model_that_has_it_now(
    strict: GuardedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As the server's registry has it; what was decided under the name before is another's."""
    at(strict, tmp_path, monkeypatch)
    client = MlflowClient()
    assert call("register", str(strict.make("round")), "--reason", "the first") == 0
    client.rename_registered_model("round", "aside")
    made = strict.make("round")
    capsys.readouterr()
    assert call("history", "round") == 1
    said = capsys.readouterr().err
    assert "nothing was decided yet about the model that is called 'round' now" in said
    assert "another model had that name, and has a history of its own: slipway history default/" in said
    assert call("register", str(made), "--reason", "the second") == 0
    client.rename_registered_model("round", "tmp")
    client.rename_registered_model("aside", "round")
    for name, reason in (("round", "the first"), ("tmp", "the second")):
        capsys.readouterr()
        assert call("history", name, "--json") == 0
        assert [each["reason"] for each in json.loads(capsys.readouterr().out)["events"]] == [reason]
        assert call("history", name, "--verify") == 0


@pytest.mark.parametrize("command", ["status", "history iris", "policy show iris"])
def test_what_only_asks_imports_neither_mlflow_nor_a_database(strict: GuardedServer, tmp_path: Path, command: str):
    """It is to answer at once."""
    vendors = "{'mlflow', 'sqlalchemy', 'alembic', 'pandas', 'numpy', 'scipy', 'sklearn', 'requests'}"
    run = f"command_line.run({command.split()!r})"
    code = (
        f"import sys; from slipway import command_line; code = {run}; print(code, sorted({vendors} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environment(MLFLOW_TRACKING_URI=strict.url, PYTHONPATH=str(ROOT)),
    )
    assert done.stdout.splitlines()[-1].endswith(" []"), done


def test_what_was_decided_and_not_applied_is_finished_by_the_next_command(
    server: GuardedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As when a worker of the server dies between the decision and the alias."""
    made = server.in_stage(server.make("crashed"), "staging")
    history = SqlHistory(server.database)
    (uid,) = history.model_uids(model="crashed")
    records = history.records(uid)
    moved = next(record.event for record in reversed(records) if record.kind == EventKind.VERSION_PROMOTED)
    history.append(replace(moved, stage="production"), after_seq=len(records))
    assert server.client().get_registered_model(made.model).aliases == {"staging": "1"}
    at(server, tmp_path, monkeypatch)
    capsys.readouterr()
    assert call("status", "--json") == 0
    found = [row["stage"] for row in json.loads(capsys.readouterr().out)["stages"] if row["model"] == "crashed"]
    assert found == ["production"]
    assert server.client().get_registered_model(made.model).aliases == {"production": "1"}


def test_an_engine_without_a_database_leaves_its_word_at_the_server(
    server: GuardedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """`slipway status` repeats it, until the engine leaves."""
    made = server.in_stage(server.make("watched"), "production")
    at(server, tmp_path, monkeypatch)
    now = datetime.now(UTC)
    beat = Heartbeat(
        engine="e",
        model="watched",
        stage="production",
        version=made.number,
        since=now,
        at=now,
        runner="compiled",
        address="http://engine:8080",
        problem=None,
    )
    heartbeats = open_heartbeats(os.environ, tmp_path)
    heartbeats.beat([beat])
    (found,) = heartbeats.all()
    assert replace(found, at=beat.at) == beat
    assert call("status") == 0
    assert "watched in production is served by http://engine:8080: 1 since" in capsys.readouterr().err
    heartbeats.leave("e")
    assert heartbeats.all() == ()


def test_twenty_promote_at_once_through_four_workers(strict: GuardedServer, tmp_path: Path):
    """One wins, everybody else learns who, and the chain is whole."""
    for number in PROMOTERS:
        made = strict.make("race")
        assert made.number == number
        recorded = {"version": str(made), "reason": "made here"}
        assert strict.ask("POST", "slipway/registrations", recorded).status == 200
    place = Place(folder=tmp_path, uri=strict.url)
    said = all_at_once(promote_at_server_when, place, "race", numbers=PROMOTERS)
    winners = [number for number in PROMOTERS if not said[number]]
    history = SqlHistory(strict.database)
    (uid,) = history.model_uids(model="race")
    records = history.records(uid)
    assert verify(uid, records, history.anchors(uid)) == ()
    (there,) = fold(records).stages.values()
    assert [there.version] == winners, said
    for number in set(PROMOTERS) - {there.version}:
        assert said[number].startswith("Conflict: "), said[number]
        assert f"staging is now race/{there.version}" in said[number]
    client = strict.client()
    assert client.get_registered_model("race").aliases == {"staging": str(there.version)}
