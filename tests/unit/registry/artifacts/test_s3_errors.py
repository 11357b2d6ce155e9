"""Every error of boto3's becomes one of ours, and it is known which of them pass."""

import inspect

import botocore.exceptions
import pytest
from botocore.exceptions import ClientError
from urllib3.exceptions import ProtocolError

from slipway.registry.artifacts.s3_errors import BY_CLASS, BY_CODE, cause_in_s3, meaning_of, translated
from slipway.registry.errors import Corrupt, InvalidInput, NotFound, SlipwayError, Unavailable

# What boto3 can raise otherwise: never in what we ask of it, or bugs of ours that should be seen as such.
NOT_OURS = frozenset(
    """
    AliasConflictParameterError ApiVersionNotFoundError AwsChunkedWrapperError BaseEndpointResolverError BotoCoreError
    CapacityNotAvailableError DataNotFoundError EndpointProviderError EndpointResolutionError EndpointVariantError
    InvalidChecksumConfigError InvalidDNSNameError InvalidDefaultsMode
    InvalidEndpointConfigurationError InvalidEndpointDiscoveryConfigurationError InvalidExpressionError
    InvalidHostLabelError InvalidIMDSEndpointError InvalidIMDSEndpointModeError InvalidMaxRetryAttemptsError
    InvalidProxiesConfigError InvalidRetryConfigurationError InvalidRetryModeError
    InvalidS3UsEast1RegionalEndpointConfigError InvalidSTSRegionalEndpointsConfigError MD5UnavailableError
    MetadataRetrievalError MissingDependencyException MissingParametersError MissingServiceIdError NoAuthTokenError
    OperationNotPageableError PaginationError RangeError RefreshWithMFAUnsupportedError ServiceNotInRegionError
    StubAssertionError StubResponseError UnStubbedResponseError UndefinedModelAttributeError UnknownClientMethodError
    UnknownCredentialError UnknownEndpointError UnknownEndpointResolutionBuiltInName UnknownFIPSEndpointError
    UnknownKeyError UnknownParameterError UnknownRegionError UnknownServiceError UnknownServiceStyle
    UnknownSignatureVersionError UnknownTokenProviderError UnseekableStreamError UnsupportedOutpostResourceError
    UnsupportedS3AccesspointConfigurationError UnsupportedS3ArnError UnsupportedS3ConfigurationError
    UnsupportedS3ControlArnError UnsupportedS3ControlConfigurationError UnsupportedServiceProtocolsError
    UnsupportedSignatureVersionError ValidationError WaiterConfigError WaiterError
    """.split()  # noqa: SIM905
)


def refusal(code: str, status: int) -> ClientError:
    """Return what boto3 raises when S3 refuses."""
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "kind", "code", "passes"),
    [
        (refusal("NoSuchKey", 404), NotFound, "artifacts-gone", False),
        (refusal("404", 404), NotFound, "artifacts-gone", False),
        (refusal("NoSuchBucket", 404), Unavailable, "s3-no-bucket", False),
        (refusal("PreconditionFailed", 412), Corrupt, "artifacts-changed", False),
        (refusal("InvalidRange", 416), Corrupt, "artifacts-changed", False),
        (refusal("InvalidAccessKeyId", 403), Unavailable, "s3-credentials-refused", False),
        (refusal("403", 403), Unavailable, "s3-credentials-refused", False),
        (refusal("RequestTimeTooSkewed", 403), Unavailable, "s3-clock", False),
        (refusal("PermanentRedirect", 301), Unavailable, "s3-region", False),
        (refusal("QuotaExceeded", 403), Unavailable, "s3-store-full", False),
        (refusal("SlowDown", 503), Unavailable, "s3-throttled", True),
        (refusal("unheard of", 429), Unavailable, "s3-throttled", True),
        (refusal("unheard of", 500), Unavailable, "s3-unavailable", True),
        (refusal("unheard of", 400), Unavailable, "s3-refused", False),
        (botocore.exceptions.NoCredentialsError(), Unavailable, "s3-no-credentials", False),
        (botocore.exceptions.ProfileNotFound(profile="p"), InvalidInput, "s3-settings", False),
        (botocore.exceptions.SSLError(endpoint_url="https://s3", error="self-signed"), Unavailable, "s3-tls", False),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://s3"), Unavailable, "s3-unavailable", True),
        (ProtocolError("broken"), Unavailable, "s3-unavailable", True),
        (ConnectionResetError("reset"), Unavailable, "s3-unavailable", True),
    ],
)
def test_an_error_becomes_what_the_caller_can_do(error: Exception, kind: type[SlipwayError], code: str, passes: bool):
    """And only what passes is tried again."""
    found = translated(error, "reading s3://b/m")
    assert (type(found), found.code, meaning_of(error).passes) == (kind, code, passes)
    assert found.message.startswith("reading s3://b/m failed: ")
    assert found.hint


def test_every_error_of_boto3_is_sorted():
    """One that a later boto3 adds has to be looked at."""
    classes = [each for _, each in inspect.getmembers(botocore.exceptions, inspect.isclass)]
    theirs = {each for each in classes if issubclass(each, Exception) and not issubclass(each, Warning)}
    sorted_in = (*(kind for kind, _ in BY_CLASS), ClientError)
    assert {each.__name__ for each in theirs if not issubclass(each, sorted_in)} == NOT_OURS


def test_what_passes_is_never_the_models_fault():
    """Nothing that is tried again would be called missing or corrupt in the end."""
    meanings = [*BY_CODE.values(), *(meaning for _, meaning in BY_CLASS)]
    assert all(meaning.kind is Unavailable for meaning in meanings if meaning.passes)


def test_what_led_to_an_error_is_found_behind_it():
    """As behind boto3's error of an upload, which says it in words only; where nothing of S3's did, nothing is."""
    refused = refusal("AccessDenied", 403)
    said, elsewhere = RuntimeError("failed to upload"), RuntimeError("of somebody else")
    said.__context__ = refused
    assert cause_in_s3(said) is refused
    assert cause_in_s3(elsewhere) is None
