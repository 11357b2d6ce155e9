"""The door to tables in S3."""

import io
import os
from typing import Any, Protocol

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from slipway.registry.errors import InvalidInput, NotFound, Unavailable
from slipway.registry.reading import Reading
from slipway.training.file_data import TableRead, read_table

MISSING_CODES = ("NoSuchKey", "NoSuchBucket", "404")


class ObjectReader(Protocol):
    """What is needed of an S3 client."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """Return the object with its `Body`, as boto3 does."""


def s3_client() -> ObjectReader:
    """Return a client for the endpoint that MLflow uses, with AWS's usual credentials."""
    client: ObjectReader = boto3.client("s3", endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL"))
    return client


def read_object(uri: str, client: ObjectReader, reading: Reading) -> TableRead:
    """Read `s3://bucket/key` as CSV or Parquet, by the key's suffix.

    Raises
    ------
    InvalidInput
        The URI or the content cannot be read.
    NotFound
        The bucket or key does not exist.
    Unavailable
        The endpoint, the credentials or the permission is missing.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise InvalidInput(f"'{uri}' names no object; write s3://bucket/key.parquet", code="not-an-object", hint=None)
    try:
        body = client.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise _translated(error, uri) from error
    except BotoCoreError as error:
        raise Unavailable(
            f"{uri} cannot be read: {error}",
            code="s3-unavailable",
            hint="check MLFLOW_S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION",
        ) from error
    return read_table(io.BytesIO(body), key, uri, reading)


def _translated(error: ClientError, uri: str) -> NotFound | Unavailable:
    code = error.response.get("Error", {}).get("Code", "")
    if code in MISSING_CODES:
        return NotFound(f"no object {uri} ({code})", code="no-such-object", hint="check bucket and key")
    return Unavailable(
        f"{uri} cannot be read: the store answered {code}",
        code="s3-refused",
        hint="check the credentials and what they may read",
    )
