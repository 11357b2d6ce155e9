"""Where a version's files lie, and whether they are still those that it was registered with.

A version is resolved once, when it is recorded: the ledger has the storage location and the manifest. What reads files
afterwards reads them there, whatever the version's source has come to mean.
"""

from collections.abc import Sequence
from pathlib import Path

from slipway.registry.artifacts.kept_copies import is_copy, is_copy_of
from slipway.registry.errors import Conflict, Corrupt, NotFound
from slipway.registry.ledger.chain import Record
from slipway.registry.ledger.events import EventKind
from slipway.registry.ledger.identity import uid_of
from slipway.registry.ledger.ledger import Ledger
from slipway.registry.manifest import Manifest, copied, differences, manifest_of
from slipway.registry.model_registry import ModelRegistry
from slipway.registry.version import Version

NAMED_AT_MOST = 5
RECORDING = (EventKind.VERSION_REGISTERED, EventKind.VERSION_ADOPTED)


def require_whole(
    version: Version, about: Sequence[Record], registry: ModelRegistry, *, else_do: str, into: Path | None = None
) -> Path:
    """Read every stored file of a version, compare it with what the ledger recorded, and return the folder.

    A version that came without a manifest (trained elsewhere) only has to be there. `else_do` is what to do with one
    that is not whole, for the hint. With `into` the files are copied there first: what is compared is then what whoever
    asks works with, whoever changes the store meanwhile.

    Raises
    ------
    Conflict
        MLflow serves the version from elsewhere than was recorded.
    NotFound
        Nothing is stored any more.
    Corrupt
        A file is missing, changed or extra.
    """
    require_served(version, about, registry)
    try:
        folder = registry.stored_files(place_to_read(version, about, registry))
    except NotFound as error:
        raise NotFound(
            f"{version} has no stored files any more",
            code="artifacts-gone",
            hint=else_do,
        ) from error
    if into is not None:
        folder = copied(folder, into)
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


def place_to_read(version: Version, about: Sequence[Record], registry: ModelRegistry) -> str:
    """Return where a version's files are read: a server's own copy, where it has one of what the ledger recorded.

    Else where the ledger has them, or where MLflow reads them now.
    """
    served = registry.location(version)
    return served if _is_copy_of_recorded(served, about) else recorded_location(about) or served


def require_known_place(version: Version, about: Sequence[Record], registry: ModelRegistry) -> None:
    """Refuse to judge or promote a version of which nobody knows what MLflow will serve tomorrow.

    One that was never recorded has to lie where no name can lead elsewhere; one that was recorded before places were is
    held by its manifest. A rollback asks for less: it goes back to what was served before.

    Raises
    ------
    Conflict
        It is served from elsewhere than was recorded, or may be tomorrow.
    """
    require_served(version, about, registry)
    if recorded_manifest(about) is None:
        registry.require_fixed(version)


def require_served(version: Version, about: Sequence[Record], registry: ModelRegistry) -> None:
    """Refuse a version that MLflow serves from elsewhere than the ledger has it.

    Raises
    ------
    Conflict
        It does.
    """
    recorded = recorded_location(about)
    served = registry.location(version) if recorded else None
    if served != recorded and not (served and _is_copy_of_recorded(served, about)):
        raise Conflict(
            f"{version} is recorded with its files at {recorded}, and MLflow serves it from {served}",
            code="served-from-elsewhere",
            hint=f'slipway register {version} --reason "…" records where they were moved, if they are the same files',
        )


def _is_copy_of_recorded(served: str, about: Sequence[Record]) -> bool:
    recorded = recorded_manifest(about)
    return is_copy_of(served, recorded.digest) if recorded else is_copy(served)


def records_about(version: Version, ledger: Ledger) -> Sequence[Record]:
    """Return what the ledger recorded about a version."""
    model_uid = uid_of(ledger.registry.model(version.model), ledger.history, ledger.registry.model)
    return ledger.history.about(model_uid, version.number)


def recorded_location(about: Sequence[Record]) -> str | None:
    """Return where the ledger last recorded a version's files; `None` where an old Slipway or nobody recorded it."""
    for record in reversed(about):
        if record.kind in RECORDING and (location := record.event.details.get("location")):
            return str(location)
    return None


def recorded_manifest(about: Sequence[Record]) -> Manifest | None:
    """Return the manifest that a version's registration or adoption recorded, from the records about it."""
    for record in about:
        if record.kind in RECORDING:
            stored = record.event.details.get("manifest")
            if stored:
                return Manifest.from_json(stored)
    return None
