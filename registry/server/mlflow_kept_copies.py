"""The door to a server's own copies of what was put into stages: made once, read back, and marked as whole at the end.

They lie among the artifacts that the server passes on, and are written past its guard, which lets nobody else.
"""

import os
import posixpath
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.server.constants import ARTIFACTS_DESTINATION_ENV_VAR
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.workspace_context import get_request_workspace

from slipway.registry.artifacts.locations import DEFAULT_WORKSPACE, in_workspace, proxied_path, unguarded
from slipway.registry.artifacts.mlflow_errors import translated
from slipway.registry.errors import Corrupt, Unavailable
from slipway.registry.manifest import copied, manifest_of

WHOLE = ".json"  # beside a copy, its manifest: written when the copy was read back


@dataclass(frozen=True, slots=True)
class KeptCopies:
    """The copies of a server, each named by its location."""

    _known: set[str] = field(default_factory=set)

    @translated()
    def has(self, location: str) -> bool:
        """Return whether there is a whole copy; what was found once is not looked for again."""
        place = passed_on(location)
        if place not in self._known:
            above, name = posixpath.split(place)
            beside = get_artifact_repository(above).list_artifacts()
            if name + WHOLE not in (posixpath.basename(each.path) for each in beside):
                return False
            self._known.add(place)
        return True

    @translated()
    def make(self, location: str, digest: str, files: Path, read_back: Callable[[str], Path]) -> None:
        """Copy the files of a folder, whose manifest has a digest; a copy that broke off is written over.

        Raises
        ------
        Corrupt
            The folder has other files.
        Unavailable
            What is read back is not what was written.
        """
        place = passed_on(location)
        with tempfile.TemporaryDirectory(prefix="slipway-copy-") as scratch:
            folder = copied(files, Path(scratch) / "files")
            manifest = manifest_of(folder)
            if manifest.digest != digest:
                raise Corrupt(
                    "the files were changed while a copy of them was made: they are not those that the decision names",
                    code="artifacts-changed",
                    hint="find who changes them, then decide again",
                )
            get_artifact_repository(place).log_artifacts(str(folder))  # type: ignore[no-untyped-call]
            if manifest_of(read_back(place)) != manifest:
                raise Unavailable(
                    f"the copy that was written to {location} is not there as it was written",
                    code="copy-not-whole",
                    hint="see who else writes to the server's store, then decide again",
                )
            above, name = posixpath.split(place)
            mark = Path(scratch) / (name + WHOLE)
            mark.write_text(manifest.to_json())
            get_artifact_repository(above).log_artifact(str(mark))  # type: ignore[no-untyped-call]


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
