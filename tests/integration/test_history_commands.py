"""history through the command line: fast because it reads the ledger alone, and it makes no tables."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from slipway import command_line
from slipway.registry.ledger.sql_migrate import open_history
from slipway.registry.ledger.sql_tables import VERSION
from tests.servers.processes import environment
from tests.unit.registry.ledger.test_history import UID, event

ROOT = Path(__file__).parents[2]
URI = "SLIPWAY_REGISTRY__HISTORY_URI"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the database that the settings name; it is empty."""
    named = f"sqlite:///{tmp_path}/history.db"
    monkeypatch.setenv(URI, named)
    return named


@pytest.mark.parametrize("more", [(), ("--verify",), ("--at", "2026-11-01")])
def test_history_imports_neither_mlflow_nor_what_it_does_not_read(url: str, tmp_path: Path, more: tuple[str, ...]):
    """MLflow takes over a second, Alembic as long as the whole command."""
    open_history(url, beside_mlflow=False).append(event(), after_seq=0)
    vendors = "{'mlflow', 'alembic', 'pandas', 'numpy', 'sklearn'}"
    words = ["history", "m", *more]
    shown = f"print(command_line.run({words}), sorted({vendors} & set(sys.modules)))"
    code = f"import sys; from slipway import command_line; {shown}"
    command, there = [sys.executable, "-c", code], environment(PYTHONPATH=str(ROOT))
    shown = subprocess.run(command, capture_output=True, text=True, env=there, cwd=tmp_path, check=False)
    assert shown.stdout.splitlines()[-1] == "0 []", shown.stderr


def test_reading_begins_no_history(url: str, capsys: pytest.CaptureFixture[str]):
    """It says how one begins, and leaves the database without tables."""
    for _ in range(2):
        assert command_line.run(["history", "m"]) == 1
        shown = capsys.readouterr().err
        assert "there is no history in sqlite:///" in shown
        assert "hint: slipway status begins one" in shown
    assert sa.inspect(sa.create_engine(url)).get_table_names() == []


def test_a_history_of_its_own_database_is_read_without_its_registry(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """At once, and with a word on what could not be asked."""
    open_history(url, beside_mlflow=False).append(event(), after_seq=0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert command_line.run(["history", "m"]) == 0
    shown = capsys.readouterr()
    assert "m: 1 event\n" in shown.out
    assert f"which model is called m now cannot be told: nothing answers at {uri}" in shown.err


def test_many_events_fold_into_the_newest(url: str, capsys: pytest.CaptureFixture[str]):
    """So many as are asked for, with a word on the rest; a document has all."""
    ledger = open_history(url, beside_mlflow=False)
    for number in range(23):
        ledger.append(event(reason=f"reason {number}"), after_seq=number)

    def told(*words: str) -> tuple[list[int], str]:
        assert command_line.run(["history", "m", *words]) == 0
        shown = capsys.readouterr()
        assert max(map(len, shown.out.splitlines())) <= 120
        return [int(found) for found in re.findall(r"^│ (\d+) ", shown.out, re.MULTILINE)], shown.out + shown.err

    numbers, said = told()
    assert numbers == list(range(4, 24))
    assert "m: the newest 20 events\n" in said
    assert "3 older events not shown: slipway history m --all" in said
    assert "reason 22" in said
    assert f"head: 23:{ledger.records(UID)[-1].head.hash}" in said
    assert told("--most", "2")[0] == [22, 23]
    assert command_line.run(["history", "m", "--most", "2", "--json"]) == 0
    assert [each["seq"] for each in json.loads(capsys.readouterr().out)["events"]] == [22, 23]
    numbers, said = told("--all")
    assert numbers == list(range(1, 24))
    assert "m: 23 events\n" in said
    assert "not shown" not in said
    assert command_line.run(["history", "m", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["events"]) == 23


def test_tables_of_another_slipway_are_not_read(url: str, capsys: pytest.CaptureFixture[str]):
    """What their columns mean is not known here."""
    open_history(url, beside_mlflow=False)
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.update(VERSION).values(version_num="0099"))
    assert command_line.run(["history", "m"]) == 1
    assert "has tables of revision 0099, and this Slipway reads 0005" in capsys.readouterr().err
