"""The door to stored files: a local folder for what MLflow keeps on this disk, in S3, or behind its server."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import mlflow.artifacts
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.artifacts.mlflow_location import is_local, location_of
from slipway.registry.errors import NotFound
from slipway.registry.manifest import Manifest

S3 = "s3:"


class ReadableFolder(Protocol):
    """A folder in an object store as it is now."""

    @property
    def fingerprint(self) -> str | None:
        """Return a name of its content: other bytes have another. What was written just now has none."""

    @property
    def size_bytes(self) -> int:
        """Return the size of its files."""

    def require_files_of(self, manifest: Manifest) -> None:
        """Raise `Corrupt` where it has other files than a manifest, or files of other sizes."""

    def download(self, into: Path) -> None:
        """Write its files, or raise when they are not any more what they were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """Where files that are not on this disk are kept, and how to look into S3."""

    cache: ArtifactCache
    look_in_s3: Callable[[str], ReadableFolder]


class MlflowFiles:
    """Local folders of stored files: the store itself where that is on this disk, else in the artifact cache.

    Files in S3 are fetched once for each content that is listed there. Those behind a tracking server are fetched anew
    each time, since it does not say whether they changed, and are kept once. What was returned stays in the cache
    while this object lives. Without a cache everything is downloaded into temporary folders, by MLflow.
    """

    def __init__(self, client: MlflowClient, cached: Cached | None) -> None:
        self._client = client
        self._cached = cached
        self._held: dict[Path, AbstractContextManager[Path]] = {}

    def folder_of(self, uri: str) -> Path:
        """Return the local folder of the files that a URI of MLflow's names; `NotFound` where nothing is stored."""
        location = location_of(uri, self._client)
        if self._cached is None or is_local(location):
            return _in_place(uri)
        if location.startswith(S3):
            stored = self._cached.look_in_s3(location)
            _, folder = self._cached.cache.adopt(
                stored.download, source=stored.fingerprint, size_bytes=stored.size_bytes
            )
        else:
            _, folder = self._cached.cache.adopt(partial(_downloaded, location))
        return self._hold(folder, self._cached.cache)

    def folder_of_run(self, run_id: str, path: str) -> Path | None:
        """Return the local folder of the files below a path of a run's artifacts; `None` where there are none."""
        uri = f"runs:/{run_id}/{path}"
        listed_by_mlflow = self._cached is None or not location_of(uri, self._client).startswith(S3)
        if listed_by_mlflow and not self._client.list_artifacts(run_id, path):
            return None
        try:
            return self.folder_of(uri)
        except NotFound:
            return None

    def fetch(self, uri: str, into: Path, manifest: Manifest | None) -> None:
        """Write the files that a URI of MLflow's names below a folder; from S3, go on with what is there already.

        Raises
        ------
        NotFound
            Nothing is stored there.
        Corrupt
            The files in S3 cannot be the manifest's: then nothing is fetched.
        """
        location = location_of(uri, self._client)
        if is_local(location):
            shutil.copytree(_in_place(uri), into, dirs_exist_ok=True)
        elif self._cached is not None and location.startswith(S3):
            stored = self._cached.look_in_s3(location)
            if manifest is not None:
                stored.require_files_of(manifest)
            stored.download(into)
        else:
            _downloaded(location, into)

    def _hold(self, folder: Path, cache: ArtifactCache) -> Path:
        if folder not in self._held:
            held = cache.hold(folder)
            held.__enter__()
            self._held[folder] = held
        return folder


def _in_place(uri: str) -> Path:
    """Return the store's own folder where it is on this disk; a temporary one, by MLflow, where it is not."""
    try:
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    except OSError as error:
        raise NotFound(f"nothing is stored at {uri} any more", code="artifacts-gone", hint=None) from error


def _downloaded(location: str, into: Path) -> None:
    """Have MLflow write the files at a location below a folder; by its other function they come into one of theirs."""
    get_artifact_repository(location).download_artifacts("", dst_path=str(into))  # type: ignore[no-untyped-call]
