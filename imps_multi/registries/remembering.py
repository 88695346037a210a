"""Interpretations remembered for as long as their Secret is: a hub of thousands of sources is looked at at every token.

Wraps the catalogue's interpreter, which is pure. It must not keep a Secret alive that nobody else has: what was deleted
from the hub is gone from here with it.
"""

from typing import Final
from weakref import ref

from imps_multi.model.credential import Interpretation
from imps_multi.model.hub import SourceSecret
from imps_multi.ports import Interpreter


class Remembering:
    """An interpreter that reads each Secret once."""

    def __init__(self, interpret: Interpreter) -> None:
        self._interpret: Final = interpret
        self._known: Final[dict[int, tuple[ref[SourceSecret], Interpretation]]] = {}

    def __call__(self, secret: SourceSecret) -> Interpretation:
        """Return what a Secret gives, or why it cannot be used."""
        key = id(secret)
        known = self._known.get(key)
        if known is not None and known[0]() is secret:
            return known[1]
        found = self._interpret(secret)
        self._known[key] = ref(secret, lambda _: self._known.pop(key, None)), found
        return found

    def __len__(self) -> int:
        """Return how many Secrets are remembered."""
        return len(self._known)
