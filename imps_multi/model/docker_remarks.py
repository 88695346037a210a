"""What works in a docker config but hardly as it was meant: said beside the source, and in the way of nothing.

Pure. Fed by ``dockerconfig`` with one entry at a time as it was given. It says which field, never what is in it; what a
kubelet does is from its ``pkg/credentialprovider``, what a runtime does from containerd's reading of its request.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from imps_multi.model.docker_settings import HELPERS, STORE, Setting
from imps_multi.model.keyring import can_match, decode_auth, normalised, text_field

DOCKER_HUB_KEY: Final = "https://index.docker.io/v1/"
"""The key that Docker and the kubelet know Docker Hub by."""
LARGEST_PASSWORD: Final = 64 << 10
"""Registries and what stands before them take no header line beyond."""
_TOKEN_USER: Final = "<token>"  # noqa: S105 - what credential helpers write instead of a user name
_HUB: Final = "index.docker.io"
_HUB_HOSTS: Final = frozenset({"registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com", "www.docker.com"})


def entry_remarks(registry: str, fields: Mapping[str, object]) -> Iterator[str]:
    """Say what is odd about an entry that can be used; the names of its fields are spelled as known."""
    yield from key_remarks(registry)
    username, password = (text_field(fields, name) for name in ("username", "password"))
    if auth := text_field(fields, "auth"):
        user_and_password = decode_auth(auth)
        if (username or password) and (username, password) != user_and_password:
            yield "auth and username/password do not agree; a kubelet takes auth, so that is what is written"
        username, password = user_and_password
    tokens = [name for name in ("identitytoken", "registrytoken") if fields.get(name)]
    yield from _login_remarks(username, password, " and ".join(tokens))


def settings_remarks(settings: Iterable[Setting]) -> Iterator[str]:
    """Say what a kubelet makes of credential helpers and stores."""
    names = {one.name for one in settings}
    for name in (HELPERS, STORE):
        if name in names:
            yield f"{name} is kept, for tools that mount the Secret; no kubelet asks a credential helper"


def key_remarks(registry: str) -> Iterator[str]:
    """Say what is odd about a key of ``auths``: which images would never be looked up under it."""
    key = normalised(registry)
    if key is None:
        yield "is no URL, so a kubelet skips the entry; write HOST[:PORT][/PATH]"
        return
    host, slash, path = key.partition("/")
    if host == _HUB and slash:
        yield f"no image is ever looked up under it; Docker Hub is {DOCKER_HUB_KEY}, a part of it docker.io/…"
    elif host in _HUB_HOSTS:
        yield f"covers images only whose name says {host}; Docker Hub is {DOCKER_HUB_KEY}"
    elif path in {"v1", "v2"}:
        yield f"to a kubelet /{path} without a slash behind it is part of the image's name; write {host}"
    elif "://" in key or not can_match(key):
        yield "no image's name can match it; write HOST[:PORT][/PATH], with * and ? within a part of the host"
    elif host != host.lower():
        yield "hosts are compared as they are written, and images are usually written in lower case"
    elif host.endswith((":443", ":80")):
        yield f"covers images only whose name says :{host.rpartition(':')[2]}, too"


def _login_remarks(username: str, password: str, tokens: str) -> Iterator[str]:
    if username == _TOKEN_USER:
        yield f"the user name {_TOKEN_USER} marks an identity token for credential helpers; a kubelet sends it as it is"
    elif not (username or password):
        yield f"has only {tokens}, which no kubelet uses; it pulls without a login"
    elif not password and tokens:
        yield f"has only {tokens} to log in with, which no kubelet uses; give it a user name and a password"
    elif not password:
        yield "the password is empty"
    elif not username:
        yield "the user name is empty, so container runtimes ask as nobody"
    for name, value in (("user name", username), ("password", password)):
        if value != value.rstrip("\r\n"):
            yield f"the {name} ends in a line break, which is sent with it; printf '%s' writes none"
    if len(password) > LARGEST_PASSWORD:
        yield "the password is over 64 KiB; no registry takes so much in a header"
