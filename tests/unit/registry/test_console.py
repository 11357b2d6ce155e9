"""What people see of tables."""

import pytest

from registry.console import print_table


def test_brackets_are_shown_and_no_markup(capsys: pytest.CaptureFixture[str]):
    """Reasons name formats and columns in them."""
    print_table("policy [draft]", ["reason"], [["allow it: [cloudpickle]"]])
    said = capsys.readouterr().out
    assert "policy [draft]" in said
    assert "allow it: [cloudpickle]" in said
