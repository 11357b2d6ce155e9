"""Whatever moment a decision dies at, the next command finishes it: alias, MLflow stage, tags and ledger agree."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from slipway import command_line
from slipway.registry.errors import Unavailable
from tests.generators.deciding import (
    MODEL,
    VERBS,
    Copies,
    Fuse,
    Place,
    do,
    fused,
    promote,
    require_agreement,
    sleep_on_verdict,
    start,
    stop_at,
    write_calls,
)
from tests.servers.postgres import PostgresServer
from tests.servers.processes import answers, free_port, process, wait_for


def writes_of(place: Place, verb: str) -> list[str]:
    """Return the writes that a decision makes, in order."""
    fuse = Fuse()
    VERBS[verb](fused(place.ledger(), fuse))
    return fuse.writes


def test_the_ports_say_which_calls_write():
    """Everything that the ports can change is known to the fuse."""
    assert write_calls() == {
        "append",
        "create_version",
        "delete_alias",
        "delete_version",
        "log_text",
        "set_alias",
        "set_applied",
        "set_description",
        "set_mlflow_stage",
        "set_model_tag",
        "set_tags",
    }


@pytest.mark.parametrize("verb", VERBS)
def test_killed_before_any_write_the_next_command_finishes(copies: Copies, verb: str, capsys: pytest.CaptureFixture):
    """Before the decision is recorded nothing has happened; after it, everything will."""
    writes = writes_of(copies.of(verb, "whole"), verb)
    assert {"append", "set_alias", "set_mlflow_stage", "set_tags", "set_model_tag", "set_applied"} <= set(writes)
    decided = decision_in(writes)
    old, new = (1, 2) if verb == "promote" else (2, 1)
    for before, call in enumerate(writes):
        place = copies.of(verb, str(before))
        assert do(stop_at, place, verb, before, signal.SIGKILL) == -signal.SIGKILL, f"before {call}"
        place.enter()
        assert command_line.run(["status"]) == 0
        said = require_agreement(place)
        assert said["production"] == (new if before > decided else old), f"killed before {before}: {call}"
        VERBS[verb](place.ledger())
        assert require_agreement(place)["production"] == new, f"again, after it was killed before {call}"


def test_whoever_sleeps_on_a_verdict_learns_what_was_decided_meanwhile(copies: Copies):
    """It decides nothing, and says who is there now."""
    place = copies.of("promote", "sleeper")
    sleeper = start(sleep_on_verdict, place)
    expected = while_it_sleeps(place, sleeper)
    assert expected == {"production": 3}
    said = (place.folder / "said-0").read_text()
    assert said.startswith("Conflict: ")
    assert "cancer/2 is in no stage" in said or "cancer/3, put there by promoter of 3" in said
    assert require_agreement(place) == expected


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("copies", ["postgresql"], indirect=True)
def test_whoever_lost_its_lock_in_its_sleep_changes_nothing(copies: Copies, verb: str):
    """PostgreSQL frees the lock when the connection is lost; beside SQLite it cannot be lost while its holder lives."""
    writes = writes_of(copies.of(verb, "awake"), verb)
    for before in range(decision_in(writes), len(writes)):
        place = copies.of(verb, f"asleep-{before}")
        sleeper = start(stop_at, place, verb, before, signal.SIGSTOP)
        expected = while_it_sleeps(place, sleeper, cut=copies.postgres)
        overtaken = (place.folder / "said-0").read_text()
        assert overtaken.startswith("Unavailable: ") == (before == decision_in(writes)), overtaken
        assert require_agreement(place) == expected == {"production": 3}, f"paused before {before}: {writes[before]}"


def while_it_sleeps(place: Place, sleeper: ForkServerProcess, cut: PostgresServer | None = None) -> dict[str, int]:
    """Put the third version into production while a process sleeps, wake it, and return what was where before that."""
    wait_for(lambda: state_of(sleeper.pid) == "T", within_s=180)
    if cut:
        cut.cut_connections(place.uri.rpartition("/")[2])
    ledger = place.ledger()
    for stage in ("staging", "production"):
        promote(ledger, f"{MODEL}/3", stage)
    expected = require_agreement(place)
    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join(180)
    assert sleeper.exitcode == 0
    return expected


def state_of(pid: int) -> str:
    """Return the letter of a process's state."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def decision_in(writes: list[str]) -> int:
    """Return the place of the write that is the decision: the last event that is appended."""
    return len(writes) - 1 - writes[::-1].index("append")


@pytest.mark.parametrize("copies", ["postgresql"], indirect=True)
@pytest.mark.parametrize("verb", VERBS)
def test_a_database_that_goes_away_is_said_and_the_next_command_finishes(copies: Copies, verb: str):
    """Before each write from the decision on."""
    writes = writes_of(copies.of(verb, "reached"), verb)
    for before in range(decision_in(writes), len(writes)):
        place = copies.of(verb, f"gone-{before}")
        ledger = fused(place.ledger(), Fuse(before=before, act=copies.postgres.shut_down))
        with pytest.raises(Unavailable):
            VERBS[verb](ledger)
        copies.postgres.start()
        assert command_line.run(["status"]) == 0
        require_agreement(place)


def test_a_tracking_server_that_goes_away_is_said_and_the_next_command_finishes(
    copies: Copies, monkeypatch: pytest.MonkeyPatch
):
    """The decision was recorded; what follows from it is done when the server is back."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    alias_moves = decision_in(writes_of(copies.of("promote", "unserved"), "promote")) + 1
    store = copies.of("promote", "served")
    port = free_port()
    place = Place(folder=store.folder, uri=f"http://127.0.0.1:{port}", history=store.uri)
    words = ("mlflow", "server", "--backend-store-uri", store.uri, "--port", str(port), "--workers", "1")

    @contextmanager
    def server() -> Iterator["subprocess.Popen[bytes]"]:
        log = place.folder / "server.log"
        with process(*words, folder=place.folder, log=log) as started:
            wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), within_s=180, log=log)
            yield started

    with server() as running:
        fuse = Fuse(before=alias_moves, act=lambda: (os.killpg(running.pid, signal.SIGKILL), running.wait()))
        ledger = fused(place.ledger(), fuse)
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            promote(ledger, f"{MODEL}/2", "production")
        assert fuse.writes[alias_moves - 1 : alias_moves + 1] == ["append", "set_alias"]
        assert command_line.run(["status"]) == 1
    with server():
        assert command_line.run(["status"]) == 0
        assert require_agreement(place) == {"production": 2}
