"""What goes wrong, said as Kubernetes says it: one exception that carries a `Status` object.

Everything that refuses a request raises `ApiError`; the server turns it into an answer, a watch into an ERROR event.
The words follow k8s.io/apimachinery `pkg/api/errors`, since clients and people read them. Nothing here knows HTTP
beyond the code. Fed by every other file of the sandbox.
"""

import msgspec

from imps_multi.sandbox.resources import Resource

__all__ = [
    "ApiError",
    "Cause",
    "already_exists",
    "bad_request",
    "broken_precondition",
    "conflict",
    "expired",
    "failure",
    "field_error",
    "forbidden",
    "invalid",
    "method_not_allowed",
    "not_acceptable",
    "not_found",
    "terminating",
    "too_large",
    "unauthorized",
    "unsupported_media_type",
]

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}
_FIELD_REASONS = {
    "Required value": "FieldValueRequired",
    "Invalid value": "FieldValueInvalid",
    "Forbidden": "FieldValueForbidden",
    "Too long": "FieldValueTooLong",
    "Unsupported value": "FieldValueNotSupported",
}


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of `details.causes`."""

    reason: str
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The machine-readable half of a Status."""

    name: str = ""
    group: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[Cause, ...] = ()
    retry_after_seconds: int = 0


class _ListMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    continue_: str = msgspec.field(name="continue", default="")


class Status(msgspec.Struct, frozen=True, omit_defaults=True):
    """A `v1.Status`, field for field."""

    kind: str = msgspec.field(default_factory=lambda: "Status")
    api_version: str = msgspec.field(name="apiVersion", default_factory=lambda: "v1")
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    status: str = msgspec.field(default_factory=lambda: "Failure")
    message: str = ""
    reason: str = ""
    details: Details | None = None
    code: int = 0

    def encode(self) -> bytes:
        """Return the JSON that goes over the wire."""
        return msgspec.json.encode(self)


class ApiError(Exception):
    """A refusal: an HTTP code, its Status, and the `Retry-After` that goes with it."""

    def __init__(self, status: Status, *, retry_after: int | None = None) -> None:
        super().__init__(status.message)
        self.status = status
        self.code = status.code
        self.retry_after = retry_after


def failure(
    code: int,
    message: str,
    *,
    reason: str | None = None,
    details: Details | None = None,
    retry_after: int | None = None,
    token: str = "",
) -> ApiError:
    """Return an error of any code; `token` is the continue token an expired list offers instead."""
    if details is None and retry_after:
        details = Details(retry_after_seconds=retry_after)
    chosen = _REASONS.get(code, "") if reason is None else reason
    status = Status(metadata=_ListMeta(token), message=message, reason=chosen, details=details, code=code)
    return ApiError(status, retry_after=retry_after)


def success(resource: Resource, name: str, uid: str) -> bytes:
    """Return the Status that answers a DELETE."""
    details = Details(name=name, group=resource.group, kind=resource.plural, uid=uid)
    return msgspec.json.encode(Status(status="Success", details=details))


def _details(resource: Resource, name: str, *causes: Cause) -> Details:
    return Details(name=name, group=resource.group, kind=resource.plural, causes=causes)


def bad_request(message: str) -> ApiError:
    """400: the request itself is malformed."""
    return failure(400, message)


def unauthorized() -> ApiError:
    """401: no token, or one nobody knows."""
    return failure(401, "Unauthorized")


def not_found(resource: Resource, name: str) -> ApiError:
    """404: no such object."""
    return failure(404, f'{resource.qualified} "{name}" not found', details=_details(resource, name))


def method_not_allowed() -> ApiError:
    """405: the path exists, the verb does not."""
    return failure(405, "the server does not allow this method on the requested resource")


def not_acceptable(message: str) -> ApiError:
    """406: nothing in Accept can be served."""
    return failure(406, message)


def unsupported_media_type(accepted: str) -> ApiError:
    """415: the body's Content-Type is not taken here."""
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return failure(415, message)


def too_large(limit: int) -> ApiError:
    """413: the body is over the limit."""
    return failure(413, f"Request entity too large: limit is {limit}")


def already_exists(resource: Resource, name: str) -> ApiError:
    """409 AlreadyExists: a POST met an object of that name."""
    message = f'{resource.qualified} "{name}" already exists'
    return failure(409, message, reason="AlreadyExists", details=_details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> ApiError:
    """409 Conflict: a resourceVersion or uid that was named is not the one there."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return failure(409, message, details=_details(resource, name))


def broken_precondition(resource: Resource, name: str, why: str) -> ApiError:
    """409 Conflict of a DELETE, which names the kind where all others name the resource."""
    message = f'Operation cannot be fulfilled on {resource.kind} "{name}": {why}'
    return failure(409, message, details=Details(name=name, group=resource.group, kind=resource.kind))


def forbidden(resource: Resource, name: str, why: str, *causes: Cause) -> ApiError:
    """403: refused by who asks, or by the state of the namespace."""
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return failure(403, f"{subject} is forbidden: {why}", details=_details(resource, name, *causes))


def terminating(resource: Resource, name: str, namespace: str) -> ApiError:
    """403 with cause NamespaceTerminating, as the NamespaceLifecycle admission plugin says it."""
    cause = Cause("NamespaceTerminating", f"namespace {namespace} is being terminated", "metadata.namespace")
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    return forbidden(resource, name, why, cause)


def expired(message: str, *, token: str = "") -> ApiError:
    """410: the history asked for is gone."""
    return failure(410, message, token=token)


def field_error(field: str, kind: str, detail: str = "") -> Cause:
    """Return one field's complaint; `kind` is 'Required value', 'Invalid value', 'Forbidden', ..."""
    return Cause(_FIELD_REASONS[kind], f"{kind}: {detail}" if detail else kind, field)


def invalid(kind: str, name: str, causes: list[Cause], *, group: str = "") -> ApiError:
    """422: the object does not pass validation."""
    lines = [f"{cause.field}: {cause.message}" for cause in causes]
    text = lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
    qualified = f"{kind}.{group}" if group else kind
    details = Details(name=name, group=group, kind=kind, causes=tuple(causes))
    return failure(422, f'{qualified} "{name}" is invalid: {text}', details=details)
