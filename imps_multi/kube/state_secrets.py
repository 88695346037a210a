"""The state store of a hub in a cluster: Secrets in the hub's namespace, one or a few per item.

Implements the ``StateStore`` port. Every write names the version that it replaces; where somebody else wrote meanwhile
it says so and goes on from what lies there. Reading waits for the hub: to start without its memory would mint every
token anew and forget what is held. What cannot be read is left out and told.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final, TypeVar
from urllib.parse import quote

import anyio
import msgspec
import structlog

from imps_multi.kube.decode import PARTIAL
from imps_multi.kube.excerpt import excerpt
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.hub_watches import BROKEN
from imps_multi.kube.secret_calls import MANAGED, secrets_path
from imps_multi.kube.state_items import (
    FOUND_PAGE,
    Contents,
    Found,
    FoundPage,
    Part,
    contents,
    head_name,
    manifest,
    parts_of,
    selector,
)
from imps_multi.kube.transport import Call
from imps_multi.kube.wire import IDENTIFIED
from imps_multi.model.names import HubId, NamespaceName, SecretName
from imps_multi.model.wording import print_role
from imps_multi.ports import AlreadyExists, Conflict, Forbidden, NotFound, PortError, Section, Transient
from imps_multi.runtime.backoff import Rand

T = TypeVar("T")

PAGE: Final = 50
LARGEST_PAGE: Final = 128 << 20

OnUnreadable = Callable[[str, str], None]
"""Is told the Secret that was left out, and why."""

log = structlog.get_logger()


class StateUnusable(Exception):
    """There can be no state store; the message says what to do."""


class StateSecrets:
    """The store itself. One process writes."""

    def __init__(
        self, link: HubLink, namespace: NamespaceName, hub: HubId, *, on_unreadable: OnUnreadable, rand: Rand
    ) -> None:
        self._link = link
        self._namespace = namespace
        self._hub = hub
        self._on_unreadable = on_unreadable
        self._rand = rand
        self._versions: dict[str, int] = {}
        self._parts: dict[str, tuple[str, ...]] = {}
        self._stray: list[str] = []

    async def check(self) -> None:
        """See to it that items can be stored, without storing any.

        Raises:
            StateUnusable: there is no such namespace, or nothing may be written there.
            PortError: the hub could not be asked.
        """
        (probe,) = parts_of(self._hub, Section.HELD, "check", b"")
        try:
            await self._link.call(self._create(probe, query="&dryRun=All"))
        except NotFound as error:
            raise StateUnusable(self._no_namespace()) from error
        except Forbidden as error:
            raise StateUnusable(f"{error}; renew the role: {print_role('hub')}") from error
        except AlreadyExists:
            return

    async def load(self, section: Section) -> Mapping[str, bytes]:
        """Return every readable item of a section by key, once the hub answers."""
        retries, told = BROKEN.start(self._rand), ""
        while True:
            try:
                return await self.read(section)
            except PortError as failure:
                if told != (told := str(failure)):
                    log.warning("State cannot be read yet; it is tried again", section=section.value, message=told)
                await anyio.sleep(retries.next())

    async def read(self, section: Section) -> Mapping[str, bytes]:
        """Return every readable item of a section as it is now. Raises port errors."""
        return self._taken(await self._contents(section))

    async def save(self, section: Section, key: str, content: bytes) -> None:
        """Write one item; the part that makes the others count comes last. Raises Transient when that failed."""
        try:
            parts = parts_of(self._hub, section, key, content)
        except ValueError as error:
            raise Transient(f"{section.value} item {key} could not be stored: {error}") from error
        for part in parts:
            await self._told(section, key, partial(self._put, part))
        head = parts[-1].name
        stray = [*(set(self._parts.get(head, ())) - {part.name for part in parts}), *self._stray]
        self._parts[head] = tuple(part.name for part in parts)
        self._stray = []
        for name in stray:
            await self._told(section, key, partial(self._remove, name))

    async def delete(self, section: Section, key: str) -> None:
        """Take one item away, the head first."""
        head = head_name(self._hub, section, key)
        for name in dict.fromkeys((head, *self._parts.pop(head, ()))):
            await self._told(section, key, partial(self._remove, name))

    async def _contents(self, section: Section) -> Contents:
        found: list[Found] = []
        token = ""
        while True:
            page = await self._page(section, token)
            found += page.items or ()
            token = page.metadata.continue_
            if not token:
                break
        self._versions |= {one.metadata.name: one.metadata.resource_version for one in found}
        return contents(found)

    async def _page(self, section: Section, token: str) -> FoundPage:
        query = f"?labelSelector={quote(selector(self._hub, section), safe='')}&limit={PAGE}"
        more = f"&continue={quote(token, safe='')}" if token else ""
        call = Call(f"list state Secrets in {self._namespace}", "GET", secrets_path(self._namespace) + query + more)
        try:
            return FOUND_PAGE.decode(await self._link.call(call, largest=LARGEST_PAGE))
        except msgspec.DecodeError as error:
            words = f"not a list of Kubernetes: {excerpt(str(error))}"
            raise Transient(f"{call.what} on {self._link.server}: {words}", answered=True) from None

    def _taken(self, read: Contents) -> Mapping[str, bytes]:
        for one in read.unreadable:
            self._on_unreadable(f"{self._namespace}/{one.name}", one.why)
        self._stray += read.stray
        self._parts |= {item.parts[0]: item.parts for item in read.items}
        return {item.key: item.content for item in read.items}

    async def _put(self, part: Part) -> None:
        version = self._versions.pop(part.name, None)
        try:
            answer = await self._link.call(self._create(part) if version is None else self._replace(part, version))
        except (AlreadyExists, Conflict):
            if version is not None:
                log.warning("State Secret was written by somebody else", secret=f"{self._namespace}/{part.name}")
            answer = await self._link.call(self._replace(part, await self._version(part.name)))
        except NotFound:
            if version is None:
                raise
            answer = await self._link.call(self._create(part))
        self._versions[part.name] = IDENTIFIED.decode(answer).metadata.resource_version

    async def _version(self, name: str) -> int:
        call = Call(f"read Secret {self._namespace}/{name}", "GET", self._path(name), PARTIAL)
        return IDENTIFIED.decode(await self._link.call(call)).metadata.resource_version

    async def _remove(self, name: str) -> None:
        self._versions.pop(name, None)
        call = Call(f"delete Secret {self._namespace}/{name}", "DELETE", self._path(name), PARTIAL)
        try:
            await self._link.call(call)
        except NotFound:
            return

    async def _told(self, section: Section, key: str, act: Callable[[], Awaitable[None]]) -> None:
        """Do it, and turn whatever goes wrong into what the port says."""
        try:
            await act()
        except NotFound as error:
            raise Transient(f"{section.value} item {key} could not be stored: {self._no_namespace()}") from error
        except (PortError, msgspec.DecodeError) as error:
            raise Transient(f"{section.value} item {key} could not be stored: {error}") from error

    def _create(self, part: Part, query: str = "") -> Call:
        path = secrets_path(self._namespace) + MANAGED + query
        return Call(
            f"store Secret {self._namespace}/{part.name}", "POST", path, PARTIAL, manifest(part, self._namespace, None)
        )

    def _replace(self, part: Part, version: int) -> Call:
        body = manifest(part, self._namespace, version)
        return Call(
            f"store Secret {self._namespace}/{part.name}", "PUT", self._path(part.name) + MANAGED, PARTIAL, body
        )

    def _path(self, name: str) -> str:
        return secrets_path(self._namespace, SecretName(name))

    def _no_namespace(self) -> str:
        return (
            f"the namespace {self._namespace} (hub.namespace) is not there on {self._link.server}; make it: "
            f"kubectl create namespace {self._namespace}"
        )
