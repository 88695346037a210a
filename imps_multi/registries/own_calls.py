"""HTTP to what the process's own settings name: the operator's word, so it passes no guard. Else as in ``outbound``.

Never for a URL that a source Secret names. Feeds the providers that have an identity of the process's own.
"""

from urllib.parse import urlsplit

from imps_multi.ports import Invalid
from imps_multi.registries.guard import Destination
from imps_multi.registries.outbound import Outbound


class OwnCalls(Outbound):
    """Calls it, wherever that is; what takes plain http is a server on or beside this machine, behind no proxy."""

    def _destination(self, url: str, call: str) -> Destination:
        try:
            parts = urlsplit(url)
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (ValueError, KeyError):
            raise Invalid(f"{call}: its address is no URL") from None
        return _Anywhere(url, parts.scheme, parts.hostname or "", port)

    def _proxy(self, leads: Destination) -> str:
        return "" if leads.scheme == "http" else super()._proxy(leads)


class _Anywhere(Destination, frozen=True):
    """A place that the operator named."""

    def admits(self, address: str) -> bool:  # noqa: ARG002  # any will do
        """Say that this address may be connected to."""
        return True
