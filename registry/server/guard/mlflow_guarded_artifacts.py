"""The door that guards the artifacts that a server passes on: `slipway+s3://…` as its artifacts destination.

Whatever route writes or deletes, it ends in this repository, in one piece or as a stream. Nobody touches the server's
own copies of what was put into stages, which MLflow serves; what they were made of stays as it is as well, unless
somebody decides in the very moment in which it is written.
"""

import asyncio
import os
import posixpath
import tempfile
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from mlflow.exceptions import (
    MlflowException,
    _UnsupportedMultipartUploadException,
    _UnsupportedPresignedUploadException,
)
from mlflow.protos.databricks_pb2 import NOT_IMPLEMENTED
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

from slipway.registry.artifacts.kept_copies import KEPT
from slipway.registry.artifacts.locations import Place, place_of, unguarded
from slipway.registry.errors import InvalidInput
from slipway.registry.server.guard.mlflow_refusal import refusing
from slipway.registry.server.mlflow_bytes_in_s3 import BytesInS3
from slipway.registry.server.mlflow_server import server_protection

INCOMING = ".slipway-incoming"
LONGEST_PATH = 4096  # Linux takes no longer one, and S3 one of 1,024
GUARDED = frozenset(
    {
        "abort_multipart_upload",
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
        self._require_free(artifact_path)
        super().log_artifacts(local_dir, artifact_path)  # type: ignore[safe-super]  # the repository beside has it

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        """Delete a file, or a folder with all that is in it but the server's own copies: one may be made just now."""
        self._require_free(artifact_path)
        self._delete_but_copies(artifact_path or "")

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

    def _delete_but_copies(self, path: str) -> None:
        raise NotImplementedError

    def _require_free(self, *path: str | None) -> None:
        with refusing():
            server_protection().require_free(self._place(*path))

    def _place(self, *path: str | None) -> Place | None:
        place, whole = place_of(self.artifact_uri, destination=None), "/".join(part for part in path if part)
        if len(whole) > LONGEST_PATH:
            raise MlflowException.invalid_parameter_value(
                f"a path of {len(whole):,} characters is longer than any store takes; at most {LONGEST_PATH:,}"
            )
        return place and place.below(whole)


class GuardedFolder(ArtifactGuard, LocalArtifactRepository):
    """Artifacts in a folder of the server, guarded.

    What comes is collected apart and then put in place at once: that is when it has to be free, and before anything is
    read. MLflow (3.17) collects it beside the artifact, where an upload that is slow would be a file too many.
    """

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

    def _create_staging_artifact(
        self, artifact_file_name: str, artifact_path: str | None = None
    ) -> tuple[int, str, str]:
        _, destination = self._get_destination_artifact_path(artifact_file_name, artifact_path)
        # In the experiment's folder: whoever may not read the experiment does not see what comes.
        beside = os.path.join(self.artifact_dir, *(artifact_path or "").split("/")[:2], INCOMING)
        os.makedirs(beside, exist_ok=True)
        file, collected = tempfile.mkstemp(dir=beside)
        return file, collected, destination

    def _publish_staged_artifact(
        self,
        temp_file_path: str,
        destination_file_path: str,
        finalize_temp_path: Callable[[str], None] | None = None,
    ) -> None:
        self._require_free(os.path.relpath(destination_file_path, self.artifact_dir))
        super()._publish_staged_artifact(temp_file_path, destination_file_path, finalize_temp_path)

    def _delete_but_copies(self, path: str) -> None:
        there = Path(self.artifact_dir, path)
        if there.is_file() or there.is_symlink():
            there.unlink()
        for folder, folders, files in os.walk(there, topdown=False):
            if KEPT not in Path(folder).relative_to(self.artifact_dir).parts:
                links = [name for name in folders if Path(folder, name).is_symlink()]
                for name in (*files, *links):
                    Path(folder, name).unlink(missing_ok=True)
                with suppress(OSError):  # a copy is in it
                    os.rmdir(folder)


class GuardedBucket(ArtifactGuard, BytesInS3):
    """Artifacts in an S3 bucket, guarded: nobody gets an address to write to past the server.

    What is written there is written as long as the address is good, whatever was decided in between. MLflow's clients
    take the answer for that of a store that cannot do it, and send the file through the server.
    """

    def _delete_but_copies(self, path: str) -> None:
        bucket, key = self.parse_s3_compliant_uri(self.artifact_uri)
        key = posixpath.join(key, path).rstrip("/")
        client = self._get_s3_client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key, **self._bucket_owner_params)
        for page in pages:
            found = [each["Key"] for each in page.get("Contents", [])]
            inside = [each for each in found if each == key or each.startswith(f"{key}/" if key else "")]
            doomed = [{"Key": each} for each in inside if KEPT not in each.split("/")]
            if doomed:
                client.delete_objects(Bucket=bucket, Delete={"Objects": doomed}, **self._bucket_owner_params)

    def create_multipart_upload(self, local_file: str, num_parts: int = 1, artifact_path: str | None = None) -> Any:
        """Refuse addresses for the parts of a file."""
        raise _no_addresses(_UnsupportedMultipartUploadException.MESSAGE)

    def complete_multipart_upload(
        self, local_file: str, upload_id: str, parts: Any = None, artifact_path: str | None = None
    ) -> None:
        """Refuse to make visible what came in parts: none was begun here."""
        raise _no_addresses(_UnsupportedMultipartUploadException.MESSAGE)

    def abort_multipart_upload(self, local_file: str, upload_id: str, artifact_path: str | None = None) -> None:
        """Refuse to give up what was sent in parts: none was begun here."""
        raise _no_addresses(_UnsupportedMultipartUploadException.MESSAGE)

    def create_presigned_upload_url(self, artifact_path: str, expiration: int = 900) -> Any:
        """Refuse an address for a file."""
        raise _no_addresses(_UnsupportedPresignedUploadException.MESSAGE)


def no_presigned_uploads() -> MlflowException:
    """Return why a guarded server signs no address to which somebody may write."""
    return _no_addresses(_UnsupportedPresignedUploadException.MESSAGE)


def _no_addresses(message: str) -> MlflowException:
    """Return MLflow's own refusal: its client knows it by how it begins."""
    why = "a guarded server signs no addresses to write to; upload through the server"
    return MlflowException(f"{message}: {why}", error_code=NOT_IMPLEMENTED)


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
