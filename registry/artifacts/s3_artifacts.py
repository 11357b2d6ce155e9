"""The door to model files in S3: say what is stored, and download it.

Whatever S3 does, each of these ends: done, or with an error that says what to do. Uploads are MLflow's: it gives each
file to boto3's transfer manager, which sends large ones in parallel parts and leaves none behind (MLflow 3.17).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from slipway.registry.artifacts.s3_client import Connection, connect
from slipway.registry.artifacts.s3_download import download
from slipway.registry.artifacts.s3_listing import Listing, list_folder, require_files_of
from slipway.registry.manifest import Manifest


@dataclass(frozen=True, slots=True)
class StoredFolder:
    """A folder in S3 as it was listed: it is downloaded so, or not at all."""

    listing: Listing
    connection: Connection

    @property
    def fingerprint(self) -> str | None:
        """Return a name of its content: other bytes have another. What was written just now has none."""
        return self.listing.fingerprint

    @property
    def size_bytes(self) -> int:
        """Return the size of its files."""
        return self.listing.size_bytes

    def require_files_of(self, manifest: Manifest) -> None:
        """Raise `Corrupt` where it has other files than a manifest, or files of other sizes."""
        require_files_of(self.listing, manifest)

    def download(self, into: Path) -> None:
        """Write its files below a folder, and nothing else; a second call goes on where a broken one was.

        The bytes are compared by whoever asked, the artifact cache for one.

        Raises
        ------
        NotFound
            A file is not there any more.
        Corrupt
            A file was overwritten since it was listed.
        Unavailable
            S3 does not answer, refuses, or takes too long; what was fetched is kept.
        """
        download(self.listing, into, self.connection)


def look(uri: str, connection: Connection | None = None) -> StoredFolder:
    """Return what is stored below `s3://bucket/path` now.

    Each call connects anew, by this process's variables and files as they are: credentials may have been renewed.

    Raises
    ------
    NotFound
        Nothing is stored there.
    Corrupt
        A key cannot be a file's path.
    Unavailable
        S3 does not answer, or refuses.
    """
    connection = connection or connect(os.environ)
    return StoredFolder(list_folder(uri, connection), connection)
