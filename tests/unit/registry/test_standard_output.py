"""With `--json`, standard output holds one document, whatever else is written there."""

import json
import subprocess
import sys

import pytest

from slipway import command_line
from slipway.registry.standard_output import DOCUMENTS

NOISY = """
import os, subprocess, sys
from slipway.registry.standard_output import DOCUMENTS
print("before")
with DOCUMENTS.alone():
    print("a library's word")
    os.write(1, b"one in C\\n")
    subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
    DOCUMENTS.write('{"found": "Köln"}')
print("after")
os.write(1, b"the end\\n")
"""


def test_only_documents_reach_standard_output():
    """What Python, C and child processes write meanwhile goes to standard error; afterwards all is as before."""
    shown = subprocess.run([sys.executable, "-X", "utf8", "-c", NOISY], capture_output=True, check=True)
    assert shown.stdout.decode().splitlines() == ["before", '{"found": "Köln"}', "after", "the end"]
    assert set(shown.stderr.decode().splitlines()) == {"a library's word", "one in C", "a child"}


def test_a_stream_in_its_place_is_used_as_it_is(capsys: pytest.CaptureFixture[str]):
    """Whoever captures standard output gets the document there, and the rest as errors."""
    with DOCUMENTS.alone():
        print("noise")
        DOCUMENTS.write("{}")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("{}\n", "noise\n")


def test_an_error_is_the_only_document(capsys: pytest.CaptureFixture[str]):
    """Also one of the command line itself."""
    assert command_line.run(["train", "--json", "--nonsense"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"
