"""The door to what skops says of a stored model."""

from collections.abc import Sequence
from pathlib import Path

from skops.io import get_untrusted_types


def untrusted_types(file: Path) -> Sequence[str]:
    """Return the types in a skops file, whatever its name, that skops does not know to be harmless, in order."""
    return sorted(set(get_untrusted_types(file=file)))
