"""The cyclic garbage collector, set for a process that holds many small values for long and makes few cycles.

With Python's own figures it goes over the same live objects some hundred times a second while a fleet is written, which
costs a seventh of all CPU, and finds next to nothing. Called once, before the loop starts.
"""

import gc
from typing import Final

YOUNG: Final = 10_000
"""New containers, less those that went, before the youngest are looked at: a few megabytes of cycles at the worst."""
OLDER: Final = 20
OLDEST: Final = 50


def calm_collector() -> None:
    """Never look again at what was imported and configured, and less often at the rest."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, OLDER, OLDEST)
