"""Uploads to S3: in parallel, large files in parts, and either all of a file or nothing of it."""

import contextlib
import mimetypes
import os
from functools import partial
from pathlib import Path
from typing import Any

from registry.errors import SlipwayError
from registry.manifest import files_below
from registry.s3_attempts import Attempts, Patience
from registry.s3_client import Connection, Place

PART_BYTES = 16 << 20
PARTS_AT_MOST = 10_000
LAST = "MLmodel"
# Options of an upload that each of its parts is given too.
ALSO_OF_PARTS = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5", "RequestPayer")
# Where boto3 sent a checksum along with a part and S3 returned it, S3 wants it again with the list of parts.
CHECKSUMS = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")
ABORT = Patience(stalled_s=5.0, total_s=10.0)


def upload(folder: Path, place: Place, connection: Connection) -> None:
    """Store all files below a folder; the file `MLmodel` comes last, since a model without it cannot be loaded.

    Raises
    ------
    Unavailable
        S3 does not answer, refuses, or takes too long; files that were stored before stay, parts of one do not.
    """
    paths = sorted(files_below(folder), key=lambda path: (path.name == LAST, path.as_posix()))
    attempts = Attempts(f"uploading to {place}", connection.patience)
    small = [path for path in paths if path.stat().st_size <= PART_BYTES and path.name != LAST]
    attempts.all_done([partial(_put, path, folder, place, attempts, connection) for path in small])
    for path in paths:
        if path not in small:
            put = _put if path.stat().st_size <= PART_BYTES else _put_parts
            put(path, folder, place, attempts, connection)


def _put(path: Path, folder: Path, place: Place, attempts: Attempts, connection: Connection) -> None:
    content, target = path.read_bytes(), _target(path, folder, place, connection)
    options = {**_type_of(path), **connection.upload_options}
    attempts.until_done(lambda: connection.client.put_object(Body=content, **target, **options))


def _put_parts(path: Path, folder: Path, place: Place, attempts: Attempts, connection: Connection) -> None:
    client, target = connection.client, _target(path, folder, place, connection)
    options = {**_type_of(path), **connection.upload_options}
    upload_id = attempts.until_done(lambda: client.create_multipart_upload(**target, **options))["UploadId"]
    of_parts = {name: options[name] for name in ALSO_OF_PARTS if name in options}
    this = {**target, "UploadId": upload_id, **of_parts}
    size_bytes = path.stat().st_size
    part_bytes = max(PART_BYTES, -(-size_bytes // PARTS_AT_MOST))
    starts = range(0, size_bytes, part_bytes)
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            parts = attempts.all_done(
                [partial(_put_part, file, start, part_bytes, this, attempts, client) for start in starts]
            )
        finally:
            os.close(file)
        attempts.until_done(lambda: client.complete_multipart_upload(**this, MultipartUpload={"Parts": parts}))
    except BaseException:
        _abort(this, client)
        raise


def _put_part(
    file: int, start: int, size_bytes: int, this: dict[str, Any], attempts: Attempts, client: Any
) -> dict[str, Any]:
    """Send one part; S3 compares it with the checksum that boto3 sends along."""
    number, content = start // size_bytes + 1, os.pread(file, size_bytes, start)
    answer = attempts.until_done(lambda: client.upload_part(Body=content, PartNumber=number, **this))
    checksums = {name: answer[name] for name in answer if name in CHECKSUMS}
    return {"ETag": answer["ETag"], "PartNumber": number, **checksums}


def _abort(this: dict[str, Any], client: Any) -> None:
    """Have the parts removed, which would be paid for and never seen; what failed before is what is told."""
    attempts = Attempts("removing the parts of an upload", ABORT)
    with contextlib.suppress(SlipwayError):
        attempts.until_done(lambda: client.abort_multipart_upload(**this))


def _target(path: Path, folder: Path, place: Place, connection: Connection) -> dict[str, str]:
    return {
        "Bucket": place.bucket,
        "Key": place.prefix + path.relative_to(folder).as_posix(),
        **connection.owner,
    }


def _type_of(path: Path) -> dict[str, str]:
    """Return the types that MLflow gives to what it uploads."""
    kind, encoding = mimetypes.guess_type(path.name)
    found = {"ContentType": kind, "ContentEncoding": encoding}
    return {name: value for name, value in found.items() if value}
