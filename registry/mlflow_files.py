"""The door to stored files: a local folder for what MLflow keeps on this disk, in S3, or behind its server."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import mlflow.artifacts
from mlflow import MlflowClient

from registry.artifact_cache import ArtifactCache
from registry.errors import NotFound
from registry.mlflow_location import location_of

LOCAL = ("file:", "/", ".")


class StoredFolder(Protocol):
    """A folder in an object store as it is now."""

    @property
    def fingerprint(self) -> str:
        """Return a name of its content: other bytes have another."""

    @property
    def size_bytes(self) -> int:
        """Return the size of its files."""

    def download(self, into: Path) -> None:
        """Write its files, or raise when they are not any more what they were."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cached:
    """Where files that are not on this disk are kept, and how to look into S3."""

    cache: ArtifactCache
    look_in_s3: Callable[[str], StoredFolder]


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
        """Return the local folder of the files that a URI of MLflow's names.

        Raises
        ------
        NotFound
            Nothing is stored there.
        """
        location = location_of(uri, self._client)
        if self._cached is None or location.startswith(LOCAL):
            return _in_place(uri)
        if location.startswith("s3:"):
            stored = self._cached.look_in_s3(location)
            _, folder = self._cached.cache.adopt(
                stored.download, source=stored.fingerprint, size_bytes=stored.size_bytes
            )
        else:
            _, folder = self._cached.cache.adopt(partial(_downloaded, location))
        return self._hold(folder, self._cached.cache)

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


def _downloaded(uri: str, into: Path) -> None:
    mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(into))
