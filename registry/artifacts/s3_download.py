"""Downloads from S3: in parallel, large files in ranges, each range written where it belongs."""

import os
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import IncompleteReadError

from slipway.registry.artifacts.s3_attempts import Attempts
from slipway.registry.artifacts.s3_client import Connection
from slipway.registry.artifacts.s3_journal import NAME, Journal, Range
from slipway.registry.artifacts.s3_listing import Listing, StoredFile
from slipway.registry.errors import Corrupt, Unavailable
from slipway.registry.manifest import files_below

RANGE_BYTES = 16 << 20
PIECE_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Download:
    """One download: what from where, into which folder, and what its threads share."""

    listing: Listing
    into: Path
    journal: Journal
    attempts: Attempts
    connection: Connection


def download(listing: Listing, into: Path, connection: Connection) -> None:
    """Write all listed files below a folder; an earlier download of the same objects is resumed.

    The folder is whole when this returns, and holds nothing else; its bytes are not compared with anything.

    Raises
    ------
    NotFound
        An object is not there any more.
    Corrupt
        An object was overwritten since it was listed.
    Unavailable
        S3 does not answer, refuses, or takes too long. What was written is kept for a later call.
    OSError
        The disk is full, or may not be written.
    """
    _remove_others(into, {file.path for file in listing.files})
    journal = Journal(into)
    attempts = Attempts(f"downloading {listing.place}", connection.patience)
    job = Download(listing=listing, into=into, journal=journal, attempts=attempts, connection=connection)
    try:
        parts = [part for file in listing.files for part in ranges_of(file) if part not in journal]
        for file in listing.files:
            _allocate(into / file.path, file.size_bytes)
        attempts.all_done([partial(_fetch, part, job) for part in parts])
    finally:
        journal.close()
    journal.remove()


def ranges_of(file: StoredFile) -> Iterator[Range]:
    """Yield the ranges that a file is fetched in, in order; none for an empty file."""
    for start in range(0, file.size_bytes, RANGE_BYTES):
        yield Range(file=file, start=start, end=min(start + RANGE_BYTES, file.size_bytes))


def _fetch(part: Range, job: Download) -> None:
    """Fetch one range; when the connection breaks, go on from the byte that was reached."""
    reached = part.start

    def go_on() -> None:
        nonlocal reached
        body = _body(part, reached, job)
        try:
            while reached < part.end:
                # `body.read(n)` waits until all n bytes are there, so that one byte now and then would hold it for
                # ever; botocore (1.44) offers no `read1` of its own.
                piece = body._raw_stream.read1(PIECE_BYTES)
                if not piece:
                    raise IncompleteReadError(actual_bytes=reached - part.start, expected_bytes=part.end - part.start)
                _write(file, piece[: part.end - reached], reached)
                reached += len(piece)
                job.attempts.progressed()
        finally:
            body.close()

    file = os.open(job.into / part.file.path, os.O_WRONLY)
    try:
        job.attempts.until_done(go_on)
    finally:
        os.close(file)
    job.journal.add(part)


def _body(part: Range, start: int, job: Download) -> Any:
    """Ask for the rest of a range, of the object as it was listed."""
    place = job.listing.place
    answer = job.connection.client.get_object(
        Bucket=place.bucket,
        Key=place.prefix + part.file.path,
        Range=f"bytes={start}-{part.end - 1}",
        IfMatch=part.file.etag,
        **job.connection.owner,
    )
    if answer["ETag"] != part.file.etag:
        raise Corrupt(
            f"{place}/{part.file.path} was overwritten while it was downloaded",
            code="artifacts-changed",
            hint="find out who wrote there, then retry",
        )
    if answer["ContentLength"] != part.end - start:
        raise Unavailable(
            f"{place} serves no ranges of objects: {answer['ContentLength']:,} bytes came, not {part.end - start:,}",
            code="s3-no-ranges",
            hint="check what is between here and the store: a proxy may drop the header Range",
        )
    return answer["Body"]


def _write(file: int, content: bytes, offset: int) -> None:
    written = 0
    while written < len(content):
        written += os.pwrite(file, content[written:], offset + written)


def _allocate(path: Path, size_bytes: int) -> None:
    """Make a file of its full size, so that a full disk is met before the first byte is fetched."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        if os.fstat(file).st_size != size_bytes:
            os.ftruncate(file, 0)
            if size_bytes:
                os.posix_fallocate(file, 0, size_bytes)
    finally:
        os.close(file)


def _remove_others(into: Path, wanted: Set[str]) -> None:
    """Remove what an earlier download left of other objects."""
    for path in list(files_below(into)):
        name = path.relative_to(into).as_posix()
        if name not in wanted and name != NAME:
            path.unlink()
