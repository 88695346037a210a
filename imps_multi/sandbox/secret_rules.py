"""What a Secret must be.

Pure. Reading drops what the type does not know and merges `stringData`; the checks are those of k8s.io/kubernetes
`pkg/apis/core/validation` `ValidateSecret` and `ValidateSecretUpdate`. A value never appears in a complaint.
"""

import base64
import binascii
import re
from functools import lru_cache

import msgspec

from imps_multi.sandbox.objects import Draft
from imps_multi.sandbox.status import Cause, bad_request, field_error

__all__ = ["check_secret", "check_secret_update", "read_secret"]

_OPAQUE = "Opaque"
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_MAX_KEY = 253
_MAX_SIZE = 1024 * 1024
_JSON_KEYS = {"kubernetes.io/dockerconfigjson": ".dockerconfigjson", "kubernetes.io/dockercfg": ".dockercfg"}
_REQUIRED_KEYS = {
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_BASIC_AUTH_KEYS = ("username", "password")
_ACCOUNT = "kubernetes.io/service-account.name"
_IMMUTABLE = "field is immutable when `immutable` is set"
_JSON_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)


class _Secret(msgspec.Struct, rename="camel"):
    data: dict[str, str | None] | None = None
    string_data: dict[str, str | None] | None = None
    type: str | None = None
    immutable: bool | None = None


def read_secret(draft: Draft) -> None:
    """Bring the fields of a Secret into the form in which it is kept.

    Raises:
        ApiError: 400, a field of another type than it must have, or data that is no base64.
    """
    try:
        found = msgspec.convert(draft.rest, _Secret)
    except msgspec.ValidationError as error:
        raise bad_request(f'Secret in version "v1" cannot be handled as a Secret: {error}') from error
    data = {key: _base64(value or "") for key, value in (found.data or {}).items()}
    for key, plain in (found.string_data or {}).items():
        data[key] = base64.b64encode((plain or "").encode()).decode()
    draft.rest = {"data": data} if data else {}
    if found.immutable is not None:
        draft.rest["immutable"] = found.immutable
    draft.rest["type"] = found.type or _OPAQUE


@lru_cache(maxsize=64)  # one credential goes to thousands of namespaces
def _base64(value: str) -> str:
    plain = value.replace("\n", "").replace("\r", "")  # Go's decoder skips line ends
    try:
        binascii.a2b_base64(plain, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        message = 'Secret in version "v1" cannot be handled as a Secret: illegal base64 data'
        raise bad_request(message) from error
    return plain


def check_secret(draft: Draft) -> list[Cause]:
    """Return what is wrong with a Secret that `read_secret` has read."""
    data = _data(draft)
    causes = [cause for key in data for cause in _key_faults(key)]
    if sum(len(value) * 3 // 4 - value.count("=", -2) for value in data.values()) > _MAX_SIZE:
        causes.append(field_error("data", "Too long", f"may not be more than {_MAX_SIZE} bytes"))
    return causes + _type_faults(draft, data)


def _type_faults(draft: Draft, data: dict[str, str]) -> list[Cause]:
    kind = str(draft.rest["type"])
    if kind in _JSON_KEYS:
        return _json_faults(_JSON_KEYS[kind], data)
    if kind == "kubernetes.io/basic-auth" and not any(key in data for key in _BASIC_AUTH_KEYS):
        return [_required(key) for key in _BASIC_AUTH_KEYS]
    if kind == "kubernetes.io/service-account-token" and not (draft.meta.annotations or {}).get(_ACCOUNT):
        return [field_error(f"metadata.annotations[{_ACCOUNT}]", "Required value")]
    return [_required(key) for key in _REQUIRED_KEYS.get(kind, ()) if key not in data]


def _json_faults(key: str, data: dict[str, str]) -> list[Cause]:
    if key not in data:
        return [_required(key)]
    if _holds_object(data[key]):
        return []
    return [field_error(f"data[{key}]", "Invalid value", '"<secret contents redacted>": not a JSON object')]


@lru_cache(maxsize=64)
def _holds_object(value: str) -> bool:
    try:
        _JSON_OBJECT.decode(base64.b64decode(value))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _required(key: str) -> Cause:
    return field_error(f"data[{key}]", "Required value")


def _key_faults(key: str) -> list[Cause]:
    if len(key) <= _MAX_KEY and _KEY.fullmatch(key) and key not in {".", ".."} and not key.startswith(".."):
        return []
    detail = f"\"{key}\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    return [field_error(f"data[{key}]", "Invalid value", detail)]


def check_secret_update(draft: Draft, before: Draft) -> list[Cause]:
    """Return what of the change is not allowed."""
    causes = []
    if draft.rest["type"] != before.rest["type"]:
        detail = f'"{draft.rest["type"]}": field is immutable'
        causes.append(field_error("type", "Invalid value", detail))
    if before.rest.get("immutable"):
        if not draft.rest.get("immutable"):
            causes.append(field_error("immutable", "Forbidden", _IMMUTABLE))
        if _data(draft) != _data(before):
            causes.append(field_error("data", "Forbidden", _IMMUTABLE))
    return causes


def _data(draft: Draft) -> dict[str, str]:
    found = draft.rest.get("data")
    return found if isinstance(found, dict) else {}
