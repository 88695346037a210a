"""The catalogue: which kind of source a Secret is, and what it gives.

Pure once built. Fed by the hub's snapshot, feeds the token keepers and the planner. It must never import a cloud's
library: most commands only ask what a Secret is. A fault says which key and what is wrong, never a value.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Final, Protocol

from msgspec import Struct, structs

from imps_multi.model.credential import Interpretation, MintSource, SourceFault, StaticSource
from imps_multi.model.docker_remarks import DOCKER_HUB_KEY, entry_remarks, key_remarks
from imps_multi.model.docker_settings import HELPERS, STORE
from imps_multi.model.dockerconfig import DockerConfig, DockerConfigError, basic_entry, merge, parse, parse_legacy
from imps_multi.model.ecr_fields import ECR_TYPE
from imps_multi.model.hub import SourceSecret
from imps_multi.model.keyring import filing_key
from imps_multi.model.names import DOCKERCONFIGJSON_KEY, DOCKERCONFIGJSON_TYPE, REGISTRY_ANNOTATION
from imps_multi.ports import Interpreter
from imps_multi.registries.azure_source import AZURE_TYPE, azure_source
from imps_multi.registries.ecr_source import ecr_source, is_ecr
from imps_multi.registries.gcp_source import GCP_TYPE, gcp_source
from imps_multi.registries.github_source import GITHUB_TYPE, github_source
from imps_multi.registries.oauth2_source import OAUTH2_TYPE, oauth2_source
from imps_multi.registries.remembering import Remembering
from imps_multi.registries.rules import AmbientRule
from imps_multi.registries.source_fields import UnusableSecretError, bounds, items

MOST_REMARKS: Final = 5
DOCKERCFG_TYPE: Final = "kubernetes.io/dockercfg"
DOCKERCFG_KEY: Final = ".dockercfg"
BASIC_AUTH_TYPE: Final = "kubernetes.io/basic-auth"
_DOCKER_HUB: Final = frozenset({"docker.io", "index.docker.io", "index.docker.io/v1", "registry-1.docker.io"})

_REGISTRY: Final = re.compile(r"(https?://)?(\[[0-9A-Fa-f:.]+\]|[\w.*?-]+)(:\d{1,5})?(/[^\s;,?#]*)?")
"""A host or a glob of hosts, as images are named by them."""


class ReadMinted(Protocol):
    """Reads a Secret of one type. Raises UnusableSecretError."""

    def __call__(self, secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> MintSource:
        """Return whose token is to be minted, and under which registries it goes."""


class Minted(Struct, frozen=True):
    """A type of source whose token is minted. ``library``: the module that this takes, of the optional ``extra``."""

    read: ReadMinted
    library: str = ""
    extra: str = ""


def interpreter(*, ambient: AmbientRule, endpoints: tuple[str, ...]) -> Interpreter:
    """Build the interpreter. ``endpoints`` are the host globs that a source's own endpoint URLs may name."""
    return Remembering(partial(_interpret, ambient=ambient, endpoints=endpoints))


def _interpret(secret: SourceSecret, *, ambient: AmbientRule, endpoints: tuple[str, ...]) -> Interpretation:
    try:
        if is_ecr(secret):
            return _judged(ecr_source(secret, ambient=ambient, endpoints=endpoints))
        if secret.type in _MINTED:
            kind = _installed(_MINTED[secret.type], secret.type)
            return _judged(kind.read(secret, ambient=ambient, endpoints=endpoints))
        config = _static(secret)
        return StaticSource(config.entries, bounds(secret), settings=config.settings, remark=_few(config.remarks))
    except (UnusableSecretError, DockerConfigError) as error:
        return SourceFault(str(error))


def _judged(source: MintSource) -> MintSource:
    """Say of each registry that a token is to be written under whether a kubelet will find it there."""
    remarks = [f"{registry!r}: {remark}" for registry in source.registries for remark in key_remarks(registry)]
    if not remarks:
        return source
    return structs.replace(source, remark=_few([*filter(None, [source.remark]), *remarks]))


def _few(remarks: Sequence[str]) -> str:
    """Put remarks into one line that can be read."""
    shown = "; ".join(remarks[:MOST_REMARKS])
    return shown if len(remarks) <= MOST_REMARKS else f"{shown}; and {len(remarks) - MOST_REMARKS} more"


def _installed(kind: Minted, name: str) -> Minted:
    """Return a kind whose library is there; looked for, and not imported."""
    try:
        there = not kind.library or find_spec(kind.library) is not None
    except ModuleNotFoundError:  # of a dotted name, the package before it
        there = False
    if not there:
        raise UnusableSecretError(
            f"type {name} needs a library that is not installed: pip install 'imps-multi[{kind.extra}]'"
        )
    return kind


def _static(secret: SourceSecret) -> DockerConfig:
    read = _STATIC.get(secret.type)
    if read is not None:
        return read(secret)
    for kind, key in ((DOCKERCONFIGJSON_TYPE, DOCKERCONFIGJSON_KEY), (DOCKERCFG_TYPE, DOCKERCFG_KEY)):
        if key in secret.data:
            raise UnusableSecretError(f"a Secret with the key {key} must be of type {kind}")
    raise UnusableSecretError(
        f"type {secret.type[:80]!r} is no source; use one of {', '.join((*_STATIC, *_MINTED, ECR_TYPE))} "
        "(or Opaque with the keys of the last one)"
    )


def _docker_file(secret: SourceSecret, *, key: str, read: Callable[[bytes], DockerConfig]) -> DockerConfig:
    if not secret.data.get(key):
        raise UnusableSecretError(f"key {key} is {'empty' if key in secret.data else 'missing'}")
    try:
        config = read(secret.data[key])
    except DockerConfigError as error:
        raise UnusableSecretError(f"key {key}: {error}") from None
    if not config.entries:
        helpers = sorted({one.name for one in config.settings} & {HELPERS, STORE})
        programs = "name programs" if len(helpers) > 1 else "names programs"
        why = f"; {' and '.join(helpers)} {programs} that no kubelet runs" if helpers else ""
        raise UnusableSecretError(f"key {key} names no registry at all; it needs an entry for each{why}")
    return config


def _basic_auth(secret: SourceSecret) -> DockerConfig:
    registries = items(secret.annotations.get(REGISTRY_ANNOTATION, ""))
    if not registries:
        raise UnusableSecretError(
            f"a Secret of type {BASIC_AUTH_TYPE} needs the annotation {REGISTRY_ANNOTATION}: HOST[,HOST]"
        )
    username, password = (_login(secret, key) for key in ("username", "password"))
    for registry in registries:
        if "@" not in registry and _REGISTRY.fullmatch(registry) is None:  # with one, a login may stand in it
            raise UnusableSecretError(
                f"annotation {REGISTRY_ANNOTATION}: {registry[:80]!r} is no HOST[:PORT][/PATH]; put a comma between two"
            )
    # Two spellings of one registry hold one credential here, so either of them will do.
    entries = merge([[basic_entry(_docker_hub(registry), username, password) for registry in registries]]).entries
    given = {"username": username, "password": password}
    remarks = [f"{entry.registry!r}: {remark}" for entry in entries for remark in entry_remarks(entry.registry, given)]
    return DockerConfig(entries, remarks=tuple(remarks))


def _login(secret: SourceSecret, key: str) -> str:
    """Return a login's part without the line end that comes with ``echo`` and editors; spaces may be meant."""
    if key not in secret.data:
        raise UnusableSecretError(f"key {key} is missing")
    try:
        value = secret.data[key].decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise UnusableSecretError(f"key {key} is not UTF-8 text") from None
    if not value:
        raise UnusableSecretError(f"key {key} is empty")
    return value


def _docker_hub(registry: str) -> str:
    """Write Docker Hub, however it is spelled, as the one key that images without a host are looked up under."""
    return DOCKER_HUB_KEY if filing_key(registry).lower() in _DOCKER_HUB else registry


_STATIC: Final[dict[str, Callable[[SourceSecret], DockerConfig]]] = {
    DOCKERCONFIGJSON_TYPE: partial(_docker_file, key=DOCKERCONFIGJSON_KEY, read=parse),
    DOCKERCFG_TYPE: partial(_docker_file, key=DOCKERCFG_KEY, read=parse_legacy),
    BASIC_AUTH_TYPE: _basic_auth,
}
_MINTED: Final[dict[str, Minted]] = {
    AZURE_TYPE: Minted(azure_source, library="azure.identity", extra="azure"),
    GCP_TYPE: Minted(gcp_source, library="google.auth", extra="gcp"),
    GITHUB_TYPE: Minted(github_source, library="jwt", extra="github"),
    OAUTH2_TYPE: Minted(oauth2_source),
}
"""By the Secret's type, ``imps-multi.io/<provider>``."""
