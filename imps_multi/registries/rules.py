"""What the configuration allows source Secrets: the process's own identities, and endpoints of their own.

Values, fed by the composition root, read by every kind of source that is minted.
"""

import msgspec


class AmbientRule(msgspec.Struct, frozen=True):
    """Whose Secrets may use the process's own cloud identity, and which roles it may take on for them (globs)."""

    everybody: bool = False
    """True with a directory hub, whose files belong to whoever runs the process."""
    namespaces: tuple[str, ...] = ()
    role_arns: tuple[str, ...] = ("*",)
