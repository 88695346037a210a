"""What a cluster's planner may do at this moment, as others decided it: the brake, the watches, the workers. Values."""

from collections.abc import Mapping

from msgspec import Struct

from imps_multi.model.names import NamespaceName, PolicyName, SecretName
from imps_multi.model.target_plan import Wish


class Gate(Struct, frozen=True):
    """What may be taken away, and made. ``looks``: when a lingering target may be looked at again."""

    whole_picture: bool = False
    released: frozenset[Wish] = frozenset()
    held: frozenset[Wish] = frozenset()
    looks: Mapping[tuple[NamespaceName, SecretName], float] = {}
    admitted: Mapping[PolicyName, int] | None = None
    """The generation of each policy that may make new targets; None where there is no limit."""

    def lets_go(self, wish: Wish) -> bool:
        """Say whether a removal may be made now."""
        return wish in self.released and self.whole_picture
