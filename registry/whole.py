"""Whether a version's stored files are still those that it was registered with."""

from collections.abc import Sequence
from pathlib import Path

from registry.decide import Ledger
from registry.errors import Corrupt, NotFound
from registry.events import EventKind
from registry.history import Record
from registry.identity import uid_of
from registry.manifest import Manifest, differences, manifest_of
from registry.model_registry import ModelRegistry
from registry.version import Version

NAMED_AT_MOST = 5


def require_whole(version: Version, about: Sequence[Record], registry: ModelRegistry, *, else_do: str) -> Path:
    """Read every stored file of a version, compare it with what the ledger recorded, and return the folder.

    A version that came without a manifest (trained elsewhere) only has to be there. `else_do` is what to do with one
    that is not whole, for the hint.

    Raises
    ------
    NotFound
        Nothing is stored any more.
    Corrupt
        A file is missing, changed or extra.
    """
    try:
        folder = registry.stored_files(version.source)
    except NotFound as error:
        raise NotFound(
            f"{version} has no stored files any more",
            code="artifacts-gone",
            hint=else_do,
        ) from error
    recorded = recorded_manifest(about)
    differing = differences(recorded, manifest_of(folder)) if recorded else ()
    if differing:
        more = f" and {len(differing) - NAMED_AT_MOST} more" if len(differing) > NAMED_AT_MOST else ""
        raise Corrupt(
            f"{version} is not stored as it was registered: {'; '.join(differing[:NAMED_AT_MOST])}{more}",
            code="artifacts-changed",
            hint=f"restore its files, or {else_do}",
        )
    return folder


def records_about(version: Version, ledger: Ledger) -> Sequence[Record]:
    """Return what the ledger recorded about a version."""
    model_uid = uid_of(ledger.registry.model(version.model), ledger.history, ledger.registry.model)
    return ledger.history.about(model_uid, version.number)


def recorded_manifest(about: Sequence[Record]) -> Manifest | None:
    """Return the manifest that a version's registration or adoption recorded, from the records about it."""
    for record in about:
        if record.kind in (EventKind.VERSION_REGISTERED, EventKind.VERSION_ADOPTED):
            stored = record.event.details.get("manifest")
            if stored:
                return Manifest.from_json(stored)
    return None
