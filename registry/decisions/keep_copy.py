"""The copy that a server keeps of what is put into a stage: made before that is recorded, and anew where it is lost."""

from slipway.registry.ledger.ledger import Ledger
from slipway.registry.ledger.model_state import chosen_files
from slipway.registry.ledger.situation import Situation


def keep_copy(number: int, situation: Situation, ledger: Ledger, chosen: str | None = None) -> None:
    """Have a copy of what is put into a stage kept, where a server does so: by its name, MLflow serves the copy.

    `chosen` is the digest of its files, by default that of the last decision for it. What was decided before any named
    files has none, nor has a version that was deleted.
    """
    digest = chosen or chosen_files(situation.moves, number)
    found = ledger.registry.numbered(situation.model, [number]) if digest else ()
    for version in found:
        ledger.keep_copy(version, str(digest))
