"""What one cluster tells of itself: a frozen report whenever something changed, at most a few times a second.

Feeds the reporter and, since a removal is wished or withdrawn whenever a namespace changes, the brake.
"""

from collections.abc import Set as AbstractSet

import anyio
import structlog
from msgspec import structs

from imps_multi.actors.station import Station
from imps_multi.model.names import NamespaceName, SecretName
from imps_multi.model.report import ClusterReport

PAUSE_SECONDS = 0.1
PAUSE_PER_CLUSTER = 0.005
"""In a fleet of many clusters each reports the less often, so that all of them together cost the same."""
LONGEST_PAUSE = 0.5
IDLE_SECONDS = 30.0
"""At rest a report comes as often, for the time of the last contact in it."""
TRIES = 3

log = structlog.get_logger()


async def keep_reporting(here: Station) -> None:
    """Report for ever; a burst of changes is one report."""
    reader = here.changed.reader()
    wished: object = None
    uid_changes = 0
    altered: AbstractSet[SecretName] = frozenset()
    while True:
        with anyio.move_on_after(IDLE_SECONDS):
            await reader.next()
        here.setting.report(report(here))
        if (wish := (here.book.targets.wish_changes, here.book.targets.growth())) != wished:
            wished = wish
            here.settle_picture()
        for _ in range(here.book.past.uid_changes - uid_changes):
            here.setting.signals.uid_changed(here.name)
        uid_changes = here.book.past.uid_changes
        altered = tell_altered(here, altered)
        await anyio.sleep(min(max(PAUSE_SECONDS, PAUSE_PER_CLUSTER * len(here.setting.stations)), LONGEST_PAUSE))


def tell_altered(here: Station, told: AbstractSet[SecretName]) -> AbstractSet[SecretName]:
    """Log, once, which names are stored otherwise than they are written; return those that were told."""
    altered = here.book.answers.altered
    for name in altered.keys() - told:
        log.warning("Admission changes what is written", target_cluster=here.name, secret=name, seen_in=altered[name])
    return frozenset(altered)


def report(here: Station) -> ClusterReport:
    """Say how the cluster stands now."""
    book, contact = here.book, here.contact.value
    quiet = anyio.current_time() - here.client.last_byte_at
    tallies = book.targets.policies()
    expiries = [tally.expires_at for tally in tallies.values() if tally.expires_at is not None]
    last_contact = here.setting.clock() - quiet if contact.version else None
    known = book.listing.whole and here.looked_at == book.view.version
    settled = known and not (book.writing and not here.writes_nothing)
    return ClusterReport(
        settings=here.member.settings,
        contact=structs.replace(contact, last_contact=last_contact),
        synced=book.listing.synced,
        listed=book.listing.whole,
        lacks_pods=book.listing.lacks_pods,
        settled=book.view.version if settled else -1,
        looked=here.looked_at,
        given_up=known and not settled and all(_given_up(here, one) for one in book.writing),
        policies=tallies,
        forbidden=dict(book.listing.forbidden),
        expires_at=min(expiries, default=None),
        misses=here.misses.of(book.view, book.observed.namespaces) if book.listing.whole else {},
    )


def _given_up(here: Station, namespace: NamespaceName) -> bool:
    """Say whether what is left to write in a namespace was tried often, or is undone again and again."""
    if here.queue.failures(namespace) >= TRIES:
        return True
    return here.book.targets.contested(namespace, here.setting.clock())
