"""What people see of tables."""

import pytest

import slipway
from registry.console import print_table, say
from registry.errors import Conflict


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
    slipway.report(Conflict(f"g{wicked}h", code="x", hint=f"i{wicked}j"), as_json=False)
    said = "".join(capsys.readouterr())
    assert wicked not in said
    assert "e" + ascii(wicked)[1:-1] + "f" in said


def test_an_error_is_one_line_whatever_reason_it_repeats(capsys: pytest.CaptureFixture[str]):
    """Another's reason cannot pretend to be a line of ours."""
    slipway.report(Conflict("was archived: bad\nhint: rm -rf", code="x", hint=None), as_json=False)
    assert capsys.readouterr().err == "error: was archived: bad hint: rm -rf\n"
