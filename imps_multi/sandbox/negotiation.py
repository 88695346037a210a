"""Which form of an answer the client asked for, and which form of a body it sent.

Pure. Accept parameters that are not known are ignored, as k8s.io/apiserver `handlers/negotiation` does. Used by the
server.
"""

import enum
import functools

from imps_multi.sandbox.status import not_acceptable, unsupported_media_type

__all__ = ["View", "check_body_type", "check_patch_type", "view_of"]

_JSON = {"application/json", "application/*", "*/*"}
_SERVED = "application/json"
_PATCH = "application/merge-patch+json"


class View(enum.Enum):
    """How objects are shown."""

    FULL = ""
    PARTIAL = "PartialObjectMetadata"
    PARTIAL_LIST = "PartialObjectMetadataList"


@functools.lru_cache(maxsize=256)
def _choose(accept: str) -> View | None:
    for clause in accept.split(","):
        media_type, *parameters = (part.strip() for part in clause.split(";"))
        if media_type.lower() not in _JSON:
            continue
        values = dict(each.split("=", 1) for each in parameters if "=" in each)
        wanted = values.get("as", "")
        if not wanted:
            return View.FULL
        known = values.get("g") == "meta.k8s.io" and values.get("v") == "v1"
        if known and wanted in {View.PARTIAL.value, View.PARTIAL_LIST.value}:
            return View(wanted)
    return None


def view_of(accept: str, *, is_list: bool) -> View:
    """Choose the first form in Accept that is served.

    Raises:
        ApiError: 406, none is, or a list form was asked for one object or the other way round.
    """
    view = _choose(accept or "*/*")
    if view is None:
        raise not_acceptable(f"only the following media types are accepted: {_SERVED}")
    if view is View.PARTIAL and is_list:
        raise not_acceptable("you requested PartialObjectMetadata, but the requested object is a list")
    if view is View.PARTIAL_LIST and not is_list:
        raise not_acceptable("you requested PartialObjectMetadataList, but the requested object is not a list")
    return view


def check_body_type(content_type: str) -> None:
    """Check that a POST or PUT body is JSON.

    Raises:
        ApiError: 415.
    """
    if _media_type(content_type) not in {"", _SERVED, "application/octet-stream"}:
        raise unsupported_media_type(_SERVED)


def check_patch_type(content_type: str) -> None:
    """Check that a patch is a merge patch: an apply or a strategic merge is refused here, to be noticed.

    Raises:
        ApiError: 415.
    """
    if _media_type(content_type) != _PATCH:
        raise unsupported_media_type(_PATCH)


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()
