"""The door that guards the artifacts that a server passes on: `slipway+s3://…` as its artifacts destination.

Whatever route writes or deletes, it ends in this repository: uploads in one piece, in parts, as a stream, and the
addresses at which a client may upload by itself. Bytes of versions in protected stages stay as they are.
"""

import asyncio
import os
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
from mlflow.store.artifact.s3_artifact_repo import S3ArtifactRepository

from registry.errors import InvalidInput
from registry.mlflow_refusal import refusing
from registry.mlflow_server import server_protection
from registry.places import place_of, unguarded

GUARDED = frozenset(
    {
        "complete_multipart_upload",
        "create_multipart_upload",
        "create_presigned_upload_url",
        "delete_artifacts",
        "log_artifact",
        "log_artifact_from_async_stream",
        "log_artifact_from_stream",
        "log_artifacts",
        "upload_archived_trace_data",
        "upload_archived_trace_data_bytes",
        "upload_attachment",
        "upload_trace_data",
    }
)


class ArtifactGuard(ArtifactRepository):
    """The guarded calls that every repository has; each call names the one file or folder that it touches."""

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Store a file."""
        self._require_free(artifact_path, os.path.basename(local_file))
        super().log_artifact(local_file, artifact_path)  # type: ignore[safe-super]  # the repository beside has it

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Store the files of a folder."""
        for path in Path(local_dir).rglob("*"):
            if path.is_file():
                self._require_free(artifact_path, path.relative_to(local_dir).as_posix())
        super().log_artifacts(local_dir, artifact_path)  # type: ignore[safe-super]  # the repository beside has it

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file or a folder with all that is in it."""
        self._require_free(artifact_path)
        super().delete_artifacts(artifact_path)

    def upload_trace_data(self, trace_data: str) -> None:
        """Store a trace."""
        self._require_free()
        super().upload_trace_data(trace_data)

    def upload_archived_trace_data(self, trace_data: Any) -> None:
        """Store an archived trace."""
        self._require_free()
        super().upload_archived_trace_data(trace_data)

    def upload_archived_trace_data_bytes(self, data: bytes) -> None:
        """Store an archived trace."""
        self._require_free()
        super().upload_archived_trace_data_bytes(data)

    def upload_attachment(self, attachment_id: str, content_bytes: bytes) -> None:
        """Store what is attached to a trace."""
        self._require_free()
        super().upload_attachment(attachment_id, content_bytes)

    def _require_free(self, *path: str | None) -> None:
        place = place_of(self.artifact_uri, destination=None)
        with refusing():
            server_protection().bytes_may_change(place and place.below("/".join(part for part in path if part)))


class GuardedFolder(ArtifactGuard, LocalArtifactRepository):
    """Artifacts in a folder of the server, guarded."""

    def log_artifact_from_stream(
        self, stream: BinaryIO, artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store what comes in a stream."""
        self._require_free(artifact_path, artifact_file_name)
        super().log_artifact_from_stream(stream, artifact_file_name, artifact_path)

    async def log_artifact_from_async_stream(
        self, chunks: AsyncIterable[bytes], artifact_file_name: str, artifact_path: str | None = None
    ) -> None:
        """Store what comes in pieces; other requests are answered while the guard asks the database."""
        await asyncio.to_thread(self._require_free, artifact_path, artifact_file_name)
        await super().log_artifact_from_async_stream(chunks, artifact_file_name, artifact_path)


class GuardedBucket(ArtifactGuard, S3ArtifactRepository):
    """Artifacts in an S3 bucket, guarded."""

    def create_multipart_upload(self, local_file: str, num_parts: int = 1, artifact_path: str | None = None) -> Any:
        """Begin an upload in parts."""
        self._require_free(artifact_path, os.path.basename(local_file))
        return super().create_multipart_upload(local_file, num_parts, artifact_path)

    def complete_multipart_upload(
        self, local_file: str, upload_id: str, parts: Any = None, artifact_path: str | None = None
    ) -> None:
        """Make an upload in parts visible, which may have begun before the version was promoted."""
        self._require_free(artifact_path, os.path.basename(local_file))
        super().complete_multipart_upload(local_file, upload_id, parts, artifact_path)

    def create_presigned_upload_url(self, artifact_path: str, expiration: int = 900) -> Any:
        """Return an address at which the client may store a file by itself."""
        self._require_free(artifact_path)
        return super().create_presigned_upload_url(artifact_path, expiration)


KINDS: dict[str, type[GuardedFolder | GuardedBucket]] = {"file": GuardedFolder, "s3": GuardedBucket}


def open_artifacts(artifact_uri: str, tracking_uri: str | None, registry_uri: str | None) -> Any:
    """Return the guarded repository for a URI like `slipway+s3://bucket/path`.

    Raises
    ------
    InvalidInput
        There is no guarded repository of that kind.
    """
    plain = unguarded(artifact_uri)
    kind = KINDS.get(urlsplit(plain).scheme.lower())
    if kind is None:
        raise InvalidInput(
            f"artifacts at {plain} cannot be guarded; there are: {', '.join(KINDS)}", code="wrong-artifacts", hint=None
        )
    return kind(plain, tracking_uri=tracking_uri, registry_uri=registry_uri)
