"""LIST: all or a page of the objects of a kind.

Synchronous: it looks at the store once and joins prebuilt bytes. A continue token is written as etcd3 storage of
k8s.io/apiserver does (`pkg/storage/continue.go`). Fed by the server.
"""

import base64
import bisect
from collections.abc import Mapping

import msgspec

from imps_multi.sandbox.negotiation import View
from imps_multi.sandbox.objects import Entry, key_of
from imps_multi.sandbox.selection import Selection
from imps_multi.sandbox.status import ApiError, Cause, Details, bad_request, expired, failure, field_error, invalid
from imps_multi.sandbox.store import Store

__all__ = ["list_objects", "parse_version", "too_large_version"]

_TOKEN_VERSION = "meta.k8s.io/v1"  # noqa: S105, the format of the token and no secret
_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
)
_MATCHES = {"Exact", "NotOlderThan"}


class _Token(msgspec.Struct):
    v: str
    rv: int
    start: str

    def encode(self) -> str:
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()


class _Page(msgspec.Struct):
    entries: list[Entry]
    version: int
    token: str = ""
    remaining: int = 0


def list_objects(store: Store, selection: Selection, query: Mapping[str, str]) -> bytes:
    """Return the body of a LIST answer.

    Raises:
        ApiError: 400, 410 when a token or an exact version is forgotten, 422, 504 for a version of the future.
    """
    _check_options(query)
    token = query.get("continue", "")
    page = _continue(store, selection, token) if token else _begin(store, selection, query)
    page.entries = selection.narrow(page.entries)
    # a server with a watch cache ignores the limit of a list that may be of any age
    limit = 0 if query.get("resourceVersion") == "0" and not token else _limit(query)
    if limit and len(page.entries) > limit:
        _cut(store, selection, page, limit)
    return _render(selection, page)


def _check_options(query: Mapping[str, str]) -> None:
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    causes = []
    if match and not version:
        detail = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        causes.append(field_error("resourceVersionMatch", "Forbidden", detail))
    if match and query.get("continue"):
        detail = "resourceVersionMatch is forbidden when continue is provided"
        causes.append(field_error("resourceVersionMatch", "Forbidden", detail))
    if match and match not in _MATCHES:
        causes.append(field_error("resourceVersionMatch", "Unsupported value", f'"{match}"'))
    if match == "Exact" and version == "0":
        detail = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        causes.append(field_error("resourceVersionMatch", "Forbidden", detail))
    if "sendInitialEvents" in query:
        causes.append(field_error("sendInitialEvents", "Forbidden", "sendInitialEvents is forbidden for list"))
    if causes:
        raise invalid("ListOptions", "", causes, group="meta.k8s.io")


def _limit(query: Mapping[str, str]) -> int:
    try:
        return int(query.get("limit", "0"))
    except ValueError as error:
        raise bad_request(f"limit: {error}") from error


def parse_version(text: str) -> int:
    """Read a resourceVersion; nothing is 0.

    Raises:
        ApiError: 400.
    """
    if not text:
        return 0
    if not text.isdecimal():
        raise bad_request(f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: invalid syntax')
    return int(text)


def _begin(store: Store, selection: Selection, query: Mapping[str, str]) -> _Page:
    version = parse_version(query.get("resourceVersion", ""))
    if version > store.version:
        raise too_large_version(version, store.version)
    if query.get("resourceVersionMatch") == "Exact":
        found = store.recall(version, selection.resource, selection.namespace)
        if found is None:
            raise expired(f"The resourceVersion for the provided list is too old: {version}")
        return _Page(found, version)
    return _Page(store.entries(selection.resource, selection.namespace), store.version)


def too_large_version(wanted: int, current: int) -> ApiError:
    """Return the 504 that a version of the future gets."""
    details = Details(
        causes=(Cause("ResourceVersionTooLarge", "Too large resource version"),),
        retry_after_seconds=1,
    )
    message = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return failure(504, message, details=details, retry_after=1)


def _continue(store: Store, selection: Selection, text: str) -> _Page:
    token = _decode(text)
    version = token.rv if token.rv > 0 else store.version
    found = store.recall(version, selection.resource, selection.namespace)
    if found is None:
        again = _Token(_TOKEN_VERSION, -1, token.start).encode()
        raise expired(_TOO_OLD, token=again)
    start = key_of(selection.namespace, token.start)
    first = bisect.bisect_left(found, start, key=lambda entry: entry.key)
    return _Page(found[first:], version)


def _decode(text: str) -> _Token:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        token = msgspec.json.decode(raw, type=_Token)
    except (ValueError, msgspec.DecodeError) as error:
        raise bad_request(f"continue key is not valid: {error}") from error
    if token.v != _TOKEN_VERSION or token.rv == 0:
        raise bad_request("continue key is not valid: unrecognized version")
    return token


def _cut(store: Store, selection: Selection, page: _Page, limit: int) -> None:
    """Leave the first `limit` objects and a token for the others."""
    last = page.entries[limit - 1].key.removeprefix(f"{selection.namespace}/" if selection.namespace else "")
    if page.version == store.version:
        store.remember(selection.resource, selection.namespace)
    page.token = _Token(_TOKEN_VERSION, page.version, f"{last}\0").encode()
    page.remaining = 0 if selection.filters else len(page.entries) - limit
    page.entries = page.entries[:limit]


def _render(selection: Selection, page: _Page) -> bytes:
    resource = selection.resource
    meta: dict[str, object] = {"resourceVersion": str(page.version)}
    if page.token:
        meta["continue"] = page.token
    if page.remaining:
        meta["remainingItemCount"] = page.remaining
    if selection.view is View.FULL:
        kind, version = f"{resource.kind}List", resource.api_version
        items = b",".join([entry.item for entry in page.entries])
    else:
        kind, version = View.PARTIAL_LIST.value, "meta.k8s.io/v1"
        items = b",".join([entry.partial for entry in page.entries])
    head = msgspec.json.encode({"kind": kind, "apiVersion": version, "metadata": meta})
    return head[:-1] + b',"items":[' + items + b"]}"
