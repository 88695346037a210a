"""What a fake cluster holds and sends: Secrets as JSON, what a watch shows of them, requests and streams as logged."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from imps_multi.model.digest import text_digest
from imps_multi.model.dockerconfig import fingerprint
from imps_multi.model.names import (
    DOCKERCONFIGJSON_KEY,
    OUR_ANNOTATIONS,
    OUR_LABELS,
    NamespaceName,
    SecretName,
    Uid,
)
from imps_multi.model.observed import (
    Marks,
    Owners,
    SecretMoved,
    SeenSecret,
    WatchEvent,
)
from imps_multi.ports import (
    PortError,
    Watched,
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: when it came, what was asked, and how it was answered ('' while it was not)."""

    at: float
    verb: str
    namespace: str = ""
    name: str = ""
    result: str = ""


@dataclass(slots=True)
class Stream:
    """One open watch: what is still to be sent, and how it is to end."""

    watched: Watched
    backlog: list[tuple[int, WatchEvent]] = field(default_factory=list)
    end: PortError | None = None
    closed: bool = False
    mute: bool = False
    stirred: anyio.Event = field(default_factory=anyio.Event)

    def stir(self) -> None:
        """Wake whoever reads the stream."""
        self.stirred.set()
        self.stirred = anyio.Event()


def moved(secret: Json) -> SecretMoved:
    """Tell of a Secret what a watch of metadata does."""
    found, metadata = seen(secret), secret["metadata"]
    namespace, name = NamespaceName(metadata["namespace"]), SecretName(metadata["name"])
    return SecretMoved(namespace, name, found.uid, found.resource_version, found.marks)


def seen(secret: Json) -> SeenSecret:
    """Digest a Secret, as a list does."""
    metadata, data = secret["metadata"], secret.get("data", {})
    content, registries = fingerprint(b64decode(data.get(DOCKERCONFIGJSON_KEY, "")))
    return SeenSecret(
        uid=Uid(metadata["uid"]),
        resource_version=int(metadata["resourceVersion"]),
        type=secret["type"],
        content=content,
        marks=Marks(
            labels=_veiled(metadata.get("labels"), OUR_LABELS),
            annotations=_veiled(metadata.get("annotations"), OUR_ANNOTATIONS),
            finalizers=bool(metadata.get("finalizers")),
            owners=_owners(metadata.get("ownerReferences") or []),
        ),
        registries=registries,
        foreign_keys=frozenset(data.keys() - {DOCKERCONFIGJSON_KEY}),
        immutable=bool(secret.get("immutable")),
    )


def _owners(references: list[Json]) -> Owners:
    others = [one for one in references if one["kind"] != "ImagePullSecret"]
    imps = others != references
    return Owners(
        there=bool(references),
        controller=next((one["kind"] for one in others if one.get("controller")), ""),
        imps=imps,
        others=json.dumps(others) if imps else "",
    )


def merge(target: Json, patch: Mapping[str, Any]) -> Json:
    """Apply a JSON merge patch (RFC 7386)."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            below = target.get(key)
            target[key] = merge(below if isinstance(below, dict) else {}, value)
        else:
            target[key] = value
    return target


def without_version(secret: Json) -> Json:
    """Return a Secret without what the server itself counts."""
    metadata = {key: value for key, value in secret["metadata"].items() if key != "resourceVersion"}
    return {**secret, "metadata": metadata}


def docker_config(**passwords: str) -> str:
    """Return a docker config as base64 text; registries are named with ``_`` for a dot."""
    auths = {name.replace("_", "."): {"username": "u", "password": word} for name, word in passwords.items()}
    return b64encode(json.dumps({"auths": auths}).encode()).decode()


EPOCH = 1_800_000_000.0


def wall_now() -> float:
    """Return the wall clock of a cluster: it never steps; 0 outside of a running loop, where nothing is live."""
    try:
        return EPOCH + anyio.current_time()
    except anyio.NoEventLoopError:
        return 0.0


def _veiled(values: Mapping[str, str] | None, clear: frozenset[str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((key, value if key in clear else text_digest(value)) for key, value in (values or {}).items()))
