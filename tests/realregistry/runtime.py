"""What a container runtime does with the logins that a kubelet hands it: challenge, token, manifest and blobs.

As containerd does it: a password goes to the token endpoint by POST first, and by GET with Basic where that is refused.
It must know nothing of how the servers decide. Feeds the tests of logins.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from tests.kubelet import Login
from tests.realregistry.http import Answer, ask

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
OK, CREATED, ACCEPTED, UNAUTHORIZED = 200, 201, 202, 401
FALL_BACK = {401, 404, 405}
PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class RefusedError(Exception):
    """The registry, or its token server, would not have the login."""


@dataclass(frozen=True, slots=True)
class Image:
    """One image by tag."""

    host: str
    repository: str
    tag: str = "v1"

    def __str__(self) -> str:
        return f"{self.host}/{self.repository}:{self.tag}"

    def url(self, rest: str) -> str:
        """Return where a part of it lies."""
        return f"http://{self.host}/v2/{self.repository}/{rest}"


def pull(image: Image, logins: Sequence[Login]) -> bytes:
    """Pull an image and return its manifest: each login in turn until one is taken; without any, as nobody.

    Raises:
        RefusedError: none of them was.
    """
    refusals = []
    tried: Sequence[Login | None] = logins or [None]
    for login in tried:
        try:
            return _pull(image, login)
        except RefusedError as error:
            refusals.append(str(error))
    raise RefusedError("; ".join(refusals))


def push(image: Image, login: Login, *, content: bytes) -> bytes:
    """Push an image of one layer and return its manifest."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    blobs = [_upload(image, login, blob, kind) for blob, kind in ((config, CONFIG), (content, LAYER))]
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": blobs[0], "layers": blobs[1:]}, indent=1
    ).encode()
    url = image.url(f"manifests/{image.tag}")
    answer = _authorised("PUT", url, login, headers={"Content-Type": MANIFEST}, body=manifest)
    assert answer.status == CREATED, answer
    return manifest


def _pull(image: Image, login: Login | None) -> bytes:
    answer = _authorised("GET", image.url(f"manifests/{image.tag}"), login, headers={"Accept": MANIFEST})
    assert answer.status == OK, answer
    manifest = json.loads(answer.body)
    for blob in (manifest["config"], *manifest["layers"]):
        found = _authorised("GET", image.url(f"blobs/{blob['digest']}"), login)
        assert blob["digest"] == _digest(found.body)
    return answer.body


def _upload(image: Image, login: Login, blob: bytes, kind: str) -> dict[str, object]:
    started = _authorised("POST", image.url("blobs/uploads/"), login)
    assert started.status == ACCEPTED, started
    place = started.headers["location"]
    url = f"{place}{'&' if '?' in place else '?'}{urlencode({'digest': _digest(blob)})}"
    done = _authorised("PUT", url, login, headers={"Content-Type": "application/octet-stream"}, body=blob)
    assert done.status == CREATED, done
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _authorised(
    method: str, url: str, login: Login | None, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """Ask as nobody, and again with what the challenge wants."""
    first = ask(method, url, headers=headers, body=body)
    if first.status != UNAUTHORIZED:
        return first
    kind, _, words = first.headers["www-authenticate"].partition(" ")
    if login is None:
        raise RefusedError(f"{kind} login is wanted")
    proof = _basic(login) if kind == "Basic" else f"Bearer {_token(dict(PARAMETER.findall(words)), login)}"
    second = ask(method, url, headers={**(headers or {}), "Authorization": proof}, body=body)
    if second.status == UNAUTHORIZED:
        raise RefusedError(f"the registry refuses the {kind} login")
    return second


def _token(challenge: Mapping[str, str], login: Login) -> str:
    asked = {"service": challenge["service"], "scope": challenge["scope"]}
    form = {"grant_type": "password", "client_id": "runtime", "username": login.username, "password": login.password}
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = ask("POST", challenge["realm"], headers=kind, body=urlencode(asked | form).encode())
    if answer.status in FALL_BACK:
        answer = ask("GET", f"{challenge['realm']}?{urlencode(asked)}", headers={"Authorization": _basic(login)})
    if answer.status != OK:
        raise RefusedError(f"the token server answers {answer.status}")
    given = json.loads(answer.body)
    return str(given.get("token") or given["access_token"])


def _basic(login: Login) -> str:
    return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
