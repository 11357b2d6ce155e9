"""The door to what skops says of a stored model."""

from collections.abc import Sequence
from pathlib import Path

from skops.io import get_untrusted_types


def untrusted_types(folder: Path) -> Sequence[str]:
    """Return the types in a folder's skops files that skops does not know to be harmless, in order."""
    found = {name for path in folder.rglob("*.skops") for name in get_untrusted_types(file=path)}
    return sorted(found)
