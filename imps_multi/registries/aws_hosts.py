"""Which host an ECR registry has: from botocore's partition data, without importing botocore.

Reads one small data file while it is imported, so that nothing is read on the loop. Feeds the interpretation of ECR
sources.
"""

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import msgspec

from imps_multi.model.names import RegistryKey


class _Outputs(msgspec.Struct, frozen=True, rename="camel"):
    dns_suffix: str
    dual_stack_dns_suffix: str


class _Partition(msgspec.Struct, frozen=True, rename="camel"):
    outputs: _Outputs
    region_regex: str
    regions: dict[str, object]


class _Partitions(msgspec.Struct, frozen=True):
    partitions: list[_Partition]


def _read() -> list[_Partition]:
    spec = find_spec("botocore")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("botocore, a dependency of this package, is not installed")
    content = (Path(spec.origin).parent / "data" / "partitions.json").read_bytes()
    return msgspec.json.decode(content, type=_Partitions).partitions


_PARTITIONS: Final = _read()

PUBLIC_REGION: Final = "us-east-1"
"""Where the tokens of the public registry come from, wherever the images go."""
_PUBLIC: Final = RegistryKey("public.ecr.aws")
_PUBLIC_DUAL_STACK: Final = RegistryKey("ecr-public.aws.com")


class Endpoint(msgspec.Struct, frozen=True):
    """Which of a region's endpoints is meant."""

    fips: bool = False
    dual_stack: bool = False


ENDPOINTS: Final = {
    "": Endpoint(),
    "fips": Endpoint(fips=True),
    "dualstack": Endpoint(dual_stack=True),
    "fips-dualstack": Endpoint(fips=True, dual_stack=True),
}
"""The endpoints by the name that a source gives them."""


def registry_host(account: str, region: str, endpoint: Endpoint = ENDPOINTS[""]) -> RegistryKey:
    """Return the host of an account's registry. A region of no partition is taken for one of the first."""
    outputs = _partition(region).outputs
    service = f"ecr{'-fips' if endpoint.fips else ''}"
    if endpoint.dual_stack:
        # A partition's registries are beside its API: on.aws where that is api.aws.
        return RegistryKey(f"{account}.dkr-{service}.{region}.on.{outputs.dual_stack_dns_suffix.removeprefix('api.')}")
    return RegistryKey(f"{account}.dkr.{service}.{region}.{outputs.dns_suffix}")


def public_hosts(endpoint: Endpoint) -> tuple[RegistryKey, ...]:
    """Return the hosts of the public registry; images keep its first name when a pod's network has IPv6 alone."""
    return (_PUBLIC, _PUBLIC_DUAL_STACK) if endpoint.dual_stack else (_PUBLIC,)


def _partition(region: str) -> _Partition:
    named = (partition for partition in _PARTITIONS if region in partition.regions)
    alike = (partition for partition in _PARTITIONS if re.search(partition.region_regex, region))
    return next(named, None) or next(alike, _PARTITIONS[0])
