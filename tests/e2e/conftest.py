"""What tests of the whole loop share: a fresh copy of the project."""

from pathlib import Path

import pytest

from tests.servers.clones import copied


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a fresh copy of what is or would be committed."""
    return copied(tmp_path / "clone")
