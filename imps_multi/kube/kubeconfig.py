"""Kubeconfig files: read once, listed by context, and each context turned into a ``Connection``.

Everything here blocks (it reads files) and belongs in a thread. Each file stands alone: merging files would bind the
contexts of one to the clusters of another that bear the same name. Written by hand rather than with
kubernetes_asyncio's loader: that one copies the whole document per context, leaves private keys in temporary files,
reads a token file once, and costs a second to import. What a field means follows client-go (tools/clientcmd). Fed by
config with paths; feeds the fleet with connections.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import yaml

from imps_multi.kube import kubeconfig_user
from imps_multi.kube.connection import Connection
from imps_multi.kube.excerpt import excerpt
from imps_multi.kube.kubeconfig_shape import ClusterShape, ContextShape, KubeconfigShape, UserShape
from imps_multi.kube.materials import KubeconfigError, Materials, UnreadableFileError, read_bounded
from imps_multi.model.matching import glob_match, nearest_name
from imps_multi.model.proxies import proxy_for

__all__ = ["Kubeconfig", "KubeconfigError", "load"]

S = TypeVar("S")

LARGEST_KUBECONFIG: Final = 64 * 1024 * 1024
"""Thousands of contexts with their certificates."""
SAFE_DEPTH: Final = 100
_INDENT: Final = re.compile(rb"^[ ?:-]*", re.MULTILINE)
"""What a line starts with: blocks are nested no deeper than that is long."""
SCHEMES: Final = frozenset({"http", "https"})


class Kubeconfig:
    """One file, parsed. ``environment`` is where proxies are named."""

    def __init__(self, path: Path, shape: KubeconfigShape, environment: Mapping[str, str]) -> None:
        self.path = path
        self.current_context = shape.current_context
        self._environment = environment
        self._contexts = self._by_name("contexts", ((entry.name, entry.context) for entry in shape.contexts or ()))
        self._clusters = self._by_name("clusters", ((entry.name, entry.cluster) for entry in shape.clusters or ()))
        self._users = self._by_name("users", ((entry.name, entry.user) for entry in shape.users or ()))

    @property
    def contexts(self) -> tuple[str, ...]:
        """Return the names of all contexts, in the order of the file."""
        return tuple(self._contexts)

    def chosen(self, context: str | None) -> str:
        """Return the context that is named, else the current one. Raises KubeconfigError where there is neither."""
        if context is None and not self.current_context:
            raise KubeconfigError(self.path, "has no current-context; say which context is meant")
        return context or self.current_context

    def matching(self, patterns: Iterable[str], exclude: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the names of the contexts that one of the globs takes in and none excludes."""
        wanted, unwanted = tuple(patterns), tuple(exclude)
        return tuple(name for name in self._contexts if _any_matches(wanted, name) and not _any_matches(unwanted, name))

    def connection(self, context: str) -> Connection:
        """Return how a context's cluster is reached; reads the files that it names. Raises KubeconfigError."""
        cluster, user = self._parts(context)
        about_cluster, about_user = self._about("cluster", context), self._about("user", context)
        ca = about_cluster.content(
            "certificate-authority", data=cluster.certificate_authority_data, file=cluster.certificate_authority
        )
        if cluster.insecure_skip_tls_verify and ca is not None:
            about_cluster.fail("insecure-skip-tls-verify and certificate-authority exclude each other")
        server = _server(cluster, about_cluster)
        return Connection(
            server=server,
            ca=ca,
            insecure=cluster.insecure_skip_tls_verify,
            server_name=cluster.tls_server_name,
            certificate=kubeconfig_user.key_pair(user, about_user),
            credential=kubeconfig_user.credential(user, cluster, ca, about_user),
            proxy=self._proxy(cluster, server, about_cluster),
            impersonation=kubeconfig_user.impersonation(user, about_user),
            place=f'{self.path}: context "{context}"',
        )

    def files(self, contexts: Iterable[str] | None = None) -> tuple[Path, ...]:
        """Return the files that these contexts (or all) point to, whether they are there or not, for a watcher."""
        named: set[str] = set()
        for context in self._contexts if contexts is None else contexts:
            named.update(_named_files(*self._parts(context)))
        return tuple(sorted(self.path.parent / name for name in named if name))

    def _parts(self, context: str) -> tuple[ClusterShape, UserShape]:
        """Return the cluster and the user of a context; no user at all is a nobody."""
        if context not in self._contexts:
            near = nearest_name(context, self._contexts)
            hint = f' (did you mean "{near}"?)' if near else ""
            raise KubeconfigError(self.path, f'there is no context "{excerpt(context)}"{hint}')
        entry = self._contexts[context] or ContextShape()
        cluster = self._clusters.get(entry.cluster)
        if cluster is None:
            raise KubeconfigError(self.path, f'context "{context}" names cluster "{entry.cluster}", which is not there')
        if entry.user and entry.user not in self._users:
            raise KubeconfigError(self.path, f'context "{context}" names user "{entry.user}", which is not there')
        return cluster, self._users.get(entry.user) or UserShape()

    def _about(self, kind: str, context: str) -> Materials:
        return Materials(self.path, f'{kind} of context "{context}"')

    def _by_name(self, kind: str, entries: Iterable[tuple[str, S]]) -> dict[str, S]:
        """Return entries by name; a name that is there twice is an error, as in client-go."""
        found: dict[str, S] = {}
        for name, entry in entries:
            if name in found:
                raise KubeconfigError(self.path, f'{kind} has the name "{excerpt(name)}" twice')
            found[name] = entry
        return found

    def _proxy(self, cluster: ClusterShape, server: str, about: Materials) -> str:
        proxy = cluster.proxy_url or proxy_for(server, self._environment)
        if proxy and not _is_url(proxy):
            origin = "proxy-url" if cluster.proxy_url else "the proxy that the environment names"
            about.fail(f"{origin} is no URL of the form http://HOST:PORT or https://HOST:PORT")
        return proxy


def load(path: Path, *, environment: Mapping[str, str] | None = None) -> Kubeconfig:
    """Read and parse a file; blocks. Raises KubeconfigError."""
    try:
        content = read_bounded(path, LARGEST_KUBECONFIG)
    except UnreadableFileError as error:
        raise KubeconfigError(path, str(error)) from error
    document = _parsed(path, content)
    if b"\\u" in content.lower() and not _is_text(document):
        raise KubeconfigError(path, "is no kubeconfig: half of a surrogate pair is no character")
    if document is None:
        raise KubeconfigError(path, "is empty")
    try:
        shape = msgspec.convert(document, KubeconfigShape)
    except msgspec.ValidationError as error:
        raise KubeconfigError(path, f"is no kubeconfig: {excerpt(str(error))}") from None
    return Kubeconfig(path, shape, os.environ if environment is None else environment)


def _parsed(path: Path, content: bytes) -> object:
    """Parse YAML, or JSON, which YAML's parser takes for itself but for tabs. Errors never quote the text."""
    try:
        if content.lstrip()[:1] == b"{":
            return json.loads(content)
    except (ValueError, RecursionError):
        pass
    try:
        _bound_depth(path, content)
        return yaml.load(content, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise KubeconfigError(path, f"is not YAML: {where}{excerpt(error.problem or '')}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise KubeconfigError(path, "is not YAML") from None


def _is_text(document: object) -> bool:
    try:
        msgspec.json.encode(document)
    except (UnicodeError, RecursionError):
        return False
    except TypeError:  # something that is no text at all: its place in the file is told elsewhere
        pass
    return True


def _bound_depth(path: Path, content: bytes) -> None:
    """Refuse what is nested so deep that the parser would end the process; of most files that is seen at a glance."""
    marks = content.count(b"[") + content.count(b"{")
    if max(marks, *map(len, _INDENT.findall(content))) <= SAFE_DEPTH:
        return
    depth = 0
    for event in yaml.parse(content, Loader=yaml.CSafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > SAFE_DEPTH:
            raise KubeconfigError(path, f"is nested more than {SAFE_DEPTH} deep")


def _named_files(cluster: ClusterShape, user: UserShape) -> Iterable[str]:
    if not cluster.certificate_authority_data:
        yield cluster.certificate_authority
    if not user.client_certificate_data:
        yield user.client_certificate
    if not user.client_key_data:
        yield user.client_key
    yield user.token_file


def _server(cluster: ClusterShape, about: Materials) -> str:
    """Return a cluster's URL; without a scheme it is https where there is anything to verify, as client-go has it."""
    secured = cluster.insecure_skip_tls_verify or cluster.certificate_authority or cluster.certificate_authority_data
    server = cluster.server if "://" in cluster.server else f"{'https' if secured else 'http'}://{cluster.server}"
    parts = urlsplit(server) if _is_url(server) else None
    if parts is None or parts.username is not None or parts.query or parts.fragment:
        about.fail("server is no URL of the form https://HOST[:PORT][/PATH]")
    return server.rstrip("/")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _any_matches(patterns: Iterable[str], name: str) -> bool:
    return any(glob_match(pattern, name) for pattern in patterns)
