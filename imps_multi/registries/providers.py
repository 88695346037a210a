"""The providers by name, each imported when it is first asked for.

Fed by the composition root, asked by the token keepers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from msgspec import Struct, field

from imps_multi.ports import Clock, Provider
from imps_multi.registries import azure_source, ecr_source, gcp_source, github_source, oauth2_source
from imps_multi.registries.trust import Trust

if TYPE_CHECKING:
    from imps_multi.registries.outbound import Outbound


class Surroundings(Struct, frozen=True):
    """What every provider may need. ``listed``: ``sources.endpoints`` as the configuration has them now."""

    clock: Clock
    listed: Callable[[], tuple[str, ...]]
    trust: Trust = field(default_factory=Trust)

    def outbound(self, *, own: tuple[str, ...] = (), inside: bool = False) -> "Outbound":
        """Return a provider's way to token endpoints; ``own`` and ``inside`` as the guard has them."""
        from imps_multi.registries.outbound import Outbound

        return Outbound(self.listed, self.trust, own=own, inside=inside)


def _ecr(given: Surroundings) -> Provider:
    from imps_multi.registries.ecr import EcrProvider

    return EcrProvider(given.clock, given.listed)


def _azure(given: Surroundings) -> Provider:
    from imps_multi.registries.azure import AzureProvider
    from imps_multi.registries.azure_clouds import OWN_HOSTS
    from imps_multi.registries.own_calls import OwnCalls

    return AzureProvider(given.clock, given.outbound(own=OWN_HOSTS), OwnCalls(tuple, given.trust))


def _github(given: Surroundings) -> Provider:
    from imps_multi.registries.github import GithubProvider

    return GithubProvider(given.clock, given.outbound(own=github_source.OWN_HOSTS))


def _oauth2(given: Surroundings) -> Provider:
    from imps_multi.registries.oauth2 import OAuth2Provider

    return OAuth2Provider(given.clock, given.outbound())


def _gcp(given: Surroundings) -> Provider:
    from imps_multi.registries.gcp import GcpProvider
    from imps_multi.registries.gcp_credentials import OWN_HOSTS
    from imps_multi.registries.own_calls import OwnCalls

    return GcpProvider(given.clock, given.outbound(own=OWN_HOSTS, inside=True), OwnCalls(tuple, given.trust))


_PROVIDERS: Final[dict[str, tuple[Callable[[Surroundings], Provider], float]]] = {
    azure_source.PROVIDER: (_azure, azure_source.DOCUMENTED_LIFE),
    ecr_source.PROVIDER: (_ecr, ecr_source.DOCUMENTED_LIFE),
    gcp_source.PROVIDER: (_gcp, gcp_source.DOCUMENTED_LIFE),
    github_source.PROVIDER: (_github, github_source.DOCUMENTED_LIFE),
    oauth2_source.PROVIDER: (_oauth2, oauth2_source.DOCUMENTED_LIFE),
}


class Providers:
    """One provider of each name for the process. Names come from ``MintIdentity``; any other is a KeyError."""

    def __init__(self, clock: Clock, listed: Callable[[], tuple[str, ...]]) -> None:
        self._given = Surroundings(clock, listed)
        self._made: dict[str, Provider] = {}

    def provider_for(self, name: str) -> Provider:
        """Return the provider of this name, always the same one."""
        if name not in self._made:
            self._made[name] = _PROVIDERS[name][0](self._given)
        return self._made[name]

    @staticmethod
    def documented_life(name: str) -> float:
        """Return how long the provider's tokens live by its documentation, in seconds."""
        return _PROVIDERS[name][1]
