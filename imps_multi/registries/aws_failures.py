"""What an AWS call's failure means, as one of the ports' errors.

Messages carry the call, and the error code where it is one that AWS documents for these services. They never carry an
answer's own words: for a bad signature these quote the signed headers, and an endpoint that a source names may say
anything. Imported only together with botocore.
"""

import ssl
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from botocore import exceptions as aws
from botocore.parsers import ResponseParserError

from imps_multi.ports import Forbidden, Invalid, PortError, Reason, Throttled, Transient, Unauthorized

_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttled",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_UNKNOWN_IDENTITY: Final = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_OTHERS: Final = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "IDPCommunicationError", "IDPRejectedClaim", "InternalError"),
        *("InternalFailure", "InternalServerError", "InvalidAction", "InvalidAuthorizationMessageException"),
        *("InvalidParameter", "InvalidParameterCombination", "InvalidParameterException", "InvalidParameterValue"),
        *("InvalidQueryParameter", "InvalidRequest", "MalformedPolicyDocument", "MalformedQueryString"),
        *("MissingAction", "MissingParameter", "NotAuthorized", "OptInRequired", "PackedPolicyTooLarge"),
        *("RegionDisabledException", "SerializationException", "ServerException", "ServiceUnavailable"),
        *("ServiceUnavailableException", "UnauthorizedOperation", "UnknownOperationException"),
        *("UnsupportedCommandException", "UnsupportedOperation", "ValidationError", "ValidationException"),
    }
)
_KNOWN: Final = _THROTTLED | _UNKNOWN_IDENTITY | _OTHERS

MAX_ANSWER_BYTES: Final = 256 << 10
"""A token of 64 KiB, once more for its base64 and what stands around it, fits twice."""


class OversizedAnswerError(Exception):
    """An answer is larger than any that can be of use."""


class RedirectedError(Exception):
    """An endpoint said to go elsewhere, with this HTTP status."""


FAILURES: Final = (
    *(aws.BotoCoreError, aws.ClientError, ResponseParserError, aiohttp.ClientError, OversizedAnswerError, OSError),
    *(ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError),
)
"""What a call through aiobotocore may raise; the second row is how botocore's parsers answer nonsense."""


def translated(error: Exception, call: str) -> PortError:
    """Say what to do about a failure of ``call`` (its name and its region)."""
    if isinstance(error, aws.ClientError):
        return _answered(error, call)
    if isinstance(inner := error.__dict__.get("kwargs", {}).get("error"), RedirectedError):
        return Invalid(f"{call}: redirected (HTTP {inner}): redirects are not followed; name the URL that it leads to")
    if isinstance(inner, (*_NO_FILE, ssl.SSLError)):
        error = inner
    for kinds, make, words in _UNANSWERED:
        if isinstance(error, kinds):
            return make(f"{call}: {words} ({type(error).__name__})")
    return Invalid(f"{call}: the request or the answer is of no use ({type(error).__name__})")


def _answered(error: aws.ClientError, call: str) -> PortError:
    metadata: dict[str, Any] = error.response.get("ResponseMetadata", {})
    status = int(metadata.get("HTTPStatusCode", 0))
    code = str(error.response.get("Error", {}).get("Code", ""))
    shown = code if code in _KNOWN else "no known error code"
    message = f"{call}: {shown} (HTTP {status})"
    if code in _THROTTLED or status == 429:  # noqa: PLR2004  # the HTTP status
        return Throttled(message, retry_after=_retry_after(metadata.get("HTTPHeaders", {})))
    if code in _UNKNOWN_IDENTITY or status == 401:  # noqa: PLR2004  # the HTTP status
        return Unauthorized(message)
    if "AccessDenied" in code or status == 403:  # noqa: PLR2004  # the HTTP status
        return Forbidden(message)
    if status >= 500 or status == 408:  # noqa: PLR2004  # the HTTP statuses
        return Transient(message, answered=True)
    return Invalid(message)


def _retry_after(headers: dict[str, str]) -> float:
    value = headers.get("retry-after", "")
    return min(float(value), 3600.0) if value.isascii() and value.isdigit() else 1.0


def _timeout(message: str) -> PortError:
    return Transient(message, reason=Reason.TIMEOUT)


def _tls(message: str) -> PortError:
    return Transient(message, reason=Reason.TLS)


_NO_FILE: Final = (FileNotFoundError, IsADirectoryError, PermissionError)
"""How a file that the environment or a profile names cannot be read; no connection fails so by itself."""
_UNANSWERED: Final[tuple[tuple[tuple[type[Exception], ...], Callable[[str], PortError], str], ...]] = (
    ((OversizedAnswerError,), Invalid, f"the answer is larger than {MAX_ANSWER_BYTES >> 10} KiB"),
    ((aws.ReadTimeoutError, aws.ConnectTimeoutError, TimeoutError), _timeout, "timed out"),
    ((aws.SSLError, aiohttp.ClientSSLError, ssl.SSLError), _tls, "TLS failed"),
    (
        (aws.NoCredentialsError, aws.PartialCredentialsError, aws.ProfileNotFound),
        Unauthorized,
        "the process has no AWS credentials of its own",
    ),
    (
        (aws.CredentialRetrievalError, aws.MetadataRetrievalError, aws.TokenRetrievalError),
        Transient,
        "the process's own AWS credentials could not be fetched",
    ),
    ((aws.UnauthorizedSSOTokenError, aws.SSOError), Unauthorized, "the process's own AWS login has ended"),
    ((aws.ConfigNotFound, aws.ConfigParseError), Invalid, "the process's own AWS files cannot be read"),
    (
        _NO_FILE,
        Transient,
        "a file that the process's own AWS settings name cannot be read: a token's, or AWS_CA_BUNDLE",
    ),
    ((aws.HTTPClientError, aws.ConnectionError, aiohttp.ClientError, OSError), Transient, "no connection"),
)
"""What never got an answer; the first kind that fits counts."""
