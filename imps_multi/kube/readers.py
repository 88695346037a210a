"""Which reader reads what is watched. Used by ``target_client``, once per watch."""

from imps_multi.kube.decode import NamespaceReader, SecretReader
from imps_multi.kube.frames import Reader
from imps_multi.kube.pod_reader import PodReader
from imps_multi.model.observed import WatchEvent
from imps_multi.ports import Clock, Watched, WatchNamespaces, WatchPods, WatchSecrets


def reader(watched: Watched, clock: Clock) -> Reader[WatchEvent]:
    """Return the reader of what is watched."""
    match watched:
        case WatchNamespaces():
            return NamespaceReader(clock)
        case WatchSecrets(name=name):
            return SecretReader(name)
        case WatchPods(asked=asked):
            return PodReader(asked)
