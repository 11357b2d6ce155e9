"""What an image holds: a version's files in a folder, and beside them a card that says which version they are.

An engine serves from it without a registry. The card was written when the version was packaged: after its files were
compared with what the history recorded, and a gate had passed them or somebody had answered for it. It names no stage
and no alias: those move, and an image does not.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slipway.registry.errors import Corrupt, NotFound
from slipway.registry.manifest import CARD, Manifest
from slipway.registry.versions.aliases import AliasHolder
from slipway.registry.versions.occupants import StageView

STAGE = "image"


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagedVersion:
    """A version as its card has it; `identity` tells it from every other of its number, as in the registry."""

    model: str
    number: int
    identity: str
    manifest: Manifest
    run_id: str | None = None
    git_commit: str | None = None

    def to_json(self) -> str:
        """Return canonical JSON: the same version gives the same text."""
        document = {**asdict(self), "manifest": json.loads(self.manifest.to_json()), "digest": self.manifest.digest}
        return json.dumps(document, sort_keys=True, indent=1)


def packaged_version(folder: Path) -> PackagedVersion:
    """Return what a folder holds, by its card.

    Raises
    ------
    NotFound
        There is no card.
    Corrupt
        It cannot be read, or its digest is another one's.
    """
    place = folder / CARD
    try:
        document: dict[str, Any] = json.loads(place.read_text())
        digest, manifest = document.pop("digest"), Manifest.from_json(json.dumps(document.pop("manifest")))
        found = PackagedVersion(**document, manifest=manifest)
    except FileNotFoundError:
        raise NotFound(
            f"{folder} holds no packaged version: it has no {CARD}",
            code="nothing-packaged",
            hint="slipway image MODEL@STAGE makes an image that has one; SLIPWAY_SERVING__IMAGE says where it lies",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable(place, f"{type(error).__name__}: {error}") from error
    if manifest.digest != digest:
        raise _unreadable(place, f"it says {digest}, and its manifest is {manifest.digest}")
    return found


def _unreadable(place: Path, why: str) -> Corrupt:
    return Corrupt(f"{place} is not as it was written: {why}", code="card-changed", hint="pull the image anew")


class PackagedViews:
    """What an engine polls where it has an image in a registry's place: one version, in one stage, for good."""

    def __init__(self, version: PackagedVersion) -> None:
        self._version = version

    @property
    def has_history(self) -> bool:
        """Return that no history is here: what it decided is in the card."""
        return False

    def models_with(self, alias: str) -> tuple[str, ...]:
        """Return the model, for the stage that images have."""
        return (self._version.model,) if alias == STAGE else ()

    def model_names(self) -> tuple[str, ...]:
        """Return the model's name."""
        return (self._version.model,)

    def look(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], StageView]:
        """Return the version, with the files that were chosen for it."""
        there = (self._version.model, STAGE)
        holder = AliasHolder(number=self._version.number, identity=self._version.identity)
        view = StageView(
            holder=holder,
            occupant=holder,
            number=holder.number,
            is_recorded=True,
            manifest=self._version.manifest.digest,
        )
        return {there: view} if there in wanted else {}
