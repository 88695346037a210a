"""A source Secret's manifest, decoded: base64 ``data``, ``stringData`` over it, as an API server does.

Pure. Fed by ``hub_fold``, read by the registries' catalogue. Says which key is wrong, never what its value is.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

from imps_multi.model.fields import Fields, did_you_mean, join, kind_of
from imps_multi.model.hub import HubObject, SourceSecret, UnusableSource
from imps_multi.model.names import NamespaceName
from imps_multi.model.policy import SourceRef, SpecProblem

DEFAULT_TYPE: Final = "Opaque"
MAX_SIZE: Final = 1024 * 1024
"""An API server refuses a Secret with more data than that."""
_FIELDS: Final = frozenset({"apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable"})
_KEY: Final = re.compile(r"[-._a-zA-Z0-9]+")
_BLANKS: Final = str.maketrans("", "", " \t\r\n")


def parse_source(obj: HubObject) -> SourceSecret | UnusableSource:
    """Decode a Secret's manifest; one that cannot be decoded says which keys are wrong."""
    fields = Fields()
    source = _read(fields, obj)
    if fields.problems:
        return UnusableSource(source.ref, "; ".join(map(str, fields.problems)), obj.place)
    return source


def source_problems(obj: HubObject) -> tuple[SpecProblem, ...]:
    """Return what keeps a Secret's manifest from being decoded, each with its path."""
    fields = Fields()
    _read(fields, obj)
    return fields.problems


def _read(fields: Fields, obj: HubObject) -> SourceSecret:
    content = obj.content
    for name in content:
        if name not in _FIELDS and (hint := did_you_mean(str(name), _FIELDS)):  # YAML has keys that are no texts
            fields.problem(str(name), f"unknown field{hint}")
    metadata = fields.mapping(content.get("metadata"), "metadata")
    annotations = fields.text_map(metadata.get("annotations"), "metadata.annotations")
    data = _data(fields, content.get("data")) | _string_data(fields, content.get("stringData"))
    if sum(map(len, data.values())) > MAX_SIZE:
        fields.problem("data", f"is over {MAX_SIZE} bytes")
    ref = SourceRef(NamespaceName(obj.namespace), obj.name)
    return SourceSecret(ref, _type(fields, content), data, annotations, obj.place)


def _type(fields: Fields, content: Mapping[str, Any]) -> str:
    value = content.get("type")
    return DEFAULT_TYPE if value is None else fields.text(value, "type") or DEFAULT_TYPE


def _data(fields: Fields, value: object) -> dict[str, bytes]:
    decoded = {key: _decoded(fields, item, join("data", key)) for key, item in _keyed(fields, value, "data").items()}
    return {key: item for key, item in decoded.items() if item is not None}


def _decoded(fields: Fields, value: object, path: str) -> bytes | None:
    if value is None:
        return b""
    if not isinstance(value, str):
        fields.problem(path, f"must be base64 text, is {kind_of(value)}; put it in quotes, or plain under stringData")
        return None
    try:
        return b64decode(value.translate(_BLANKS), validate=True)
    except ValueError:
        fields.problem(path, "is not valid base64; a plain value belongs under stringData")
        return None


def _string_data(fields: Fields, value: object) -> dict[str, bytes]:
    plain = {
        key: _encoded(fields, item, join("stringData", key))
        for key, item in _keyed(fields, value, "stringData").items()
    }
    return {key: item for key, item in plain.items() if item is not None}


def _encoded(fields: Fields, value: object, path: str) -> bytes | None:
    text = "" if value is None else fields.text(value, path)
    try:
        return text.encode() if text is not None else None
    except UnicodeEncodeError:
        fields.problem(path, "is not valid Unicode text")
        return None


def _keyed(fields: Fields, value: object, path: str) -> dict[str, object]:
    content = fields.mapping(value, path)
    for key in content:
        if _KEY.fullmatch(key) is None:
            fields.problem(path, 'has a key that is not valid: keys may have letters, digits, "-", "_" and "." only')
    return content
