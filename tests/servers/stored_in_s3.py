"""Models in a real object store, for tests that read them, and for tests that harm them."""

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import boto3.s3.transfer

from slipway.registry.artifacts.s3_artifacts import StoredFolder, look
from slipway.registry.artifacts.s3_attempts import Patience
from slipway.registry.artifacts.s3_client import connect
from slipway.registry.artifacts.s3_listing import SETTLED_AFTER
from slipway.registry.manifest import Manifest, manifest_of
from tests.servers.ceph import CephServer
from tests.servers.cutting_proxy import CuttingProxy

MB = 1 << 20
LARGE_BYTES = 40 * MB
# The tag of an object is made of those of its parts.
IN_PARTS = boto3.s3.transfer.TransferConfig(multipart_threshold=16 * MB, multipart_chunksize=16 * MB)
HASTY = Patience(connect_s=1, read_s=1, stalled_s=1, total_s=60)


def settle() -> None:
    """Wait until a listing tells by its times that nothing was overwritten unseen."""
    time.sleep(SETTLED_AFTER.total_seconds() + 1)


class Stored:
    """A model in a bucket of its own, the manifest that it was stored with, and where it is downloaded to."""

    def __init__(self, server: CephServer, folder: Path, manifest: Manifest) -> None:
        self.server = server
        self.manifest = manifest
        self.bucket = server.create_bucket()
        self.uri = f"s3://{self.bucket}/1/models/m-1/artifacts"
        self.into = folder / "into"
        self.into.mkdir()

    def key(self, path: str) -> dict[str, str]:
        """Return what names an object to boto3."""
        return {"Bucket": self.bucket, "Key": f"1/models/m-1/artifacts/{path}"}

    def fetch(self, into: Path, patience: Patience = HASTY) -> None:
        """Download by the manifest into a folder, as this process's variables say."""
        found = self.look(patience)
        found.require_files_of(self.manifest)
        found.download(into)

    def look(self, patience: Patience = HASTY) -> StoredFolder:
        """Return what is stored now."""
        return look(self.uri, connect(os.environ, patience))

    def download(self, patience: Patience = HASTY) -> None:
        """Download by the manifest into the model's own folder."""
        self.fetch(self.into, patience)

    def is_whole(self) -> bool:
        """Return whether everything that was stored is there, and nothing else."""
        return manifest_of(self.into) == self.manifest


def write_large_model(folder: Path) -> None:
    """Write files of all kinds: one of several ranges, small ones with names that have to be quoted, an empty one."""
    (folder / "data").mkdir()
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights").write_bytes(Random(0).randbytes(LARGE_BYTES))
    for number in range(5):
        (folder / "data" / f"part {number} ü+&.txt").write_text(str(number))
    (folder / "data" / "empty").touch()


def store(folder: Path, stored: Stored) -> None:
    """Upload a folder's files as boto3 does it, large ones in parts."""
    client = stored.server.client()
    for file in stored.manifest.files:
        client.upload_file(str(folder / file.path), **stored.key(file.path), Config=IN_PARTS)


def on_get(proxy: CuttingProxy, number: int, act: Callable[[], object], *, of: str = "weights") -> None:
    """Do something once, before the n-th request for a file's bytes reaches the server; no other does meanwhile."""
    numbers, turn = itertools.count(1), threading.Lock()

    def look_at(line: str) -> None:
        with turn:
            if line.startswith("GET") and of in line and next(numbers) == number:
                act()

    proxy.on_request = look_at


def gets(proxy: CuttingProxy) -> list[str]:
    """Return the requests for files' bytes that were made."""
    return [line for line in proxy.requests if line.startswith("GET") and "list-type" not in line]
