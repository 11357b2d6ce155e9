"""What is stored below a place in S3, and whether it can be what a manifest says."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any

from slipway.registry.artifacts.s3_attempts import Attempts
from slipway.registry.artifacts.s3_client import BucketFolder, Connection, place_of
from slipway.registry.errors import Corrupt, NotFound
from slipway.registry.manifest import NOT_LOGGED, Manifest

NAMED_AT_MOST = 5
# More than the second in which a file may be overwritten unseen, and than clocks of one store differ.
SETTLED_AFTER = timedelta(seconds=3)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """A file's path below the place, its size, and the tag that S3 gives to its content."""

    path: str
    size_bytes: int
    etag: str
    modified: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """All files below a place; `asked_at` is the store's own time at the first page, where it says one."""

    place: BucketFolder
    files: tuple[StoredFile, ...]
    asked_at: datetime | None = None

    @property
    def size_bytes(self) -> int:
        """Return the size of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def fingerprint(self) -> str | None:
        """Return a name of this content at this place: whoever overwrites a file, even by itself, changes it.

        A store may tell times in whole seconds, and its tags are MD5, of which twins can be made. So what was written
        just before it was listed has no such name: it could be overwritten within the same second.
        """
        last = max((file.modified for file in self.files), default=None)
        if self.asked_at is None or last is None or self.asked_at - last < SETTLED_AFTER:
            return None
        found = json.dumps([str(self.place), *map(asdict, self.files)], sort_keys=True, default=str)
        return hashlib.sha256(found.encode()).hexdigest()


def list_folder(uri: str, connection: Connection) -> Listing:
    """Ask S3 what is stored below `s3://bucket/path`.

    Raises
    ------
    NotFound
        Nothing is.
    Corrupt
        A key cannot be a file's path.
    Unavailable
        S3 does not answer, or refuses.
    """
    place = place_of(uri)
    attempts = Attempts(f"listing {place}", connection.patience)
    found: list[StoredFile] = []
    token: dict[str, str] = {}
    asked_at: datetime | None = None
    while True:
        page = attempts.until_done(partial(_page, place, token, connection))
        asked_at = asked_at or _time_of(page)
        found += [_stored(each, place) for each in page.get("Contents", []) if not each["Key"].endswith("/")]
        if not page.get("IsTruncated"):
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    _require_files(found, place)
    if not found:
        raise NotFound(f"nothing is stored at {place} any more", code="artifacts-gone", hint=None)
    return Listing(place=place, files=tuple(found), asked_at=asked_at)


def require_files_of(listing: Listing, manifest: Manifest) -> None:
    """Refuse a listing with other files than a manifest, or files of other sizes: to download it would be of no use.

    Raises
    ------
    Corrupt
        A file is missing, has another size, or is too many.
    """
    stored = {file.path: file.size_bytes for file in listing.files if file.path not in NOT_LOGGED}
    recorded = {file.path: file.size_bytes for file in manifest.files}
    wrong = [f"missing: {path}" for path in recorded if path not in stored]
    wrong += [
        f"changed: {path} ({stored[path]:,} bytes, not {size_bytes:,})"
        for path, size_bytes in recorded.items()
        if stored.get(path, size_bytes) != size_bytes
    ]
    wrong += [f"extra: {path}" for path in stored if path not in recorded]
    if wrong:
        raise Corrupt(
            f"{listing.place} is not stored as it was registered: {'; '.join(wrong[:NAMED_AT_MOST])}{_more(wrong)}",
            code="artifacts-changed",
            hint="restore its files from a backup, or choose another version",
        )


def _page(place: BucketFolder, token: dict[str, str], connection: Connection) -> dict[str, Any]:
    page: dict[str, Any] = connection.client.list_objects_v2(
        Bucket=place.bucket, Prefix=place.prefix, **token, **connection.owner
    )
    return page


def _time_of(page: dict[str, Any]) -> datetime | None:
    """Return when the store made an answer, by its own clock, in whole seconds."""
    said = page.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    try:
        return parsedate_to_datetime(said) if said else None
    except ValueError:
        return None


def _stored(found: dict[str, Any], place: BucketFolder) -> StoredFile:
    path = found["Key"].removeprefix(place.prefix)
    if str(PurePosixPath(path)) != path or path.startswith("/") or {".", ".."} & set(path.split("/")):
        raise Corrupt(
            f"{place} holds the key '{found['Key']}', which is no path of a file below it",
            code="artifacts-changed",
            hint="find out who wrote it, and remove it",
        )
    return StoredFile(path=path, size_bytes=found["Size"], etag=found["ETag"], modified=found["LastModified"])


def _require_files(found: Sequence[StoredFile], place: BucketFolder) -> None:
    """Refuse keys that are a file's and a folder's at once: S3 has them, no disk does."""
    paths = {file.path for file in found}
    for path in paths:
        both = paths & {str(parent) for parent in PurePosixPath(path).parents}
        if both:
            raise Corrupt(
                f"{place} holds '{both.pop()}' both as a file and as a folder of '{path}'",
                code="artifacts-changed",
                hint="find out who wrote it, and remove it",
            )


def _more(lines: Sequence[str]) -> str:
    return f" and {len(lines) - NAMED_AT_MOST} more" if len(lines) > NAMED_AT_MOST else ""
