"""The door to what skops says of a stored model."""

from collections.abc import Sequence
from pathlib import Path

from skops.io import get_untrusted_types

from slipway.registry.gate.safety.skops_nodes import NotAsWrittenError


def untrusted_types(file: Path) -> Sequence[str]:
    """Return the types in a skops file, whatever its name, that skops does not know to be harmless, in order.

    Raises
    ------
    NotAsWrittenError
        skops cannot read it.
    """
    try:
        return sorted(set(get_untrusted_types(file=file)))
    except Exception as error:  # whatever it comes upon in a file that it did not write
        raise NotAsWrittenError(f"skops cannot read it: {type(error).__name__}: {str(error)[:120]!r}") from error
