"""Values that hold secrets show themselves to rich, and to tracebacks that it draws, as they do to everybody. Pure."""

from msgspec import Struct


class Discreet(Struct, frozen=True):
    """Base of what holds a secret: each subclass has a ``__repr__`` of its own, and no other way of being shown."""

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Show what the repr shows."""
        return [("shown", repr(self))]
