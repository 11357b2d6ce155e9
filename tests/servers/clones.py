"""A fresh copy of the project, and programs that are run in it."""

import shutil
import subprocess
from pathlib import Path

from tests.servers.processes import environment

ROOT = Path(__file__).parents[2]


def copied(folder: Path) -> Path:
    """Copy what is or would be committed into a folder, and return it."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def run(folder: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in the clone, and show what it said where it fails."""
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, env=environment(**more), check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done
