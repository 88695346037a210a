"""The hub in a Kubernetes cluster: policies, and the source Secrets that they name, listed and watched.

Implements the ``Hub`` port. Secrets are watched in the namespaces that policies name, never in the whole cluster. It
decides nothing: what could not be read makes the reading not whole, and the fold keeps what was there. A reading is
made from memory, so that a hub that hangs holds nobody up.
"""

from collections.abc import Callable, Mapping
from typing import Final

import anyio
import msgspec
import structlog
from anyio.abc import TaskGroup

from imps_multi.kube.excerpt import excerpt
from imps_multi.kube.hub_cache import POLICIES, Allowed, HubCache, News, Part
from imps_multi.kube.hub_definition import NOT_INSTALLED, READ, RENEW, read_definition
from imps_multi.kube.hub_link import HubLink
from imps_multi.kube.hub_objects import HubEvent, ItemsReplaced, policy_reader, secret_reader
from imps_multi.kube.hub_watches import BROKEN, Kept, keep
from imps_multi.kube.reflector import History, Reflector, Support
from imps_multi.kube.transport import Transport
from imps_multi.model.hub import HubObject, HubReading
from imps_multi.model.names import NamespaceName
from imps_multi.model.policy import SourceRef
from imps_multi.model.wording import print_role
from imps_multi.ports import Forbidden, NotFound, PortError, Resume, Transient, Unauthorized
from imps_multi.runtime.backoff import Rand
from imps_multi.runtime.latest import Latest, wait_any
from imps_multi.runtime.single_flight import SingleFlight

SETTLE_SECONDS: Final = 0.05
SETTLE_AT_MOST: Final = 0.25
SHOWN_SECONDS: Final = 1.0
SILENT_SECONDS: Final = 15.0
LISTEN_SECONDS: Final = 5.0
PROBES: Final = 2

log = structlog.get_logger()


class ClusterHub:
    """One hub. ``run`` keeps ``cache`` up to date; ``read`` looks at it."""

    def __init__(self, link: HubLink, *, allowed: Allowed, rand: Rand) -> None:
        self.link = link
        self.cache = HubCache(link.place, allowed)
        self._rand = rand
        self._told: Latest[int] = Latest(0)
        self._named: Latest[Mapping[NamespaceName, int]] = Latest({})
        self._doubts: Latest[int] = Latest(0)
        self._shown: Latest[int] = Latest(0)
        self._news = (self._told.reader(), self._shown.reader())
        self._listed: anyio.CancelScope | None = None
        self._warned: tuple[str, ...] = ()
        self._support = Support()
        self._probing = SingleFlight(self._probe)

    # The port

    async def run(self) -> None:
        """Keep up with the hub for ever; anew when its connection is another."""
        changed = self.link.changed.reader()
        changed.take()
        while True:
            async with anyio.create_task_group() as group:
                group.start_soon(self._keep_policies)
                group.start_soon(self._keep_secrets)
                group.start_soon(self._keep_believing)
                await changed.next()
                group.cancel_scope.cancel()

    def need(self, sources: frozenset[SourceRef]) -> None:
        """Watch these too, beside those that the policies name as they stand."""
        self._tell(self.cache.need(sources))

    def reconsider(self) -> None:
        """Look anew at which sources may be named: the configuration changed."""
        self._tell(self.cache.reconsider())

    async def read(self) -> HubReading:
        """Return what is known, once every part was looked at; what could not be looked at is in the reading."""
        reader = self._told.reader()
        with anyio.move_on_after(self.link.request_timeout):
            while self.cache.waiting:
                await reader.next()
        for news in self._news:
            if news.fresh:
                news.take()
        return self.cache.reading()

    async def changed(self) -> None:
        """Return when something changed since the last reading, and settled; statuses alone may take a second."""
        await wait_any(*self._news)
        if not self._news[0].fresh:
            with anyio.move_on_after(SHOWN_SECONDS):
                await self._told.wait_newer(self._told.version)
        with anyio.move_on_after(SETTLE_AT_MOST):
            quiet = False
            while not quiet:
                version = self._told.version
                with anyio.move_on_after(SETTLE_SECONDS) as waiting:
                    await self._told.wait_newer(version)
                quiet = waiting.cancelled_caught

    async def list_policies(self) -> tuple[HubObject, ...]:
        """List all policies, once, for a command. Raises port errors, NotFound where the resource is not installed."""
        found: list[HubObject] = []

        def take(event: HubEvent) -> None:
            if isinstance(event, ItemsReplaced):
                found.extend(item.object for item in event.items)
                listed.cancel()

        transport = await self.link.transport()
        with anyio.CancelScope() as listed:
            try:
                await Reflector(transport, History(policy_reader(self.link.place)), self._support).run(None, take)
            except NotFound as failure:
                raise NotFound(f"{self.link.place}: {NOT_INSTALLED}") from failure
        return tuple(found)

    # Policies

    async def _keep_policies(self) -> None:
        history = History(policy_reader(self.link.place))

        async def stream(resume: Resume | None) -> Resume | None:
            if resume is None:
                await self._look_at_definition()
            with anyio.CancelScope() as self._listed:
                return await self._stream(history, resume, self._see_policies)
            return None

        await keep(Kept(what="policies", stream=stream, broke=self._policies_broke), self._rand)

    def _see_policies(self, event: HubEvent) -> None:
        news = self.cache.see_policies(event)
        self._tell(news is News.CONTENT)
        if news is News.STATUS:
            self._shown.set(self._shown.value + 1)
        if self.cache.doubtful:
            self._doubts.set(self._doubts.value + 1)

    def _policies_broke(self, failure: PortError) -> None:
        if isinstance(failure, NotFound):
            self._tell(self.cache.undefine(NOT_INSTALLED))
        else:
            self._tell(self.cache.break_off(POLICIES, _advised(failure)))

    async def _look_at_definition(self) -> None:
        """Read the definition as it stands. Raises NotFound where there is none."""
        body = await self.link.call(READ)
        try:
            definition = read_definition(body)
        except msgspec.DecodeError as error:
            words = f"not a CustomResourceDefinition: {excerpt(str(error))}"
            raise Transient(f"{READ.what} on {self.link.server}: {words}", answered=True) from None
        if definition.missing and definition.missing != self._warned:
            log.warning(
                "The CustomResourceDefinition of ImagePullSecret is an older one; what it does not name is not kept",
                missing=", ".join(definition.missing),
                renew=RENEW,
            )
        self._warned = definition.missing
        self._tell(self.cache.define(definition))

    async def _keep_believing(self) -> None:
        """Look at the definition whenever policies vanished, and only then take them as deleted."""
        doubts, retries = self._doubts.reader(), BROKEN.start(self._rand)
        while True:
            await doubts.next()
            retries.reset()
            while (doubtful := self.cache.doubtful) and not await self._settle(doubtful):  # noqa: ASYNC110  # it is asked
                await anyio.sleep(retries.next())

    async def _settle(self, doubtful: frozenset[str]) -> bool:
        """Take these as deleted where the definition stands as it did; say whether that is settled now."""
        before = self.cache.definition
        try:
            await self._look_at_definition()
        except NotFound:
            self._list_anew()
            return True
        except PortError as failure:
            self._tell(self.cache.suspect(str(failure)))
            return False
        now = self.cache.definition
        self._tell(self.cache.suspect(""))
        if now is None or now.terminating:
            return False
        if before is not None and before.uid != now.uid:
            self._list_anew()
            return True
        self._tell(self.cache.believe(doubtful))
        return True

    def _list_anew(self) -> None:
        """Give the stream of policies up: one from before the end of the definition need not tell of those after it."""
        if self._listed is not None:
            self._listed.cancel()

    # Source Secrets

    async def _keep_secrets(self) -> None:
        """Watch exactly the namespaces that are named; one with a newly named Secret starts with a fresh list."""
        named, running = self._named.reader(), dict[NamespaceName, tuple[int, anyio.CancelScope]]()
        async with anyio.create_task_group() as group:
            while True:
                wanted = self.cache.rounds
                for namespace in [one for one in running if running[one][0] != wanted.get(one)]:
                    running.pop(namespace)[1].cancel()
                    if namespace not in wanted:
                        self._tell(self.cache.leave(namespace))
                for namespace in wanted.keys() - running.keys():
                    running[namespace] = (wanted[namespace], self._start(group, namespace))
                await named.next()

    def _start(self, group: TaskGroup, namespace: NamespaceName) -> anyio.CancelScope:
        scope = anyio.CancelScope()
        self.cache.wait_for(namespace)
        group.start_soon(self._keep_namespace, namespace, scope)
        return scope

    async def _keep_namespace(self, namespace: NamespaceName, scope: anyio.CancelScope) -> None:
        reader = secret_reader(self.link.place, namespace, self.cache.names_wanted(namespace))
        history = History(reader)

        async def stream(resume: Resume | None) -> Resume | None:
            return await self._stream(
                history, resume, lambda event: self._tell(self.cache.see_secrets(namespace, event))
            )

        def broke(failure: PortError) -> None:
            self._tell(self.cache.break_off(Part(namespace), _advised(failure)))

        with scope:
            await keep(Kept(what=f"Secrets in namespace {namespace}", stream=stream, broke=broke), self._rand)

    # Both

    async def _stream(
        self, history: History[HubEvent], resume: Resume | None, emit: Callable[[HubEvent], None]
    ) -> Resume | None:
        """Run one stream for as long as the hub answers at all."""
        transport = await self.link.transport()
        failures: list[PortError] = []
        after = None
        async with anyio.create_task_group() as group:

            async def listen() -> None:
                failures.append(await self._fallen_silent(transport))
                group.cancel_scope.cancel()

            group.start_soon(listen)
            try:
                after = await Reflector(transport, history, self._support).run(resume, emit)
            except PortError as failure:
                failures.append(failure)
            group.cancel_scope.cancel()
        if failures:
            raise failures[0]
        return after

    async def _fallen_silent(self, transport: Transport) -> PortError:
        """Return when nothing came from the hub for a while, and probes fail: its streams would hang for minutes."""
        while True:
            await anyio.sleep(LISTEN_SECONDS)
            if anyio.current_time() - transport.last_byte_at > SILENT_SECONDS:
                failure = await self._probing()
                if failure is not None:
                    return failure

    async def _probe(self) -> PortError | None:
        """Return why the hub does not answer, or None where it does."""
        failure: PortError | None = None
        for _ in range(PROBES):
            try:
                await self.link.probe()
            except PortError as error:
                failure = error
            else:
                return None
        return failure

    def _tell(self, changed: bool) -> None:  # noqa: FBT001  # what the cache answered
        self._named.set_if_changed(self.cache.rounds)
        if changed:
            self._told.set(self._told.value + 1)


def _advised(failure: PortError) -> str:
    match failure:
        case Forbidden():
            return f"{failure}; renew the role there: {print_role('hub')}"
        case Unauthorized():
            return f"{failure}; look at the credential in the kubeconfig"
        case _:
            return f"{failure}; what was read last stays in force"
