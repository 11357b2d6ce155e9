"""The help of every command, reviewed as a diff: set GOLDEN=write to take over a change."""

import os
from pathlib import Path

import pytest

from slipway import command_line

GOLDEN = Path(__file__).parent / "help"


@pytest.mark.parametrize("command", ["", *command_line.COMMANDS])
def test_help_says_what_was_reviewed(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """A changed option or word is seen before its users see it."""
    monkeypatch.setenv("COLUMNS", "100")
    assert command_line.run([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    path = GOLDEN / f"{command or 'slipway'}.txt"
    if os.environ.get("GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown)
    assert shown == path.read_text()
