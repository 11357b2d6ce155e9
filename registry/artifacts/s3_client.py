"""The connection to S3: the endpoint and the variables that MLflow reads, so that both reach the same store alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from slipway.registry.artifacts.s3_attempts import THREADS, Patience
from slipway.registry.artifacts.s3_errors import Raised, translated
from slipway.registry.errors import InvalidInput

SCHEME = "s3://"
YES = ("true", "1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Connection:
    """A client of boto3's, what each of its calls is given, and how long to be patient with it."""

    client: Any
    owner: Mapping[str, str]
    patience: Patience


@dataclass(frozen=True, slots=True)
class BucketFolder:
    """A folder in a bucket: its prefix ends in `/`, and is empty for the bucket itself."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}".rstrip("/")


def place_of(uri: str) -> BucketFolder:
    """Return the folder that `s3://bucket/path` names.

    Raises
    ------
    InvalidInput
        It names none.
    """
    bucket, _, path = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise InvalidInput(f"'{uri}' names no folder in S3; write s3://bucket/path", code="not-in-s3", hint=None)
    path = path.strip("/")
    return BucketFolder(bucket, f"{path}/" if path else "")


def connect(environ: Mapping[str, str], patience: Patience | None = None) -> Connection:
    """Return a connection by MLflow's variables and AWS's; nothing is sent yet.

    Raises
    ------
    InvalidInput
        The settings contradict each other or cannot be read.
    """
    patience = patience or Patience()
    owner = environ.get("MLFLOW_S3_EXPECTED_BUCKET_OWNER")
    signature = environ.get("MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION", "s3v4")
    trusts_all = environ.get("MLFLOW_S3_IGNORE_TLS", "").lower() in YES
    try:
        config = Config(
            signature_version=UNSIGNED if signature.lower() == "unsigned" else signature,
            s3={"addressing_style": environ.get("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "auto")},
            max_pool_connections=THREADS,
            connect_timeout=patience.connect_s,
            read_timeout=patience.read_s,
            retries={"total_max_attempts": 1},  # whoever calls retries: also when a body breaks off, and within a bound
            tcp_keepalive=True,
        )
        # boto3's default session would keep the first credentials that this process had.
        client = boto3.session.Session().client(
            "s3",
            endpoint_url=environ.get("MLFLOW_S3_ENDPOINT_URL"),
            verify=False if trusts_all else None,
            config=config,
        )
    except Raised as error:
        raise translated(error, "connecting to S3") from error
    except ValueError as error:
        raise InvalidInput(
            f"S3 cannot be reached with these settings: {error}",
            code="s3-settings",
            hint="check MLFLOW_S3_ENDPOINT_URL and the variables AWS_…",
        ) from error
    return Connection(
        client=client,
        owner={"ExpectedBucketOwner": owner} if owner else {},
        patience=patience,
    )
