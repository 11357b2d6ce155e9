"""Which commit of the code trained a model, and whether the tree had changes beside it."""

from dataclasses import dataclass
from pathlib import Path

import git


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeVersion:
    """A commit's full hash, and whether tracked files differed from it."""

    commit: str
    dirty: bool


def code_version(folder: Path) -> CodeVersion | None:
    """Return the version of the git work tree around a folder; `None` outside one or before its first commit."""
    try:
        repository = git.Repo(folder, search_parent_directories=True)
        return CodeVersion(commit=repository.head.commit.hexsha, dirty=repository.is_dirty())
    except (git.InvalidGitRepositoryError, ValueError):
        return None
