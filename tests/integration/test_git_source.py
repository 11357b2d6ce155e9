"""A run records which commit trained it, and whether the tree had changes beside it."""

import subprocess
from pathlib import Path

import pytest

from slipway.training.git_source import code_version


def git(folder: Path, *words: str) -> str:
    """Run git in a folder with an author of its own."""
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    return subprocess.run(
        ["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a work tree with one commit."""
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def test_the_commit_is_named_in_full(repository: Path):
    """Also from a folder below, and clean as long as nothing tracked changed."""
    (repository / "below").mkdir()
    (repository / "untracked.txt").write_text("x")
    found = code_version(repository / "below")
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert not found.dirty


def test_a_changed_file_makes_it_dirty(repository: Path):
    """The commit alone would not give the same model again."""
    (repository / "code.py").write_text("2")
    assert code_version(repository).dirty


def test_outside_a_repository_there_is_no_version(tmp_path: Path):
    """Nor before the first commit."""
    assert code_version(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert code_version(tmp_path) is None
