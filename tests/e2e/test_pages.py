"""The pages for every day, typed as they stand there, one after the other in one repository."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.servers.processes import environment, free_port

ROOT = Path(__file__).parents[2]
NOT_RUN, PORT = "# not run", "8080"
TRAIN = "slipway train --data sklearn:iris --target target --model iris --estimator logistic --importance-seconds 0.1"


def blocks(page: Path) -> str:
    """Return the commands of a page; what stands in fences is for other programs."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line[4:] for line in text.splitlines() if line.startswith("    ") and NOT_RUN not in line)


def typed(commands: str, folder: Path) -> str:
    """Run commands in a folder until the first that fails, and return what they print."""
    words = ["bash", "-c", f"set -em\n{commands}"]
    done = subprocess.run(
        words, cwd=folder, env=environment(), capture_output=True, text=True, check=False, timeout=600
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    assert "Traceback" not in said
    return said


@pytest.mark.long
def test_the_pages_for_every_day_run(tmp_path: Path):
    """In your own repository; backed up, restored, cleaned and uninstalled; then a night later."""
    folder = tmp_path / "a team's churn"
    folder.mkdir()
    typed(TRAIN, folder)
    said = typed(blocks(ROOT / "docs" / "your-repository.md"), folder)
    assert "promotion.yaml is valid" in said
    assert "MB of 50" in said
    said = typed(blocks(ROOT / "docs" / "keep.md"), folder)
    assert "next: slipway clean --apply" in said or "nothing here may go" in said
    assert not (folder / ".slipway").exists()
    said = typed(blocks(ROOT / "docs" / "nightly.md"), folder)
    assert "exit code" not in said
    assert "nothing was there before" in said
    assert "nightly" in said


@pytest.mark.slow
def test_the_readmes_first_lines_lead_to_a_prediction(tmp_path: Path):
    """Ten lines, of which the first two make the environment that this test has."""
    text = (ROOT / "README.md").read_text()
    first = text[text.index("## Ten lines") :]
    first = first[: first.index("\n## ", 1)]
    lines = [line[4:] for line in first.splitlines() if line.startswith("    ")]
    assert len(lines) == 10
    here = [line for line in lines if not line.startswith(("git clone", "make "))]
    said = typed("\n".join([*here, "kill %1", "wait"]).replace(PORT, str(free_port())), tmp_path)
    assert '{"predictions":[0]}' in said
