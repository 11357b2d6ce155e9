"""The door to a server's own copies of what was put into stages: made once, read back, and only then noted.

They lie among the artifacts that the server passes on, and are written past its guard, which lets nobody else. What
lies there and was not noted was not made here.
"""

import hashlib
import os
import posixpath
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.workspace_context import get_request_workspace

from slipway.registry.artifacts.kept_copies import copy_location
from slipway.registry.artifacts.locations import DEFAULT_WORKSPACE, in_workspace, proxied_path, unguarded
from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Corrupt, NotFound, Unavailable
from slipway.registry.manifest import copied, manifest_of
from slipway.registry.server.mlflow_bytes_in_s3 import BytesInS3


class Notes(Protocol):
    """Where copies lie, which only the server can write down."""

    def find(self, key: str) -> str | None:
        """Return where a copy lies; `None` where none is noted."""

    def note(self, key: str, location: str) -> None:
        """Note where a copy lies, in place of where one lay before."""


@dataclass(frozen=True, slots=True)
class KeptCopies:
    """The copies of a server, each of the files at a location, whose manifest has a digest.

    `stored_files` gives the local folder of what the server finds at a location, `NotFound` where there is none.
    """

    notes: Notes

    def find(self, logged: str, digest: str) -> str | None:
        """Return where the copy of what was logged lies; `None` where the server made none, or keeps nothing."""
        return self.notes.find(_key(logged, digest)) if os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR) else None

    @translated()
    def keep(self, logged: str, digest: str, what: str, stored_files: Callable[[str], Path]) -> None:
        """Have a whole copy of what was logged; one that was lost or changed is made anew, elsewhere.

        Raises
        ------
        Corrupt
            Other files were logged; `what` is the version in words.
        NotFound
            Nothing is there any more.
        Unavailable
            What is read back is not what was written.
        """
        there = self.find(logged, digest)
        destination = os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR, "")
        location = copy_location(logged, digest, secrets.token_hex(16), destination=destination)
        if not destination or location is None or (there is not None and _is_whole(there, digest, stored_files)):
            return
        with tempfile.TemporaryDirectory(prefix="slipway-copy-") as scratch:
            folder = copied(stored_files(logged), Path(scratch) / "files")
            manifest = manifest_of(folder)
            if manifest.digest != digest:
                raise Corrupt(
                    f"{what} is not stored as it was registered: its files are not those that were chosen",
                    code="artifacts-changed",
                    hint="find who changes them, and restore them or choose another version",
                )
            _repository(passed_on(location)).log_artifacts(str(folder))  # type: ignore[no-untyped-call]
            os.sync()  # where it is kept in a folder: a note that outlives a power cut is of files that do
            if manifest_of(stored_files(location)) != manifest:
                raise Unavailable(
                    f"the copy of {what} that was written to {location} is not there as it was written",
                    code="copy-not-whole",
                    hint="see who else writes to the server's store, then decide again",
                )
        self.notes.note(_key(logged, digest), location)


def _repository(place: str) -> ArtifactRepository:
    return BytesInS3(place) if place.startswith("s3:") else get_artifact_repository(place)


def _is_whole(location: str, digest: str, stored_files: Callable[[str], Path]) -> bool:
    try:
        return manifest_of(stored_files(location)).digest == digest
    except NotFound:
        return False


def _key(logged: str, digest: str) -> str:
    """Return by what a copy is noted: not by where the server keeps what it passes on, which may be moved."""
    workspace = get_request_workspace() or DEFAULT_WORKSPACE
    return hashlib.sha256(f"{workspace}\n{logged}\n{digest}".encode()).hexdigest()


def passed_on(location: str) -> str:
    """Return where the server itself finds what lies at a location, which it may pass on to others.

    Raises
    ------
    Unavailable
        This server passes nothing on.
    """
    path = proxied_path(location)
    if path is None:
        return location
    destination = os.environ.get(ARTIFACTS_DESTINATION_ENV_VAR)
    if not destination:
        raise Unavailable(
            f"{location} is kept by a server that passes artifacts on, and this one does not",
            code="artifacts-elsewhere",
            hint="start it with --serve-artifacts",
        )
    return posixpath.join(unguarded(destination), in_workspace(path, get_request_workspace() or DEFAULT_WORKSPACE))
