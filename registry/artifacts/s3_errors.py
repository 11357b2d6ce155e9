"""The one place where the errors of S3 become ours, and where it is said which of them pass."""

from dataclasses import dataclass

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    InvalidConfigError,
    InvalidRegionError,
    InvalidS3AddressingStyleError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSLError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as NotConnected
from urllib3.exceptions import HTTPError

from slipway.registry.errors import Corrupt, InvalidInput, NotFound, SlipwayError, Unavailable

# Whatever a connection can raise: boto3's client, urllib3 beneath its streams, and sockets beneath that.
Raised = (ClientError, BotoCoreError, HTTPError, ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error of S3 means to the caller; `passes` says that trying again soon may help."""

    kind: type[SlipwayError]
    code: str
    hint: str
    passes: bool = False


WAIT = "wait, then retry"
ENDPOINT = "check MLFLOW_S3_ENDPOINT_URL, and that the server there answers; then retry"
KEYS = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, which ends after some hours, "
    "and what they may read and write"
)

REGION_WRONG = Meaning(Unavailable, "s3-region", "check AWS_DEFAULT_REGION: it must be the bucket's")
GONE = Meaning(NotFound, "artifacts-gone", "choose another version, or restore it from a backup")
NO_BUCKET = Meaning(Unavailable, "s3-no-bucket", "restore the bucket, or check MLFLOW_S3_ENDPOINT_URL")
CHANGED = Meaning(Corrupt, "artifacts-changed", "find out who wrote there, then retry")
EXPIRED = Meaning(
    Unavailable, "s3-credentials-expired", "renew them (aws sso login, a new AWS_SESSION_TOKEN), then retry"
)
REFUSED = Meaning(Unavailable, "s3-credentials-refused", KEYS)
NO_CREDENTIALS = Meaning(Unavailable, "s3-no-credentials", KEYS)
CLOCK = Meaning(Unavailable, "s3-clock", "set this machine's clock right: it differs too much from the server's")
ARCHIVED = Meaning(Unavailable, "s3-archived", "restore the object from its archive, then retry")
STORE_FULL = Meaning(Unavailable, "s3-store-full", "free room in the object store, or raise the quota")
THROTTLED = Meaning(Unavailable, "s3-throttled", WAIT, passes=True)
DOWN = Meaning(Unavailable, "s3-unavailable", ENDPOINT, passes=True)
TLS = Meaning(Unavailable, "s3-tls", "check the server's certificate; MLFLOW_S3_IGNORE_TLS=true trusts any")
CONFIGURED_WRONG = Meaning(InvalidInput, "s3-settings", "check the variables AWS_… and ~/.aws/config")
OTHER = Meaning(Unavailable, "s3-refused", KEYS)

BY_CODE = {
    "NoSuchKey": GONE,
    "NoSuchUpload": CHANGED,
    "NoSuchBucket": NO_BUCKET,
    "PreconditionFailed": CHANGED,
    "InvalidRange": CHANGED,
    "InvalidPart": CHANGED,
    "BadDigest": DOWN,
    "XAmzContentSHA256Mismatch": DOWN,
    "ExpiredToken": EXPIRED,
    "ExpiredTokenException": EXPIRED,
    "TokenRefreshRequired": EXPIRED,
    "RequestExpired": EXPIRED,
    "InvalidToken": REFUSED,
    "InvalidAccessKeyId": REFUSED,
    "SignatureDoesNotMatch": REFUSED,
    "AccessDenied": REFUSED,
    "UserSuspended": REFUSED,
    "RequestTimeTooSkewed": CLOCK,
    "AuthorizationHeaderMalformed": REGION_WRONG,
    "PermanentRedirect": REGION_WRONG,
    "InvalidObjectState": ARCHIVED,
    "QuotaExceeded": STORE_FULL,
    "InsufficientCapacity": STORE_FULL,
    "SlowDown": THROTTLED,
    "Throttling": THROTTLED,
    "ThrottlingException": THROTTLED,
    "RequestLimitExceeded": THROTTLED,
    "TooManyRequests": THROTTLED,
    "BandwidthLimitExceeded": THROTTLED,
    "RequestTimeout": DOWN,
}
# A HEAD request has no body, so that boto3 says the status for the code.
BY_STATUS = {301: REGION_WRONG, 401: REFUSED, 403: REFUSED, 404: GONE, 412: CHANGED, 416: CHANGED, 429: THROTTLED}
# The first class that an error is of decides.
BY_CLASS: tuple[tuple[type[BaseException], Meaning], ...] = (
    (NoCredentialsError, NO_CREDENTIALS),
    (PartialCredentialsError, NO_CREDENTIALS),
    (CredentialRetrievalError, NO_CREDENTIALS),
    (TokenRetrievalError, EXPIRED),
    (SSOError, EXPIRED),
    (LoginError, EXPIRED),
    (NoRegionError, REGION_WRONG),
    (InvalidRegionError, REGION_WRONG),
    (ProfileNotFound, CONFIGURED_WRONG),
    (ConfigNotFound, CONFIGURED_WRONG),
    (ConfigParseError, CONFIGURED_WRONG),
    (InvalidConfigError, CONFIGURED_WRONG),
    (InvalidS3AddressingStyleError, CONFIGURED_WRONG),
    (ParamValidationError, CONFIGURED_WRONG),
    (SSLError, TLS),
    (NotConnected, DOWN),
    (HTTPClientError, DOWN),
    (ChecksumError, DOWN),
    (FlexibleChecksumError, DOWN),
    (IncompleteReadError, DOWN),
    (ResponseStreamingError, DOWN),
    (HTTPError, DOWN),
    (ConnectionError, DOWN),
    (TimeoutError, DOWN),
)


def meaning_of(error: BaseException) -> Meaning:
    """Return what an error of boto3's means; one that nobody sorted is `Unavailable`."""
    if isinstance(error, ClientError):
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        found = BY_CODE.get(_code(error)) or BY_STATUS.get(status)
        return found or (DOWN if status >= 500 else OTHER)
    return next((meaning for kind, meaning in BY_CLASS if isinstance(error, kind)), OTHER)


def translated(error: BaseException, what: str) -> SlipwayError:
    """Return our error for one of boto3's; `what` says what was tried, as in "downloading s3://b/m"."""
    meaning = meaning_of(error)
    said = " ".join(str(error).split())
    if isinstance(error, ClientError):
        detail = error.response.get("Error", {}).get("Message")
        said = f"the store answered {_code(error)}" + (f": {detail}" if detail else "")
    return meaning.kind(f"{what} failed: {said}", code=meaning.code, hint=meaning.hint)


def cause_in_s3(error: BaseException) -> BaseException | None:
    """Return the error of boto3's that this is, or that led to it; `None` where none did."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, (ClientError, BotoCoreError)):
        cause = cause.__cause__ or cause.__context__
    return cause


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
