"""The braker: hears what every cluster wishes to take away, and says what may go.

Owns the ledger; what it lets go, holds and has approved is stored before the verdict is published. It decides only when
every synced cluster has said what it wishes under the newest world, so that one edit is judged as one.
"""

from collections.abc import Callable, Mapping

import anyio
import structlog

from imps_multi.actors.setting import Verdict
from imps_multi.model.brake import HeldSet, Judgement, Ledger, Wishes, approve, judge
from imps_multi.model.fleet import Safety
from imps_multi.model.growth import Expansion, Growth, admit, judge_growth
from imps_multi.model.names import ClusterName
from imps_multi.model.stored_ledger import LEDGER, SETS, decode_ledger, encode_ledger, encode_sets
from imps_multi.model.world import World
from imps_multi.ports import Clock, PortError, Section, StateStore
from imps_multi.runtime.latest import Latest, wait_any

RECHECK_SECONDS = 60.0
STORE_AGAIN_SECONDS = 5.0
COUNT_AGAIN_SECONDS = 0.05
GATHER_SECONDS = 0.02

log = structlog.get_logger()


class Braker:
    """The brake's actor. ``wish`` is told by the clusters; ``verdict`` and ``held`` are read by all."""

    def __init__(
        self,
        *,
        store: StateStore,
        safety: Latest[Safety],
        world: Latest[World],
        clock: Clock,
        counted: Callable[[], bool] = lambda: True,
        away: Callable[[], frozenset[ClusterName]] = frozenset,
    ) -> None:
        """``counted`` says whether every cluster was looked at, or cannot be: an edit's targets are all known then.

        ``away``: the clusters that cannot be.
        """
        self._store = store
        self._on_show: bytes | None = None
        self._safety = safety
        self._world = world
        self._clock = clock
        self._counted = counted
        self._away = away
        self._wishes: dict[ClusterName, Wishes] = {}
        self._told: Latest[int] = Latest(0)
        self._ledger = Ledger()
        self._growth = Growth()
        self._judged = (-1, -1)
        self._saving = anyio.Lock()
        self._unkept = False
        unlimited = not safety.value.max_new_targets
        self.verdict: Latest[Verdict] = Latest(Verdict(admitted=None if unlimited else {}))
        self.held: Latest[tuple[HeldSet, ...]] = Latest(())
        self.expansions: Latest[tuple[Expansion, ...]] = Latest(())

    def wish(self, cluster: ClusterName, wishes: Wishes | None) -> None:
        """Take in what a cluster wishes; None while it is not synced."""
        if wishes == self._wishes.get(cluster):
            return
        if wishes is None:
            self._wishes.pop(cluster, None)
        else:
            self._wishes[cluster] = wishes
        self._told.set(self._told.value + 1)

    @property
    def settled(self) -> bool:
        """Whether everything that was wished under the newest world has been judged."""
        return self._complete() and self._judged == (self._told.version, self._world.version)

    @property
    def wishes(self) -> Mapping[ClusterName, Wishes]:
        """What every synced cluster wishes now."""
        return self._wishes

    async def approve(self, held_id: str) -> bool:
        """Let a set go that was shown in the last day; False where there is none."""
        now = self._clock()
        ledger, growth = approve(self._ledger, held_id, now=now), admit(self._growth, held_id, now=now)
        if ledger is None and growth is None:
            return False
        self._ledger, self._growth = ledger or self._ledger, growth or self._growth
        await self._keep()
        log.info("Held set was approved", id=held_id)
        self._told.set(self._told.value + 1)
        return True

    async def run(self) -> None:
        """Judge for ever."""
        self._ledger, self._growth = await load_ledger(self._store)
        self._on_show = (await self._store.load(Section.HELD)).get(SETS)
        readers = (self._told.reader(), self._safety.reader(), self._world.reader())
        while True:
            with anyio.move_on_after(self._patience()):
                await wait_any(*readers)
            await anyio.sleep(GATHER_SECONDS)
            for reader in readers:
                if reader.fresh:
                    reader.take()
            heard = (self._told.version, self._world.version)
            if self._complete():
                counted = self._counted() or not self._safety.value.max_new_targets
                await self._judge(counted=counted)
                await self._show_sets()
                self._judged = heard if counted else (-1, -1)
            await self._approve_from_hub()

    def _patience(self) -> float:
        if self._judged == (-1, -1) and self._safety.value.max_new_targets:
            return COUNT_AGAIN_SECONDS
        return STORE_AGAIN_SECONDS if self._unkept else RECHECK_SECONDS

    def _complete(self) -> bool:
        version = self._world.value.version
        return all(wishes.version == version for wishes in self._wishes.values())

    async def _judge(self, *, counted: bool) -> None:
        now, safety = self._clock(), self._safety.value
        said, limit = list(self._wishes.values()), safety.max_new_targets
        judgement = judge(said, self._ledger, safety, now=now)
        growth, expansions = self._growth, self.expansions.value
        if counted:
            growth, expansions = judge_growth(self._world.value, said, growth, limit, now=now, away=self._away())
        self._tell(judgement, expansions)
        self.held.set_if_changed(judgement.held)
        self.expansions.set_if_changed(expansions)
        if (judgement.ledger, growth) != (self._ledger, self._growth):
            before = self._ledger, self._growth
            self._ledger, self._growth = judgement.ledger, growth
            if not await self._keep():
                if self._ledger is judgement.ledger:  # nobody approved anything meanwhile
                    self._ledger, self._growth = before
                return  # what is let go must be remembered; it is tried again
        held = frozenset().union(*(one.members for one in judgement.held))
        admitted = growth.admitted if limit else None
        verdict = Verdict(released=judgement.released, held=held, admitted=admitted, waiting=growth.away)
        self.verdict.set_if_changed(verdict)

    async def _show_sets(self) -> None:
        """Show what is held; beside the judging, which an approval may meet at any moment."""
        held, expansions = self.held.value, self.expansions.value
        content = encode_sets(held, expansions)
        if content == self._on_show or (self._on_show is None and not held and not expansions):
            return
        try:
            await self._store.save(Section.HELD, SETS, content)
        except PortError as failure:
            log.warning("Held sets could not be shown; it is tried again", message=str(failure))
            return
        self._on_show = content

    async def _approve_from_hub(self) -> None:
        for resolved in self._world.value.policies.values():
            request = resolved.policy.approve_request
            shown = {one.id for one in self.held.value} | {one.id for one in self.expansions.value}
            if request in shown:
                await self.approve(request)

    def _tell(self, judgement: Judgement, expansions: tuple[Expansion, ...]) -> None:
        offered = {one.id for one in self.expansions.value}
        for expansion in expansions:
            if expansion.id not in offered:
                log.warning(
                    "Expansion is held and waits for approval",
                    id=expansion.id,
                    policy=expansion.policy,
                    why=expansion.why,
                )
        known = {one.id for one in self.held.value}
        for one in judgement.held:
            if one.id not in known:
                log.warning(
                    "Removal is held and waits for approval",
                    id=one.id,
                    policy=one.policy,
                    deletions=len(one.members),
                    why=one.why,
                )

    async def _keep(self) -> bool:
        self._unkept = True
        try:
            async with self._saving:  # so that the newest is written last
                await self._store.save(Section.HELD, LEDGER, encode_ledger(self._ledger, self._growth))
        except PortError as failure:
            log.warning("The brake's ledger could not be stored; nothing new is let go", message=str(failure))
            return False
        self._unkept = False
        return True


async def load_ledger(store: StateStore) -> tuple[Ledger, Growth]:
    """Return what an earlier process let go, showed and had approved."""
    content = (await store.load(Section.HELD)).get(LEDGER)
    return decode_ledger(content) if content is not None else (Ledger(), Growth())
