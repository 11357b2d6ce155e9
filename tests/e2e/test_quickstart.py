"""The quickstart, typed as it stands there."""

import subprocess
from pathlib import Path

import pytest

from tests.servers.processes import environment, free_port

PAGE = Path(__file__).parents[2] / "docs" / "quickstart.md"
NOT_RUN, PORT = "# not run", "8097"


@pytest.mark.slow
def test_every_block_of_the_quickstart_runs(tmp_path: Path):
    """One after the other, in an empty folder; only the port is another."""
    lines = [line[4:] for line in PAGE.read_text().splitlines() if line.startswith("    ") and NOT_RUN not in line]
    script = "\n".join(["set -em", *lines]).replace(PORT, str(free_port()))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert '{"predictions":[0]}' in done.stdout
    assert "wine/1" in done.stdout
    assert "Traceback" not in done.stderr
