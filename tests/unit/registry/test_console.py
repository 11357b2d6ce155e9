"""What people see of tables."""

import io
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from slipway import command_line
from slipway.registry.console import print_table, progress, say
from slipway.registry.errors import Conflict
from slipway.training.spec import READING


def test_brackets_are_shown_and_no_markup(capsys: pytest.CaptureFixture[str]):
    """Reasons name formats and columns in them."""
    print_table("policy [draft]", ["reason"], [["allow it: [cloudpickle]"]])
    said = capsys.readouterr().out
    assert "policy [draft]" in said
    assert "allow it: [cloudpickle]" in said


@pytest.mark.parametrize("wicked", ["\x1b[2J", "\x9b31m", "\x08", "\r", "\u202e", "\udcff", "\0"])
def test_nothing_that_somebody_wrote_moves_the_cursor(capsys: pytest.CaptureFixture[str], wicked: str):
    """Neither in tables nor in what is said, errors included; what no terminal could be sent is written out."""
    print_table(f"a{wicked}b", ["reason"], [[f"c{wicked}d"]])
    say(f"e{wicked}f")
    command_line.report(Conflict(f"g{wicked}h", code="x", hint=f"i{wicked}j"), as_json=False)
    said = "".join(capsys.readouterr())
    assert wicked not in said
    assert "e" + ascii(wicked)[1:-1] + "f" in said


def test_an_error_is_one_line_whatever_reason_it_repeats(capsys: pytest.CaptureFixture[str]):
    """Another's reason cannot pretend to be a line of ours."""
    command_line.report(Conflict("was archived: bad\nhint: rm -rf", code="x", hint=None), as_json=False)
    assert capsys.readouterr().err == "error: was archived: bad hint: rm -rf\n"


def text_options(command: click.Command, words: list[str]) -> Iterator[list[str]]:
    """Yield the words that give an empty text to each option that takes one."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from text_options(inner, [*words, name])
    for option in command.params:
        if isinstance(option, click.Option) and isinstance(option.type, click.types.StringParamType):
            yield [*words, f"{option.opts[0]}="]


# Parameters of an MLproject cannot be absent: there an empty one means not given. An empty reason is refused by the
# decision, which tells what it needs.
EMPTY = [
    words
    for name in command_line.COMMANDS
    if name not in ("train", "tune")
    for words in text_options(command_line.LazyGroup().get_command(click.Context(command_line.cli), name), [name])
    if words[-1] != "--reason=" and words not in [["evaluate", f"--{option}="] for option in READING]
]


@pytest.mark.parametrize("words", EMPTY, ids=" ".join)
def test_an_option_with_an_empty_text_is_not_taken_for_one_that_was_left_out(
    capsys: pytest.CaptureFixture[str], words: list[str]
):
    """An unset variable of a shell leaves one; what was asked for is not what would be answered."""
    assert command_line.run(words) == 2
    said = capsys.readouterr().err
    assert f"Invalid value for '{words[-1].removesuffix('=')}'" in said
    assert "it is empty; give a text, or leave the option out" in said


def test_the_options_that_take_text_are_found():
    """Those of history among them."""
    assert ["history", "--at="] in EMPTY
    assert ["history", "--head="] in EMPTY
    assert ["demote", "--to="] in EMPTY


def test_a_command_that_is_none_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]):
    """People mistype them."""
    assert command_line.run(["trian"]) == 2
    assert "no such command 'trian' (did you mean 'train'?)" in capsys.readouterr().err


REASON = ["--reason", "x"]
NEED_A_STORE = [
    ["versions", "m"],
    ["compare", "m/1", "m/2"],
    ["register", "m/1", *REASON],
    ["gate", "m/1", "--to", "staging"],
    ["approve", "m/1", "--to", "staging", *REASON],
    ["promote", "m/1", "--to", "staging", *REASON],
    ["rollback", "m", *REASON],
    ["status"],
    ["adopt", "m@production", *REASON],
    ["demote", "m/1", *REASON],
    ["archive", "m/1", *REASON],
    ["evaluate", "m/1", "--data", "sklearn:iris", "--target", "target"],
]
NEED_AN_ANSWER = [["train", "--data", "sklearn:iris", "--target", "target", "--model", "m"], ["history", "m"]]


@pytest.mark.parametrize("words", NEED_A_STORE, ids=lambda words: words[0])
def test_commands_that_read_make_no_store(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """An empty one would be in the wrong folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert command_line.run(words) == 1
    assert "there is no store here" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [*NEED_A_STORE, *NEED_AN_ANSWER], ids=lambda words: words[0])
def test_a_server_that_is_not_there_is_told_at_once(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """MLflow's client would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    assert command_line.run(words) == 1
    assert f"nothing answers at http://127.0.0.1:{port}" in capsys.readouterr().err


def test_no_box_is_wider_than_a_pipe_takes_and_long_texts_stand_below_it_whole(capsys: pytest.CaptureFixture[str]):
    """So that they can be read, and found by whoever searches."""
    reason = "because " * 40
    rows = [["1", "trained", "x" * 60, ""], ["2", reason, "y" * 60, "short"]]
    print_table("events", ["#", "why", "digest", "note"], rows)
    lines = capsys.readouterr().out.splitlines()
    box = [line for line in lines if line[:1] in "┏┃┡│└"]
    assert max(map(len, box)) <= 120
    assert f"2: why: {reason}".rstrip() in [line.rstrip() for line in lines]
    assert "1: why: trained" in lines
    assert any("y" * 60 in line and "short" in line for line in box)


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (120, 120), (300, 120)])
def test_a_box_fits_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int, widest: int):
    """And is no wider on a wide one: eyes lose the line."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    print_table("events", ["#", "what", "why", "who"], [["1", "w" * 35, "y" * 70, "a" * 30]])
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(len(line) for line in lines if line[:1] in "┏┃┡│└") <= widest
    assert any("y" * 70 in line for line in lines)


def test_what_names_a_row_stays_in_the_box(capsys: pytest.CaptureFixture[str]):
    """However long it is; a column without a header marks, and names none."""
    print_table(
        "parameters", ["", "parameter", "m/1", "m/2"], [["≠", "p" * 40, "1" * 100, "2" * 100], ["", "q", "", ""]]
    )
    said = capsys.readouterr().out
    assert f"{'p' * 40}: m/1: {'1' * 100}; m/2: {'2' * 100}" in said
    assert "│ ≠ │" in said


def test_progress_is_told_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch):
    """A pipe's reader waits for the end; on a terminal a command that takes long says so before its imports."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stderr, said in ((io.StringIO(), ""), (Terminal(), "slipway gate: starting …\nchampion: PASS\n")):
        monkeypatch.setattr(sys, "stderr", stderr)
        command_line.tell_that_it_begins("gate")
        progress("champion: PASS")
        assert stderr.getvalue() == said
    assert set(command_line.TAKE_LONG) <= set(command_line.COMMANDS)
