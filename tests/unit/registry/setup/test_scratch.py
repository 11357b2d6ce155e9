"""Folders that killed commands left: this user's, ours, and old; nothing else in a folder that all share."""

import os
import time
from pathlib import Path

from slipway.registry.setup.scratch import scratch_leftovers


def test_old_folders_of_ours_may_go_and_nothing_else(tmp_path: Path):
    """Neither those of a command that runs, nor files, links, or what others named nearly so."""
    for name in ("slipway-gate-old", "slipway-gate-new", "slipway-project", "slipway-demo-data", "pytest-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model").write_text("12345")
    (tmp_path / "slipway-gate-file").write_text("somebody's")
    (tmp_path / "slipway-check-link").symlink_to(tmp_path / "pytest-1")
    then = time.time() - 3 * 24 * 3600
    for path in tmp_path.iterdir():
        if path.name != "slipway-gate-new":
            os.utime(path, (then, then), follow_symlinks=False)
    (found,) = scratch_leftovers(tmp_path)
    assert (found.place.name, found.size_bytes) == ("slipway-gate-old", 5)
    assert found.remove()
    assert len(list(tmp_path.iterdir())) == 6
