"""Memory of a process that holds many small values for long and makes few cycles.

With Python's own figures the cyclic collector goes over the same live objects some hundred times a second while a
fleet is written, which costs a seventh of all CPU, and finds next to nothing. And what TLS and lists needed for a
moment stays with the C library, which gives it back to the system only when asked.
"""

import ctypes
import gc
from typing import Final

import anyio
import anyio.to_thread

YOUNG: Final = 25_000
"""New containers, less those that went, before the youngest are looked at: a few megabytes of cycles at the worst."""
OLDER: Final = 20
OLDEST: Final = 50


def calm_collector() -> None:
    """Never look again at what was imported and configured, hardly any of it garbage, and less often at the rest."""
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDEST)


GIVE_BACK_SECONDS: Final = 10.0


async def keep_giving_back() -> None:
    """Give memory that is free back to the system now and then, for ever; nothing where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while trim is not None:
        await anyio.sleep(GIVE_BACK_SECONDS)
        await anyio.to_thread.run_sync(trim, 0)
