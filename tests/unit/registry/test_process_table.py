"""What Linux tells of processes: this one, and none that has ended."""

import os
import subprocess
import sys

from slipway.registry.process_table import living_processes, peak_bytes, proportional_bytes
from tests.servers.processes import wait_for


def test_this_process_is_among_the_living():
    """By its parent, group and session, with no more memory than it ever held."""
    (found,) = [each for each in living_processes() if each.id == os.getpid()]
    assert (found.parent, found.group, found.session) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert 0 < found.resident_bytes <= peak_bytes(os.getpid())
    assert 0 < proportional_bytes(os.getpid()) <= peak_bytes(os.getpid())


def test_one_that_has_ended_is_not():
    """Though nobody has asked yet how it ended; of none that is gone anything is known."""
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        wait_for(lambda: ended.pid not in (each.id for each in living_processes()), within_s=10)
    assert (peak_bytes(ended.pid), proportional_bytes(ended.pid)) == (0, 0)
