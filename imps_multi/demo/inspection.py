"""What lies in a sandbox cluster, judged by looking at its store: the demonstration's witness.

Pure. It shares no code with what the service uses to write or compare, so that the two cannot agree on a mistake.
Fed with documents of the store, feeds the story's checks and the table.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import msgspec

from imps_multi.demo.scenery import DOCKER_HUB, ECR_HOST, HUB_ID, LOGIN, SECRET

_TYPE = "kubernetes.io/dockerconfigjson"
_KEY = ".dockerconfigjson"
_LABELS = {"app.kubernetes.io/managed-by": "imps-multi", "imps-multi.io/hub": HUB_ID}
_UNWANTED = "imps-multi.io/unwanted-since"


class _Meta(msgspec.Struct):
    name: str
    namespace: str
    uid: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class _Secret(msgspec.Struct):
    metadata: _Meta
    type: str = ""
    data: dict[str, str] = {}


class _Login(msgspec.Struct):
    auth: str


class _DockerConfig(msgspec.Struct):
    auths: dict[str, _Login]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A Secret of the demonstration's name, as it lies there."""

    namespace: str
    uid: str
    unwanted: bool
    """Whether it is marked for removal."""
    password: str | None = field(repr=False)
    """The ECR password in it; None where it is not a whole pull Secret of ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One cluster compared with what should be there."""

    wanted: int
    right: int
    older: int
    """As it should be, but for an earlier token."""
    elsewhere: int
    """Secrets where none should be."""
    token: int
    """The number of the oldest token that lies there; 0 is none."""
    uids: Mapping[str, str]

    @property
    def complete(self) -> bool:
        """Whether every selected namespace has the newest token, and no other namespace has anything."""
        return self.right == self.wanted and not self.elsewhere


def lying(documents: Iterable[Mapping[str, object]]) -> list[Lying]:
    """Pick the Secrets of the demonstration's name from a store's Secrets."""
    secrets = (msgspec.convert(document, _Secret) for document in documents)
    return [_lying(secret) for secret in secrets if secret.metadata.name == SECRET]


def picture(found: Iterable[Lying], wanted: AbstractSet[str], tokens: Sequence[str]) -> Picture:
    """Compare. ``wanted`` are the selected namespaces, ``tokens`` every password that ECR gave out, oldest first."""
    there = {one.namespace: one for one in found}
    numbers = {password: number for number, password in enumerate(tokens, start=1)}
    held = [numbers.get(there[each].password or "", 0) if each in there else 0 for each in wanted]
    known = [number for number in held if number]
    return Picture(
        wanted=len(wanted),
        right=sum(number == len(tokens) for number in known),
        older=sum(number < len(tokens) for number in known),
        elsewhere=len(there.keys() - wanted),
        token=min(known, default=0),
        uids={namespace: one.uid for namespace, one in there.items() if namespace in wanted},
    )


def _lying(secret: _Secret) -> Lying:
    meta = secret.metadata
    ours = _LABELS.items() <= meta.labels.items() and secret.type == _TYPE and list(secret.data) == [_KEY]
    return Lying(
        namespace=meta.namespace,
        uid=meta.uid,
        unwanted=_UNWANTED in meta.annotations,
        password=_password(secret.data[_KEY]) if ours else None,
    )


def _password(encoded: str) -> str | None:
    """Return the ECR password of a docker config that holds exactly what it should, else None."""
    try:
        config = msgspec.json.decode(base64.b64decode(encoded, validate=True), type=_DockerConfig)
        logins = {
            registry: tuple(base64.b64decode(login.auth, validate=True).decode().split(":", 1))
            for registry, login in config.auths.items()
        }
    except (msgspec.DecodeError, binascii.Error, UnicodeDecodeError):
        return None
    match logins.pop(ECR_HOST, ()):
        case ("AWS", password) if logins == {DOCKER_HUB: LOGIN}:
            return password
    return None
