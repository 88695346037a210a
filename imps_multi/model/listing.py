"""What was listed whole in one cluster, of the Secret names that are watched there, and which may not be read.

Pure; one writer, the cluster's book. A deletion needs the whole picture, and a status says what is lacking of it.
"""

from imps_multi.model.names import SecretName
from imps_multi.model.observed_fold import Observed


class Listing:
    """``names``: the watched Secret names; ``forbidden``: those that may not be read, with what was refused."""

    def __init__(self, observed: Observed) -> None:
        self.names: frozenset[SecretName] = frozenset()
        self.forbidden: dict[SecretName, str] = {}
        self._observed = observed

    def watch(self, names: frozenset[SecretName]) -> frozenset[SecretName]:
        """Set the watched names; forget those that are not watched any more, and return them."""
        dropped = self.names - names
        self.names = names
        for name in dropped:
            self._observed.forget(name)
            self.forbidden.pop(name, None)
        return dropped

    def forbid(self, name: SecretName, message: str) -> bool:
        """Take in that a name may not be read; say whether that is news."""
        self._observed.unsync_name(name)
        if self.forbidden.get(name) == message:
            return False
        self.forbidden[name] = message
        return True

    def allow(self, name: SecretName) -> None:
        """Take in that a name was listed."""
        self.forbidden.pop(name, None)

    @property
    def synced(self) -> bool:
        """Whether the namespaces and every watched name were listed whole."""
        return self._observed.namespaces_synced and all(self._observed.synced(name) for name in self.names)

    @property
    def whole(self) -> bool:
        """Whether the namespaces, every watched name and the pods asked for, if they may be read, were listed whole."""
        return self._but_for_pods and self._observed.pods.listed

    @property
    def lacks_pods(self) -> bool:
        """Whether nothing but pods has still to be listed: that concerns the policies that ask for them alone."""
        return self._but_for_pods and not self._observed.pods.listed

    @property
    def _but_for_pods(self) -> bool:
        return self._observed.namespaces_synced and all(
            self._observed.synced(name) or name in self.forbidden for name in self.names
        )
