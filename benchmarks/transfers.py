"""One transfer of a folder, in a process of its own: the seconds of the transfer alone go to standard output."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import mlflow.artifacts
from boto3.s3.transfer import TransferConfig
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from slipway.registry.artifacts.artifact_cache import ArtifactCache
from slipway.registry.artifacts.s3_artifacts import look
from slipway.registry.manifest import Manifest

WEIGHTS = "weights.bin"
ROOM_BYTES = 100 << 30


def boto3_download(uri: str, folder: Path) -> None:
    """Download the one large file by boto3's transfer manager, as the variables say."""
    bucket, key = _bucket_and_key(uri)
    _client().download_file(bucket, key, str(folder / WEIGHTS), Config=_config())


def boto3_upload(uri: str, folder: Path) -> None:
    """Upload it so."""
    bucket, key = _bucket_and_key(uri)
    _client().upload_file(str(folder / WEIGHTS), bucket, key, Config=_config())


def mlflow_download(uri: str, folder: Path) -> None:
    """Download a folder as MLflow does."""
    mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder))


def mlflow_upload(uri: str, folder: Path) -> None:
    """Upload it so."""
    get_artifact_repository(uri).log_artifacts(str(folder))


def our_download(uri: str, folder: Path) -> None:
    """Download a folder as we do, and compare nothing."""
    look(uri).download(folder)


def our_obtain(uri: str, folder: Path) -> None:
    """Have a folder in the cache: downloaded, every byte compared with the manifest, published."""
    manifest = Manifest.from_json(Path(os.environ["MANIFEST"]).read_text())
    ArtifactCache(folder, max_bytes=ROOM_BYTES).obtain(manifest, lambda into: look(uri).download(into))


def mlflow_obtain(uri: str, folder: Path) -> None:
    """Have it there through a tracking server, which MLflow downloads from."""
    manifest = Manifest.from_json(Path(os.environ["MANIFEST"]).read_text())
    stored = get_artifact_repository(uri)
    ArtifactCache(folder, max_bytes=ROOM_BYTES).obtain(manifest, lambda into: stored.download_artifacts("", str(into)))


CALLS: dict[str, Callable[[str, Path], None]] = {
    each.__name__: each
    for each in (
        boto3_download,
        boto3_upload,
        mlflow_download,
        mlflow_upload,
        our_download,
        our_obtain,
        mlflow_obtain,
    )
}


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return bucket, f"{prefix}/{WEIGHTS}"


def _client() -> "boto3.client":
    return boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])


def _config() -> TransferConfig:
    return TransferConfig(**json.loads(os.environ["TRANSFER"]))


if __name__ == "__main__":
    call = CALLS[sys.argv[1]]
    started = time.perf_counter()
    call(sys.argv[2], Path(sys.argv[3]))
    print(time.perf_counter() - started)
