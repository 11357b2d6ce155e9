"""The door to model files in S3: download a folder, upload a folder, say what is stored.

Whatever S3 does, each of these ends: done, or with an error that says what to do.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from registry.manifest import Manifest
from registry.s3_client import Connection, connect, place_of
from registry.s3_download import download
from registry.s3_listing import Listing, list_folder, wanted
from registry.s3_upload import upload


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """A folder in S3 as it was listed: it is downloaded so, or not at all."""

    listing: Listing
    connection: Connection

    @property
    def fingerprint(self) -> str:
        """Return a name of its content: other bytes have another."""
        return self.listing.fingerprint

    @property
    def size_bytes(self) -> int:
        """Return the size of its files."""
        return self.listing.size_bytes

    def download(self, into: Path) -> None:
        """Write its files below a folder; raises as `download_folder` does."""
        download(self.listing, into, self.connection)


def look(uri: str, connection: Connection | None = None) -> StoredFolder:
    """Return what is stored below `s3://bucket/path` now; raises as `download_folder` does."""
    connection = connection or connect_here()
    return StoredFolder(list_folder(uri, connection), connection)


def download_folder(uri: str, into: Path, manifest: Manifest | None, connection: Connection | None = None) -> Listing:
    """Write the files below `s3://bucket/path`, or those of a manifest, below a folder; return what was listed.

    A second call goes on where a broken one was, and asks for the listing alone after a whole one. Sizes are compared
    with the manifest before anything is fetched; the bytes are compared by whoever asked, the artifact cache for one.

    Raises
    ------
    NotFound
        Nothing is stored there.
    Corrupt
        A file is missing, has another size, or was overwritten meanwhile.
    Unavailable
        S3 does not answer, refuses, or takes too long; what was fetched is kept.
    """
    connection = connection or connect_here()
    listing = wanted(list_folder(uri, connection), manifest)
    download(listing, into, connection)
    return listing


def upload_folder(folder: Path, uri: str, connection: Connection | None = None) -> None:
    """Store the files of a folder below `s3://bucket/path`, over others of the same names; `MLmodel` comes last.

    Raises
    ------
    Unavailable
        S3 does not answer, refuses, or takes too long; no part of a large file is left there.
    """
    upload(folder, place_of(uri), connection or connect_here())


def connect_here() -> Connection:
    """Return the connection that this process's variables describe, made once for each state of them."""
    about = ("AWS_", "MLFLOW_S3_", "MLFLOW_BOTO_", "MLFLOW_EXPERIMENTAL_S3_")
    return _connect(tuple(sorted(item for item in os.environ.items() if item[0].startswith(about))))


@lru_cache(maxsize=4)
def _connect(variables: tuple[tuple[str, str], ...]) -> Connection:
    return connect(dict(variables))
