"""What all clients of one process share: gates, TLS contexts, exec plugins, and who to tell about requests.

Made once by whoever builds the clients; holds no connection. The only place where fleet-wide bounds are written.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio

from imps_multi.kube.exec_plugin import ExecPlugins
from imps_multi.kube.gate import Gate
from imps_multi.kube.tls import TlsContexts
from imps_multi.model.names import HubId
from imps_multi.ports import Clock
from imps_multi.resolver import LOOKUPS

HANDSHAKES: Final = 50
HANDSHAKE_HOLD: Final = 0.5

OnRequest = Callable[[str, str, str], None]
"""Told once per request: HTTP code, or ``<error>`` as client-go's metric has it; method; host."""


def ignore_request(code: str, method: str, host: str) -> None:
    """Do nothing with it."""


@dataclass(frozen=True, kw_only=True)
class Shared:
    """One per process (or per test). ``clock`` is the wall clock, for expiries and first sightings."""

    hub: HubId
    clock: Clock = time.time
    on_request: OnRequest = ignore_request
    handshakes: Gate = field(default_factory=lambda: Gate(HANDSHAKES, hold=HANDSHAKE_HOLD))
    contexts: TlsContexts = field(default_factory=TlsContexts)
    exec_plugins: ExecPlugins = field(default_factory=ExecPlugins)
    lookups: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(LOOKUPS))
