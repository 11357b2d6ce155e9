"""The door through which a bucket is examined, and made where it is missing.

What is written to see whether that is allowed is one small object below the artifacts' prefix, removed again.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.exceptions import ClientError

from slipway.registry.artifacts.s3_attempts import Patience
from slipway.registry.artifacts.s3_client import Connection, connect, place_of
from slipway.registry.artifacts.s3_errors import Raised, translated
from slipway.registry.errors import SlipwayError

QUICK = Patience(connect_s=3.0, read_s=10.0)
CONTENT = b"written by slipway doctor; it may be removed"
NOT_THERE = ("404", "NoSuchBucket")
OWNED_ALREADY = "BucketAlreadyOwnedByYou"
ANYWHERE = "us-east-1"


class ExaminedBucket:
    """The bucket behind `s3://bucket/prefix`, with the credentials that this process has."""

    def __init__(self, uri: str, environ: Mapping[str, str]) -> None:
        """Read the settings; `InvalidInput` where they contradict each other. Nothing is sent yet."""
        self._place = place_of(uri)
        self._connection: Connection = connect(environ, QUICK)
        self._bucket = {"Bucket": self._place.bucket, **self._connection.owner}

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"the bucket of {self.uri}"

    @property
    def uri(self) -> str:
        """Return the place of the artifacts."""
        return str(self._place)

    @property
    def _client(self) -> Any:
        return self._connection.client

    @property
    def region(self) -> str | None:
        """Return the region that requests are signed for."""
        region: str | None = self._client.meta.region_name
        return region

    def credentials(self) -> str | None:
        """Return whose credentials are used, and where they were found; `None` where there are none."""
        found = boto3.session.Session().get_credentials()
        return f"{found.access_key}, by {found.method}" if found else None

    def is_there(self) -> bool:
        """Return whether the bucket is there; one that others own is, and `tried` says what is refused."""
        return self._asked()[0] not in NOT_THERE

    def make(self) -> None:
        """Make the bucket; one of ours that is there already is left as it is."""
        elsewhere = self.region not in (None, ANYWHERE) and self._client.meta.endpoint_url.endswith(".amazonaws.com")
        where = {"CreateBucketConfiguration": {"LocationConstraint": self.region}} if elsewhere else {}
        try:
            self._client.create_bucket(Bucket=self._place.bucket, **where)
        except Raised as error:
            if not isinstance(error, ClientError) or error.response["Error"]["Code"] != OWNED_ALREADY:
                raise translated(error, f"making the bucket of {self._place}") from error

    def actual_region(self) -> str | None:
        """Return the bucket's own region; `None` where the store tells none."""
        return self._asked()[1].get("x-amz-bucket-region")

    def clock(self) -> datetime | None:
        """Return the time that the store has, also where it refuses; `None` where it tells none."""
        told = self._asked()[1].get("date")
        return parsedate_to_datetime(told).astimezone(UTC) if told else None

    def has_versions(self) -> bool:
        """Return whether the bucket keeps what is overwritten or deleted."""
        try:
            return str(self._client.get_bucket_versioning(**self._bucket).get("Status")) == "Enabled"
        except Raised as error:
            raise translated(error, f"asking whether the bucket of {self._place} has versions") from error

    def tried(self) -> Mapping[str, SlipwayError | None]:
        """Write, list, read and delete, and return what each met; what needs a written object is left out without."""
        key = f"{self._place.prefix}.slipway-doctor-{uuid.uuid4().hex}"
        item = {**self._bucket, "Key": key}
        tried = {
            "write": self._met("writing to", lambda: self._client.put_object(**item, Body=CONTENT)),
            "list": self._met(
                "listing", lambda: self._client.list_objects_v2(**self._bucket, Prefix=self._place.prefix, MaxKeys=1)
            ),
        }
        if tried["write"] is None:
            tried["read"] = self._met("reading from", lambda: self._content(item))
            tried["delete"] = self._met("deleting from", lambda: self._client.delete_object(**item))
            self._met("cleaning up in", lambda: self._forget(key))
        return tried

    def _content(self, item: Mapping[str, str]) -> bytes:
        content: bytes = self._client.get_object(**item)["Body"].read()
        return content

    def _asked(self) -> tuple[str, Mapping[str, str]]:
        """Ask for the bucket and return the code and the headers of the answer, whatever that is."""
        try:
            answer = self._client.head_bucket(**self._bucket)
        except ClientError as error:
            answer = error.response
        except Raised as error:
            raise translated(error, f"looking for the bucket of {self._place}") from error
        headers: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
        return str(answer.get("Error", {}).get("Code", "")), headers

    def _met(self, doing: str, call: Callable[[], object]) -> SlipwayError | None:
        try:
            call()
        except Raised as error:
            return translated(error, f"{doing} {self._place}")
        return None

    def _forget(self, key: str) -> None:
        """Remove the traces that a bucket with versions keeps of what was deleted."""
        kept = self._client.list_object_versions(**self._bucket, Prefix=key)
        for each in (*kept.get("Versions", ()), *kept.get("DeleteMarkers", ())):
            self._client.delete_object(**self._bucket, Key=key, VersionId=each["VersionId"])
