"""What an engine says is a line, whatever is in the names that it tells of."""

import logging

from slipway.serving.logs import PLAIN, PlainLines


def test_a_name_makes_no_line_of_its_own():
    """Whoever names a model could have written what the engine seems to say."""
    said = logging.LogRecord("slipway", logging.INFO, "f", 1, "%s moves", ("a\n2026 INFO 1 all is well\x1b[2J",), None)
    (line,) = PlainLines(PLAIN).format(said).splitlines()
    assert line.endswith(r"a 2026 INFO 1 all is well\x1b[2J moves")
